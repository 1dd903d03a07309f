//! Does the fit find weights that were planted? Simulated labelers with known weights, many times over.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use super::{Comparison, Dimension, fit};
use crate::logistic::sigmoid;

/// splitmix64 (Steele, Lea and Flood 2014), so that the simulation needs no crate and never changes.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In 0..1, never 0.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Standard normal (Box and Muller 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(self.uniform())).sqrt();
        radius * libm::cos(2.0 * std::f64::consts::PI * self.uniform())
    }
}

/// Helpfulness and safety pull against each other (correlation −0.4); conciseness goes with neither alone.
fn differences(generator: &mut Generator) -> Vec<f64> {
    let [first, second, third] = [(); 3].map(|()| generator.normal());
    let helpfulness = first;
    let safety = -0.4 * first + 0.84_f64.sqrt() * second;
    let conciseness = -0.3 * first + 0.2 * second + 0.87_f64.sqrt() * third;
    [helpfulness, safety, conciseness].map(|part| 1.4 * part).into()
}

/// `prompts` prompts with `each` comparisons that share a taste of the prompt's own (standard deviation `taste`).
fn simulated(
    generator: &mut Generator,
    planted: [f64; 3],
    prompts: usize,
    (each, taste): (usize, f64),
) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for prompt in 0..prompts {
        let tastes = planted.map(|weight| weight + taste * generator.normal());
        let shared = differences(generator);
        for _ in 0..each {
            let own = differences(generator);
            let mix = |(shared, own): (&f64, &f64)| if taste > 0.0 { 0.8 * shared + 0.6 * own } else { *own };
            let difference: Vec<f64> = shared.iter().zip(&own).map(mix).collect();
            let margin: f64 = tastes.iter().zip(&difference).map(|(weight, part)| weight * part).sum();
            let preference = f64::from(u8::from(generator.uniform() < sigmoid(margin)));
            comparisons.push(Comparison { difference, preference, prompt });
        }
    }
    comparisons
}

fn names() -> Vec<String> {
    ["helpfulness", "safety", "conciseness"].map(String::from).into()
}

fn dimensions(seed: u64, planted: [f64; 3], prompts: usize, sharing: (usize, f64)) -> Vec<Dimension> {
    let comparisons = simulated(&mut Generator(seed), planted, prompts, sharing);
    fit(&names(), &comparisons, "pairs").expect("enough noisy comparisons").dimensions
}

#[test]
fn splitmix_gives_its_published_numbers() {
    // The first outputs for seed 1234567 as published with the reference implementation.
    let mut generator = Generator(1_234_567);
    let numbers: Vec<u64> = (0..3).map(|_| generator.next()).collect();
    assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
}

#[test]
fn planted_weights_are_found_within_two_standard_errors() {
    let planted = [1.0, 0.6, 0.3];
    let (mut covered, mut covered_clustered, mut sums) = (0_u32, 0_u32, [0.0; 3]);
    for seed in 0..200 {
        for (k, dimension) in dimensions(seed, planted, 400, (1, 0.0)).iter().enumerate() {
            let miss = (dimension.weight - planted[k]).abs();
            covered += u32::from(miss <= 2.0 * dimension.standard_error);
            covered_clustered += u32::from(miss <= 2.0 * dimension.standard_error_clustered);
            sums[k] += dimension.weight;
        }
    }
    let (share, clustered) = (f64::from(covered) / 600.0, f64::from(covered_clustered) / 600.0);
    let means = sums.map(|sum| sum / 200.0);
    println!("planted {planted:?}, mean fitted {means:.3?}");
    println!("within 2 standard errors: {:.1}% model-based, {:.1}% clustered", 100.0 * share, 100.0 * clustered);
    assert!(share >= 0.93 && clustered >= 0.93, "{share} {clustered}");
    assert!(means.iter().zip(planted).all(|(mean, planted)| (mean - planted).abs() < 0.05), "{means:?}");
}

#[test]
fn an_objective_that_does_not_matter_is_rejected_in_about_5_percent_of_runs() {
    let (mut ratio, mut wald, mut found) = (0_u32, 0_u32, 0_u32);
    for seed in 1000..1200 {
        let dimensions = dimensions(seed, [1.0, 0.6, 0.0], 400, (1, 0.0));
        ratio += u32::from(dimensions[2].likelihood_ratio_p < 0.05);
        let z = dimensions[2].weight / dimensions[2].standard_error_clustered;
        wald += u32::from(z.abs() > 1.959_964);
        found += u32::from(dimensions[0].likelihood_ratio_p < 0.05);
    }
    println!("planted 0, rejected at 5%: {ratio} of 200 by likelihood ratio, {wald} of 200 by clustered z");
    assert!((4..=18).contains(&ratio) && (4..=18).contains(&wald), "{ratio} {wald}");
    assert!(found >= 198, "what matters is found: {found}");
}

#[test]
fn alike_pairs_of_a_prompt_widen_the_clustered_errors_only() {
    // Every prompt has a taste of its own that all of its six comparisons share; the mean taste for conciseness is 0.
    let (mut clustered, mut model) = (0_u32, 0_u32);
    for seed in 2000..2200 {
        let conciseness = &dimensions(seed, [1.0, 0.6, 0.0], 150, (6, 1.0))[2];
        assert!(conciseness.standard_error == conciseness.standard_error_clustered);
        clustered += u32::from(conciseness.p_value < 0.05);
        model += u32::from(conciseness.likelihood_ratio_p < 0.05);
    }
    println!("planted 0 with tastes per prompt, rejected at 5%: {clustered} of 200 clustered, {model} of 200 not");
    assert!((4..=20).contains(&clustered), "{clustered}");
    assert!(model > 2 * clustered, "ignoring the prompts is too sure: {model}");
}
