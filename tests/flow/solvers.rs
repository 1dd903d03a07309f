//! All solvers reach the same optimum on the features of the sample data.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use ensemble::backbone::Backbone;
use ensemble::config;
use ensemble::data::{self, Split};
use ensemble::features::{Extractor, embed};
use ensemble::head::{Comparison, DIFFERENCE_MEMORY, FitSettings, Solver, fit};
use ensemble::logistic::log_sigmoid;
use ensemble::progress::Silent;

use crate::project::trained;

#[test]
fn newton_lbfgs_and_streaming_agree_on_real_features() {
    let project = trained();
    let config = config::load(&project.path("configs/quickstart.yaml"), &[]).expect("config");
    let dataset = data::load(&config).expect("data");
    let backbone = Backbone::open(&config.backbone).expect("backbone");
    let extractor = Extractor::new(&backbone, 2).expect("threads");
    let (matrices, _) = embed(&extractor, &dataset.items, &config.output.cache, &Silent).expect("cached");
    for objective in &dataset.objectives {
        let training: Vec<Comparison> = objective
            .pairs
            .iter()
            .filter(|pair| pair.split == Split::Train)
            .map(|pair| Comparison { preference: pair.preference, ..Comparison::hard(pair.chosen, pair.rejected) })
            .collect();
        let solve = |solver, memory| {
            let settings = FitSettings { solver, memory, ..FitSettings::with_l2(10.0) };
            let fitted = fit(&matrices[0], &training, &settings).expect("convex");
            let score = |row: usize| fitted.head.score(matrices[0].row(row));
            let loss = |pair: &Comparison| {
                let z = score(pair.chosen) - score(pair.rejected);
                -(pair.preference * log_sigmoid(z) + (1.0 - pair.preference) * log_sigmoid(-z))
            };
            let penalty: f64 = fitted.standardised_weights.iter().map(|weight| weight * weight).sum();
            (training.iter().map(loss).sum::<f64>() + 5.0 * penalty, fitted.standardised_weights)
        };
        let (best, newton) = solve(Solver::Newton, DIFFERENCE_MEMORY);
        for memory in [DIFFERENCE_MEMORY, 0] {
            let (loss, weights) = solve(Solver::Lbfgs, memory);
            let farthest = newton.iter().zip(&weights).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let relative = (loss / best - 1.0).abs();
            println!("{}: loss {relative:.1e} apart, weights {farthest:.1e}", objective.name);
            assert!(relative < 1e-8 && farthest < 1e-5, "{}: {relative:e} {farthest:e}", objective.name);
        }
    }
}
