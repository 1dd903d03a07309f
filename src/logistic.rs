//! The logistic function and its logarithm, exact at both ends: what losses, normalizers and metrics share.
//!
//! `libm` instead of the platform's functions, so that results do not depend on the C library.

/// σ(x) = 1 / (1 + e⁻ˣ), without overflow.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let exponential = libm::exp(x);
        exponential / (1.0 + exponential)
    }
}

/// log σ(x) = min(x, 0) − log(1 + e^−|x|), without overflow.
pub fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - libm::log1p(libm::exp(-x.abs()))
}

/// σ(x), σ(−x), log σ(x) and log σ(−x), with the bits of [`sigmoid`] and [`log_sigmoid`] for the price of one.
pub fn both_sides(x: f64) -> ([f64; 2], [f64; 2]) {
    let exponential = libm::exp(-x.abs());
    let (near, far) = (1.0 / (1.0 + exponential), exponential / (1.0 + exponential));
    let logarithm = libm::log1p(exponential);
    let shares = if x >= 0.0 { [near, far] } else { [far, near] };
    (shares, [x.min(0.0) - logarithm, (-x).min(0.0) - logarithm])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_stay_finite_and_agree(x in -1e4f64..1e4) {
            prop_assert!(log_sigmoid(x).is_finite());
            let apart = ([sigmoid(x), sigmoid(-x)], [log_sigmoid(x), log_sigmoid(-x)]);
            prop_assert_eq!(both_sides(x), apart);
            prop_assert!((sigmoid(x) + sigmoid(-x) - 1.0).abs() < 1e-12);
            if x.abs() < 30.0 {
                prop_assert!((log_sigmoid(x).exp() - sigmoid(x)).abs() < 1e-12);
            }
        }
    }
}
