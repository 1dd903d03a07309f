//! A seeded stream of random numbers that is the same on every machine.
//!
//! xoshiro256++ (Blackman & Vigna, Scrambled linear pseudorandom number generators, ACM TOMS 2021, arXiv 1805.01407),
//! its state filled by splitmix64 as its authors advise (Steele, Lea & Flood, OOPSLA 2014). Whole numbers and `libm`
//! only, so that a seed means the same weights everywhere.

/// The generator. Not for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream that belongs to `seed`; every seed is as good as another.
    pub fn new(seed: u64) -> Self {
        let mut source = seed;
        Self { state: std::array::from_fn(|_| splitmix64(&mut source)) }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let state = &mut self.state;
        let output = state[0].wrapping_add(state[3]).rotate_left(23).wrapping_add(state[0]);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        output
    }

    /// Uniform in (0, 1), neither end included.
    pub fn uniform(&mut self) -> f64 {
        open_unit(self.bits())
    }

    /// Normal with mean 0 and deviation 1 (Box & Muller 1958; the second number of each pair is not used).
    pub fn normal(&mut self) -> f64 {
        let (radius, turn) = (self.uniform(), self.uniform());
        (-2.0 * libm::log(radius)).sqrt() * libm::cos(2.0 * std::f64::consts::PI * turn)
    }

    /// Puts `items` in a random order, each order as likely as another (Fisher & Yates; Knuth, volume 2, algorithm P).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// Uniform in 0..`bound`, for a bound above 0: the high half of a 128-bit product, drawn again where some numbers
    /// would come up once more often than others (Lemire, ACM TOMACS 2019, arXiv 1805.10941).
    fn below(&mut self, bound: u64) -> u64 {
        let uneven = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            if product as u64 >= uneven {
                return (product >> 64) as u64;
            }
        }
    }
}

/// The middle of one of 2^52 equal parts of (0, 1). With 2^53 parts the last middle would be rounded to 1.
fn open_unit(bits: u64) -> f64 {
    ((bits >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_reference_implementation() {
        // From Vigna's xoshiro256plusplus.c with the state 1, 2, 3, 4.
        let mut random = Random { state: [1, 2, 3, 4] };
        let expected = [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386];
        assert_eq!(std::array::from_fn(|_| random.bits()), expected);
        let fifth_to_seventh = [9_228_616_714_210_784_205, 9_973_669_472_204_895_162, 14_011_001_112_246_962_877];
        assert_eq!(std::array::from_fn(|_| random.bits()), fifth_to_seventh);
    }

    #[test]
    fn a_seed_fills_the_state_like_the_reference_implementation() {
        // From Vigna's splitmix64.c.
        let mut state = 1_234_567;
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(std::array::from_fn(|_| splitmix64(&mut state)), expected);
        // The rand crate documents these for `Xoshiro256PlusPlus::seed_from_u64(0)`.
        let mut random = Random::new(0);
        let expected = [5_987_356_902_031_041_503, 7_051_070_477_665_621_255, 6_633_766_593_972_829_180];
        assert_eq!(std::array::from_fn(|_| random.bits()), expected);
    }

    #[test]
    fn a_seed_is_a_stream() {
        let first = |seed: u64| -> [u64; 8] {
            let mut random = Random::new(seed);
            std::array::from_fn(|_| random.bits())
        };
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }

    #[test]
    fn uniform_never_reaches_an_end() {
        assert!(open_unit(0) > 0.0);
        assert!(open_unit(u64::MAX) < 1.0);
    }

    /// Mean, variance, skewness and kurtosis.
    fn moments(draw: impl FnMut() -> f64) -> [f64; 4] {
        const COUNT: usize = 200_000;
        let values: Vec<f64> = std::iter::repeat_with(draw).take(COUNT).collect();
        let mean = values.iter().sum::<f64>() / COUNT as f64;
        let central = |power: i32| values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / COUNT as f64;
        let variance = central(2);
        [mean, variance, central(3) / variance.powf(1.5), central(4) / variance.powi(2)]
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        // Tolerances are at least four standard errors of 200,000 draws.
        let near = |found: [f64; 4], truth: [f64; 4], tolerance: [f64; 4]| {
            for index in 0..4 {
                assert!((found[index] - truth[index]).abs() < tolerance[index], "{index}: {found:?}");
            }
        };
        let mut random = Random::new(1);
        near(moments(|| random.uniform()), [0.5, 1.0 / 12.0, 0.0, 1.8], [0.003, 0.001, 0.02, 0.02]);
        near(moments(|| random.normal()), [0.0, 1.0, 0.0, 3.0], [0.01, 0.014, 0.025, 0.05]);
    }

    #[test]
    fn shuffles_are_permutations_and_all_equally_likely() {
        let mut random = Random::new(3);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            random.shuffle(&mut items);
            *counts.entry(items).or_insert(0_i32) += 1;
        }
        assert!(counts.keys().all(|items| (0..4).all(|item| items.contains(&item))));
        assert_eq!(counts.len(), 24);
        // χ² with 23 degrees of freedom: mean 23, deviation √46; 57 is exceeded once in 10,000 seeds.
        let chi_square: f64 = counts.values().map(|count| f64::from(count - 1000).powi(2) / 1000.0).sum();
        assert!(chi_square < 57.0, "{chi_square}");
    }

    #[test]
    fn large_bounds_are_not_biased() {
        // At 3·2^62 a remainder would favour the lowest third, and an unrejected product the multiples of three.
        let (mut random, bound) = (Random::new(5), 3_u64 << 62);
        let (mut thirds, mut residues) = ([0_i32; 3], [0_i32; 3]);
        for _ in 0..30_000 {
            let number = random.below(bound);
            thirds[(number >> 62) as usize] += 1;
            residues[(number % 3) as usize] += 1;
        }
        // One count has a deviation of 82.
        assert!(thirds.iter().chain(&residues).all(|count| (count - 10_000).abs() < 400), "{thirds:?} {residues:?}");
        random.shuffle(&mut [0; 0]);
    }
}
