//! Many fits at once, each on all folds but one: every block of differences is read once for all of them, and the work on
//! it is two matrix products.

use rayon::prelude::*;

use super::{Block, Label, Problem};
use crate::error::Result;
use crate::head::likelihood::LossSum;
use crate::head::linear_algebra::{add_scaled, dot};
use crate::head::newton::Point;

/// A problem whose groups are dealt to folds.
pub(in crate::head) struct Folds<'p, 'a> {
    problem: &'p Problem<'a>,
    count: u64,
    /// The weight of all labels.
    weight: f64,
    /// Share of the weight that is outside each fold.
    shares: Vec<f64>,
}

/// Where a fit that leaves out a fold asks for its loss.
pub(in crate::head) struct Trial {
    /// The fold left out.
    pub(in crate::head) fold: u64,
    /// Its penalty λ.
    pub(in crate::head) l2: f64,
    /// The parameters, `(dimension)`.
    pub(in crate::head) parameters: Vec<f64>,
}

/// What is found there.
pub(in crate::head) struct Evaluation {
    /// The parameters with the loss and its gradient on the other folds.
    pub(in crate::head) point: Point,
    /// How badly they predict the labels of the fold left out: the weighted loss with all margins 0, without penalties.
    ///
    /// A margin asks of the training that strong preferences stand further apart; it is no part of the probability that a
    /// difference of scores means, so what judges a fit leaves it out (as arXiv 2307.09288 does).
    pub(in crate::head) held_out: f64,
}

/// Sums over pairs for one trial.
#[derive(Clone, Copy, Default)]
struct Sums {
    loss: f64,
    tie_slope: f64,
    held_out: f64,
}

impl<'p, 'a> Folds<'p, 'a> {
    /// The folds of `problem`: a group is in fold `group` modulo `count`.
    pub(in crate::head) fn new(problem: &'p Problem<'a>, count: usize) -> Self {
        let count = count as u64;
        let mut inside = vec![0f64; count as usize];
        problem.labels.iter().for_each(|label| inside[(label.group % count) as usize] += label.weight);
        problem.rankings.iter().for_each(|ranking| inside[(ranking.group % count) as usize] += ranking.total_weight());
        let weight = problem.total_weight();
        let shares = inside.into_iter().map(|inside| 1.0 - inside / weight).collect();
        Self { problem, count, weight, shares }
    }

    /// How many.
    pub(in crate::head) fn count(&self) -> u64 {
        self.count
    }

    /// The weight that a fit without `fold` is trained on.
    pub(in crate::head) fn training_weight(&self, fold: u64) -> f64 {
        self.shares[fold as usize] * self.weight
    }

    /// The loss of every trial with its gradient, and what it says of its fold. Q counts by the share of the weight that
    /// is trained on.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a loss is not finite or candle's matrix product fails; what reading a row reports.
    pub(in crate::head) fn evaluate(&self, trials: Vec<Trial>) -> Result<Vec<Evaluation>> {
        let (problem, width) = (self.problem, self.problem.width);
        let weights: Vec<f64> = trials.iter().flat_map(|trial| &trial.parameters[..width]).copied().collect();
        let block = |block: Block<'_>, labels: &[Label]| {
            let mut along = block.times(&weights, trials.len())?;
            let sums = self.slopes(&mut along, labels, &trials);
            Ok((sums, block.combined(along, trials.len())?))
        };
        let mut totals = vec![Sums::default(); trials.len()];
        let mut gradients = vec![0f64; trials.len() * width];
        problem.fold_blocks(trials.len(), block, |(sums, part)| {
            totals.iter_mut().zip(sums).for_each(|(total, sum)| total.add(sum));
            add_scaled(&mut gradients, 1.0, &part);
        })?;
        let parts = trials.into_par_iter().zip(totals).zip(gradients.par_chunks_exact(width));
        parts.map(|((trial, sums), gradient)| self.complete(trial, sums, gradient.to_vec())).collect()
    }

    /// Turns z of every pair (rows) for every trial (columns) into the slope of the loss there, 0 for what is left out.
    fn slopes(&self, along: &mut [f64], labels: &[Label], trials: &[Trial]) -> Vec<Sums> {
        // Of each trial the losses of the other folds, the same of its own, and the slope in θ.
        let mut sums = vec![(LossSum::ZERO, LossSum::ZERO, 0.0); trials.len()];
        for (line, label) in along.chunks_exact_mut(trials.len()).zip(labels) {
            let fold = label.group % self.count;
            for ((value, trial), (loss, held_out, tie_slope)) in line.iter_mut().zip(trials).zip(&mut sums) {
                let (inside, tie) = (trial.fold == fold, self.problem.tie(&trial.parameters));
                let margin = if inside { 0.0 } else { label.margin };
                let parts = self.problem.likelihood.parts(*value - margin, tie, label.preference);
                if inside {
                    held_out.add(label.weight, &parts);
                    *value = 0.0;
                } else {
                    loss.add(label.weight, &parts);
                    *tie_slope += label.weight * parts.tie_slope;
                    *value = label.weight * parts.slope;
                }
            }
        }
        let value = |(loss, held_out, tie_slope): (LossSum, LossSum, f64)| Sums {
            loss: loss.value(),
            held_out: held_out.value(),
            tie_slope,
        };
        sums.into_iter().map(value).collect()
    }

    /// Adds rankings and penalties to what the pairs gave.
    fn complete(&self, trial: Trial, mut sums: Sums, mut gradient: Vec<f64>) -> Result<Evaluation> {
        let weights = &trial.parameters[..gradient.len()];
        for ranking in &self.problem.rankings {
            if ranking.group % self.count == trial.fold {
                sums.held_out += ranking.loss(weights);
            } else {
                sums.loss += ranking.add_loss_and_gradient(weights, &mut gradient);
            }
        }
        sums.loss += 0.5 * trial.l2 * dot(weights, weights);
        add_scaled(&mut gradient, trial.l2, weights);
        sums.loss += self.problem.add_quadratic(self.shares[trial.fold as usize], weights, &mut gradient);
        if trial.parameters.len() > gradient.len() {
            gradient.push(sums.tie_slope);
        }
        let point = Point::new(trial.parameters, sums.loss, gradient)?;
        Ok(Evaluation { point, held_out: sums.held_out })
    }
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.tie_slope += other.tie_slope;
        self.held_out += other.held_out;
    }
}
