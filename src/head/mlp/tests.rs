//! The network against independent twins: finite differences, plain formulas, problems whose answer is known.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::io::Write;

use super::network::{Batch, Network};
use super::*;
use crate::config::MlpConfig;
use crate::head::{FitSettings, LinearHead, fit};
use candle_core::{Device, Tensor};

fn normal_features(rows: usize, width: usize, random: &mut Random) -> Features {
    let mut features = Features::new(width);
    for _ in 0..rows {
        let row: Vec<f32> = (0..width).map(|_| random.normal() as f32).collect();
        features.push(&row);
    }
    features
}

fn plain(chosen: usize, rejected: usize) -> Comparison {
    Comparison { chosen, rejected, preference: 1.0, group: 0, margin: 0.0, weight: 1.0 }
}

/// Neighbouring rows compared: the one with the higher utility, plus logistic noise of the given size, is chosen.
fn compare(features: &Features, noise: f64, random: &mut Random, utility: fn(&[f32]) -> f64) -> Vec<Comparison> {
    let pair = |index: usize| {
        let uniform = random.uniform();
        let lead = utility(features.row(2 * index)) - utility(features.row(2 * index + 1));
        let (left, right) = (2 * index, 2 * index + 1);
        if lead + noise * (uniform / (1.0 - uniform)).ln() > 0.0 { plain(left, right) } else { plain(right, left) }
    };
    (0..features.rows() / 2).map(pair).collect()
}

fn accuracy(score: impl Fn(&[f32]) -> f64, features: &Features, comparisons: &[Comparison]) -> f64 {
    let right = |pair: &&Comparison| score(features.row(pair.chosen)) > score(features.row(pair.rejected));
    comparisons.iter().filter(right).count() as f64 / comparisons.len() as f64
}

fn linear_head(features: &Features, comparisons: &[Comparison]) -> LinearHead {
    fit(features, comparisons, &FitSettings::with_l2(1.0)).expect("convex").head
}

fn quick() -> MlpConfig {
    MlpConfig { hidden: 16, learning_rate: 0.01, batch_size: 32, max_epochs: 60, ..MlpConfig::default() }
}

fn product(row: &[f32]) -> f64 {
    4.0 * f64::from(row[0]) * f64::from(row[1])
}

fn first(row: &[f32]) -> f64 {
    f64::from(row[0])
}

fn slope(row: &[f32]) -> f64 {
    row.iter().enumerate().map(|(column, value)| (column as f64 - 3.0) * f64::from(*value) / 3.0).sum()
}

/// A batch's loss by the formulas alone. The parameters are W₁ `(3, 4)`, b₁ and w₂ one after the other.
fn loss_by_hand(parameters: &[f64], items: &[[f64; 3]], labels: &[[f64; 3]]) -> f64 {
    let score = |item: &[f64; 3]| -> f64 {
        let unit = |unit: usize| (0..3).map(|column| item[column] * parameters[4 * column + unit]).sum::<f64>();
        (0..4).map(|index| (unit(index) + parameters[12 + index]).tanh() * parameters[16 + index]).sum()
    };
    let (mut sum, mut total) = (0.0, 0.0);
    for (index, [preference, margin, weight]) in labels.iter().enumerate() {
        let z = score(&items[index]) - score(&items[labels.len() + index]) - margin;
        sum += weight * (preference * (1.0 + (-z).exp()).ln() + (1.0 - preference) * (1.0 + z.exp()).ln());
        total += weight;
    }
    sum / total
}

#[test]
fn gradient_agrees_with_finite_differences_of_the_formulas() {
    let mut random = Random::new(11);
    let network = Network::new(3, 4, &mut random).expect("small");
    let biases: Vec<f64> = (0..4).map(|_| 0.5 * random.normal()).collect();
    network.hidden_biases.set(&Tensor::new(biases, &Device::Cpu).expect("small")).expect("same shape");
    let items: Vec<[f64; 3]> = (0..10).map(|_| std::array::from_fn(|_| random.normal())).collect();
    let labels = [[1.0, 0.0, 1.0], [0.0, 0.3, 2.5], [0.7, 1.2, 0.25], [0.5, 0.0, 1.0], [0.9, -0.4, 3.0]];
    let total: f64 = labels.iter().map(|label| label[2]).sum();
    let column = |index: usize, divisor: f64| {
        let values: Vec<f64> = labels.iter().map(|label| label[index] / divisor).collect();
        Tensor::new(values, &Device::Cpu).expect("small")
    };
    let batch = Batch {
        items: Tensor::new(items.concat(), &Device::Cpu).and_then(|items| items.reshape((10, 3))).expect("small"),
        preferences: column(0, 1.0),
        margins: column(1, 1.0),
        shares: column(2, total),
    };
    let loss = (network.losses(&batch).expect("small") * &batch.shares).and_then(|losses| losses.sum_all());
    let loss = loss.expect("small");
    let gradients = loss.backward().expect("every operation has a backward");
    let numbers = |tensor: &Tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1::<f64>()).expect("small");
    let variables = network.variables();
    let parameters: Vec<f64> = variables.iter().flat_map(|variable| numbers(variable)).collect();
    let gradient: Vec<f64> =
        variables.iter().flat_map(|variable| numbers(gradients.get(variable).expect("trained"))).collect();
    let value = loss.to_scalar::<f64>().expect("one number");
    assert!((value - loss_by_hand(&parameters, &items, &labels)).abs() < 1e-12);
    assert_eq!(gradient.len(), 20);
    for index in 0..20 {
        let shifted = |by: f64| {
            let mut moved = parameters.clone();
            moved[index] += by;
            loss_by_hand(&moved, &items, &labels)
        };
        let numeric = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
        assert!((gradient[index] - numeric).abs() < 1e-8, "{index}: {} against {numeric}", gradient[index]);
    }
}

#[test]
fn loss_and_gradient_stay_finite_for_the_most_confident_scores() {
    let network = Network::new(1, 1, &mut Random::new(0)).expect("small");
    network.input_weights.set(&Tensor::new(&[[5.0]], &Device::Cpu).expect("one")).expect("same shape");
    network.output_weights.set(&Tensor::new(&[[1e5]], &Device::Cpu).expect("one")).expect("same shape");
    let one = |value: f64| Tensor::new(&[value], &Device::Cpu).expect("one");
    let items = Tensor::new(&[[-9.0], [9.0]], &Device::Cpu).expect("two");
    let batch = Batch { items, preferences: one(1.0), margins: one(0.0), shares: one(1.0) };
    let loss = network.losses(&batch).and_then(|losses| losses.sum_all()).expect("small");
    let gradients = loss.backward().expect("small");
    // −log σ(−2·10⁵) = 2·10⁵, and its slope in w₂ is tanh(45) − tanh(−45).
    assert!((loss.to_scalar::<f64>().expect("one") - 2e5).abs() < 1e-9);
    let slope = gradients.get(&network.output_weights).expect("trained").flatten_all().expect("one");
    assert!((slope.to_vec1::<f64>().expect("one")[0] - 2.0).abs() < 1e-12);
}

#[test]
fn a_product_of_features_is_learned_where_a_line_stays_at_chance() {
    let mut random = Random::new(2);
    let features = normal_features(8000, 2, &mut random);
    let pairs = compare(&features, 0.0, &mut random, product);
    let (training, held_out, test) = (&pairs[..2000], &pairs[2000..3000], &pairs[3000..]);
    let trained = fit_mlp(&features, training, held_out, &quick()).expect("finite");
    let curved = accuracy(|row| trained.head.score(row), &features, test);
    let linear = linear_head(&features, training);
    let straight = accuracy(|row| linear.score(row), &features, test);
    println!("product of features: {curved} against {straight} of a line, epochs {}", trained.held_out_path.len());
    assert!(curved > 0.9, "{curved}");
    assert!((straight - 0.5).abs() < 0.06, "{straight}");
}

#[test]
fn a_linear_utility_is_learned_as_well_as_by_the_linear_head() {
    let mut random = Random::new(4);
    let features = normal_features(10_000, 8, &mut random);
    let pairs = compare(&features, 1.0, &mut random, slope);
    let (training, held_out, test) = (&pairs[..1500], &pairs[1500..2000], &pairs[2000..]);
    let trained = fit_mlp(&features, training, held_out, &quick()).expect("finite");
    let curved = accuracy(|row| trained.head.score(row), &features, test);
    let linear = linear_head(&features, training);
    let straight = accuracy(|row| linear.score(row), &features, test);
    println!("linear utility: {curved} against {straight} of the linear head");
    assert!(straight > 0.75, "{straight}");
    assert!((curved - straight).abs() < 0.02, "{curved} against {straight}");
}

/// Few noisy pairs, so that training longer makes the held-out loss worse. The columns are far from standardised.
fn overfitting() -> (Features, Vec<Comparison>) {
    let mut random = Random::new(6);
    let standard = normal_features(600, 12, &mut random);
    let mut features = Features::new(13);
    for row in 0..standard.rows() {
        let shift = |(column, value): (usize, &f32)| 30.0 * column as f32 + value * (column as f32 + 0.5);
        let mut values: Vec<f32> = standard.row(row).iter().enumerate().map(shift).collect();
        values.push(7.0);
        features.push(&values);
    }
    let mut pairs = compare(&features, 1.0, &mut random, first);
    for (index, pair) in pairs.iter_mut().enumerate() {
        (pair.margin, pair.weight) = ((index % 3) as f64 * 0.2, 0.5 + (index % 4) as f64);
    }
    (features, pairs)
}

#[test]
fn the_head_of_the_best_epoch_is_kept() {
    let (features, pairs) = overfitting();
    let (training, held_out) = pairs.split_at(150);
    let settings = MlpConfig { patience: 3, ..quick() };
    let MlpFit { head, held_out_path, best_epoch, stopped } =
        fit_mlp(&features, training, held_out, &settings).expect("finite");
    let score = |row: usize| -> f64 {
        let unit = |unit: usize| -> f64 {
            let sums = features.row(row).iter().enumerate();
            sums.map(|(column, value)| f64::from(*value) * head.input_weights[16 * column + unit]).sum()
        };
        (0..16).map(|index| (unit(index) + head.hidden_biases[index]).tanh() * head.output_weights[index]).sum::<f64>()
            + head.output_bias
    };
    let loss = |pair: &Comparison| (1.0 + (score(pair.rejected) - score(pair.chosen)).exp()).ln();
    let recomputed = held_out.iter().map(loss).sum::<f64>() / held_out.len() as f64;
    println!("best epoch {best_epoch}, path {held_out_path:?}");
    assert!((recomputed - held_out_path[best_epoch - 1]).abs() < 1e-9, "{recomputed}");
    assert!(held_out_path.iter().all(|loss| *loss >= held_out_path[best_epoch - 1]));
    assert_eq!(held_out_path.len(), best_epoch + 3);
    assert!(held_out_path.len() > 4, "it never got better");
    assert_eq!(stopped, Stopped::Early);
    // Every training item stands in one pair, so the mean is over all of them.
    let mean = training.iter().map(|pair| score(pair.chosen) + score(pair.rejected)).sum::<f64>() / 300.0;
    assert!(mean.abs() < 1e-9, "{mean}");
    // The constant column says nothing.
    assert!(head.input_weights[12 * 16..].iter().all(|weight| *weight == 0.0));
    let few = MlpConfig { max_epochs: 1, ..settings };
    assert_eq!(fit_mlp(&features, training, held_out, &few).expect("finite").stopped, Stopped::MostEpochs);
}

#[test]
fn standardisation_makes_the_units_of_the_features_irrelevant() {
    let mut random = Random::new(8);
    let features = normal_features(400, 3, &mut random);
    let pairs = compare(&features, 0.5, &mut random, first);
    let mut other_units = Features::new(3);
    for row in 0..features.rows() {
        // Powers of two, so that nothing but the exponent changes.
        let [a, b, c] = [features.row(row)[0], features.row(row)[1], features.row(row)[2]];
        other_units.push(&[a * 1024.0, b / 512.0, c]);
    }
    let settings = MlpConfig { max_epochs: 4, ..quick() };
    let trained = |features: &Features| fit_mlp(features, &pairs[..100], &pairs[100..], &settings).expect("finite");
    let (one, other) = (trained(&features), trained(&other_units));
    for (left, right) in one.held_out_path.iter().zip(&other.held_out_path) {
        assert!((left - right).abs() < 1e-12, "{left} against {right}");
    }
}

fn message(features: &Features, training: &[Comparison], held_out: &[Comparison], settings: &MlpConfig) -> String {
    fit_mlp(features, training, held_out, settings).expect_err("must fail").to_string()
}

#[test]
fn a_feature_that_is_no_number_is_named() {
    let mut random = Random::new(9);
    let mut features = normal_features(7, 2, &mut random);
    features.push(&[0.5, f32::NAN]);
    let pairs = [plain(0, 1), plain(3, 2), plain(4, 7), plain(5, 6)];
    for (training, held_out) in [(&pairs[..3], &pairs[3..]), (&pairs[..2], &pairs[2..])] {
        let text = message(&features, training, held_out, &quick());
        assert!(text.contains("feature row 7 holds NaN in column 1; such rows: 1"), "{text}");
    }
}

#[test]
fn the_first_loss_that_is_no_number_names_epoch_step_and_rows() {
    let mut random = Random::new(10);
    let features = normal_features(200, 2, &mut random);
    let mut pairs = compare(&features, 0.5, &mut random, first);
    let settings = MlpConfig { batch_size: 10, ..quick() };
    // An infinite margin makes the loss of its own comparison infinite; the batch it is in comes up in the first epoch.
    pairs[33].margin = f64::INFINITY;
    let text = message(&features, &pairs[..80], &pairs[80..], &settings);
    assert!(text.contains("head: epoch 1, step "), "{text}");
    let named = format!("comparisons of feature rows {} over {}\n", pairs[33].chosen, pairs[33].rejected);
    assert!(text.contains("the loss is inf") && text.contains(&named), "{text}");
    // A weight that is no number spoils the whole batch, which is then named.
    (pairs[33].margin, pairs[33].weight) = (0.0, f64::NAN);
    let text = message(&features, &pairs[..80], &pairs[80..], &settings);
    assert!(text.contains("the loss is NaN") && text.contains(" over ") && text.contains(" and 5 more"), "{text}");
}

#[test]
fn steps_that_are_too_large_are_an_error_with_the_remedy() {
    let (features, pairs) = overfitting();
    for learning_rate in [30.0, 1e150, f64::MAX] {
        let text = message(&features, &pairs[..150], &pairs[150..], &MlpConfig { learning_rate, ..quick() });
        println!("{learning_rate}: {text}");
        assert!(text.starts_with("error[numeric]") && text.contains("set a learning_rate below"), "{text}");
    }
}

#[test]
fn what_cannot_be_trained_on_is_an_error_and_what_is_small_is_not() {
    let mut features = Features::new(2);
    [[1.0, 5.0], [2.0, 5.0], [1.0, 5.0]].iter().for_each(|row| features.push(row));
    let (one, same) = ([plain(0, 1)], [plain(0, 2)]);
    let trained = fit_mlp(&features, &one, &one, &quick()).expect("one comparison is enough to train on");
    assert!(trained.head.score(&[1.0, 5.0]) > trained.head.score(&[2.0, 5.0]));
    assert!(message(&features, &same, &one, &quick()).contains("no feature differs"));
    assert!(message(&features, &[], &[], &quick()).contains("no comparison to train on"));
    assert!(message(&features, &one, &[], &quick()).contains("no held-out comparison"));
    let wrong = MlpConfig { hidden: 0, patience: 0, learning_rate: f64::NAN, weight_decay: -1.0, ..quick() };
    let text = message(&features, &one, &one, &wrong);
    for name in ["head.hidden", "head.patience", "head.learning_rate", "head.weight_decay"] {
        assert!(text.contains(name), "{text}");
    }
}

/// Large enough that candle's matrix product uses several threads.
fn bits(seed: u64) -> Vec<u64> {
    let mut random = Random::new(12);
    let features = normal_features(600, 160, &mut random);
    let pairs = compare(&features, 1.0, &mut random, first);
    let settings = MlpConfig { batch_size: 128, max_epochs: 3, seed, ..MlpConfig::default() };
    let MlpFit { head, held_out_path, .. } =
        fit_mlp(&features, &pairs[..256], &pairs[256..], &settings).expect("finite");
    let numbers = [head.input_weights, head.hidden_biases, head.output_weights, vec![head.output_bias], held_out_path];
    numbers.concat().iter().map(|number| number.to_bits()).collect()
}

/// Asks the variables' programs for the bits of one fit, since the thread counts are read once per process.
const CHILD: &str = "ENSEMBLE_TEST_PRINT_BITS";

#[test]
fn a_seed_decides_every_bit_and_threads_none() {
    let digest = |bits: &[u64]| blake3::hash(format!("{bits:?}").as_bytes()).to_string();
    let here = digest(&bits(1));
    if std::env::var_os(CHILD).is_some() {
        writeln!(std::io::stdout(), "digest {here}.").expect("written");
        return;
    }
    assert_eq!(here, digest(&bits(1)));
    assert_ne!(here, digest(&bits(2)));
    for threads in ["1", "2", "3"] {
        let name = "head::mlp::tests::a_seed_decides_every_bit_and_threads_none";
        let mut command = std::process::Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", name, "--nocapture"]).env(CHILD, "1");
        let output = command.env("RAYON_NUM_THREADS", threads).env("CANDLE_NUM_THREADS", threads).output();
        let text = String::from_utf8(output.expect("started").stdout).expect("text");
        assert!(text.contains(&format!("digest {here}.")), "{threads} threads: {text}");
    }
}
