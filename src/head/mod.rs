//! The reward head: fitted on labels to the exact optimum, with what it does not know.
//!
//! Works on feature rows and indices; knows nothing of texts. All sums are f64 in a fixed order, so the same labels give
//! the same bits with any number of threads.

mod centring;
mod control;
mod cross_validation;
mod factor;
mod label_noise;
mod lbfgs;
mod leave_one_out;
mod likelihood;
mod linear_algebra;
mod low_rank;
mod mlp;
mod newton;
mod novelty;
mod plackett_luce;
mod posterior;
mod preconditioner;
mod problem;
mod regression;
mod standardise;

pub use control::{Control, pair_rank_correlation, signed_ranks};
pub use factor::{DenseFactor, Factor};
pub use label_noise::doubt_labels;
pub use leave_one_out::{HeldOutPair, Influence, LeaveOut, leave_one_out};
pub use mlp::{MlpFit, MlpHead, Stopped, fit_mlp};
pub use novelty::TrainingDistribution;
pub use posterior::{Posterior, last_layer_posterior};
pub use regression::{RatedRow, fit_ratings};
pub use standardise::Standardiser;

use std::borrow::Cow;

use crate::error::{Error, Fault, Result};
use crate::features::FeatureRows;
use cross_validation::{Choice, choose_l2};
use likelihood::{Likelihood, is_tie};
use linear_algebra::dot;
use newton::Solution;
use plackett_luce::{Order, Ranking};
use preconditioner::Preconditioner;
use problem::Problem;

/// One comparison of two feature rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Row of the preferred item.
    pub chosen: usize,
    /// Row of the other item.
    pub rejected: usize,
    /// Share of labelers who prefer `chosen`, 0..=1.
    pub preference: f64,
    /// Comparisons with the same group never stand in two folds (same prompt, same group).
    pub group: u64,
    /// By how much the score of `chosen` should lead, in units of the log-odds; 0 for none. It shapes the training and
    /// is left out wherever a fit is judged.
    pub margin: f64,
    /// How much the comparison counts; 1 is plain, k counts like k copies. Finite and above 0.
    pub weight: f64,
}

impl Comparison {
    /// A hard label of weight 1 without a margin, in a group of its own row.
    pub fn hard(chosen: usize, rejected: usize) -> Self {
        Self { chosen, rejected, preference: 1.0, group: chosen as u64, margin: 0.0, weight: 1.0 }
    }
}

/// What the labels of pairs are taken to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PairLoss {
    /// Bradley-Terry; a tie is half a vote for each.
    #[default]
    BradleyTerry,
    /// Davidson's model, with a fitted tie parameter.
    Davidson,
    /// Groups that are whole orders of three or more count as one ranking by Plackett–Luce, the rest by Bradley-Terry.
    PlackettLuce,
}

/// Which way the optimum is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Solver {
    /// L-BFGS, and up to a few thousand columns with differences in memory Newton's steps at its end: as exact as those
    /// alone, with far fewer Hessians.
    #[default]
    Automatic,
    /// Newton's steps.
    Newton,
    /// L-BFGS.
    Lbfgs,
}

/// How to fit a head.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSettings {
    /// Fixed L2 penalty; `None` chooses from the grid by grouped cross-validation.
    pub l2: Option<f64>,
    /// Candidates, ascending.
    pub l2_grid: Vec<f64>,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// The labels' model.
    pub loss: PairLoss,
    /// ε: a label p counts as (1 − ε)p + ε(1 − p); 0 for none.
    pub label_smoothing: f64,
    /// Weight of Σ c (r_chosen + r_rejected)², which keeps scores around zero (Eisenstein et al. 2023, arXiv 2312.09244;
    /// TRL's key of the same name); 0 for none.
    pub center_rewards_coefficient: f64,
    /// What the head must not follow.
    pub controls: Vec<Control>,
    /// Which way the optimum is reached.
    pub solver: Solver,
    /// Differences are kept in memory up to this many bytes and made anew on every pass beyond. Whole rankings of
    /// Plackett–Luce are always kept, and so are differences without their zeros.
    pub memory: usize,
}

/// Most bytes of differences kept in memory by default: a million pairs of 256 columns.
pub const DIFFERENCE_MEMORY: usize = 2 << 30;
/// Fits after which the directions that a constrained head must not follow are taken as they are.
const CONTROL_ROUNDS: usize = 6;
/// A rank correlation this small is none.
const NO_CORRELATION: f64 = 0.005;
/// More columns than this are not solved by Newton's method: the Hessian's factor would cost more than it saves.
const WIDEST_NEWTON: usize = 2048;
/// L-BFGS goes on until the gradient is this small compared with its start.
const TOLERANCE: f64 = 1e-10;
/// The same where Newton's method goes on.
const NEAR: f64 = 1e-5;

impl FitSettings {
    /// Plain Bradley-Terry with a fixed penalty.
    pub fn with_l2(l2: f64) -> Self {
        Self { l2: Some(l2), ..Self::choosing(Vec::new(), 2) }
    }

    /// Plain Bradley-Terry with a penalty chosen from `l2_grid` by cross-validation.
    pub fn choosing(l2_grid: Vec<f64>, folds: usize) -> Self {
        Self {
            l2: None,
            l2_grid,
            folds,
            loss: PairLoss::default(),
            label_smoothing: 0.0,
            center_rewards_coefficient: 0.0,
            controls: Vec::new(),
            solver: Solver::default(),
            memory: DIFFERENCE_MEMORY,
        }
    }

    fn likelihood(&self) -> Likelihood {
        if self.loss == PairLoss::Davidson { Likelihood::Davidson } else { Likelihood::BradleyTerry }
    }
}

/// A fitted linear head.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHead {
    /// Weights on the features as they are (standardisation folded in), `(width)`.
    pub weights: Vec<f64>,
    /// Makes the mean score of the training items zero.
    pub bias: f64,
}

impl LinearHead {
    /// w·h + b, summed in index order in f64.
    pub fn score(&self, features: &[f32]) -> f64 {
        let mut sum = self.bias;
        for (weight, value) in self.weights.iter().zip(features) {
            sum += weight * f64::from(*value);
        }
        sum
    }
}

/// A head of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// One direction in the features.
    Linear(LinearHead),
    /// A hidden layer and a direction in what it gives.
    Mlp(MlpHead),
}

impl Head {
    /// The raw score of a feature vector.
    pub fn score(&self, features: &[f32]) -> f64 {
        match self {
            Self::Linear(head) => head.score(features),
            Self::Mlp(head) => head.score(features),
        }
    }

    /// What the last layer sees of a feature vector: its columns themselves, or the hidden units.
    pub fn last_layer_input<'a>(&self, features: &'a [f32]) -> Cow<'a, [f32]> {
        match self {
            Self::Linear(_) => Cow::Borrowed(features),
            Self::Mlp(head) => Cow::Owned(head.hidden(features).into_iter().map(|unit| unit as f32).collect()),
        }
    }
}

/// A head with how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The head.
    pub head: LinearHead,
    /// Weights on standardised features, which the penalty acts on.
    pub standardised_weights: Vec<f64>,
    /// The L2 penalty used.
    pub l2: f64,
    /// Cross-validated mean loss per candidate; empty for a fixed penalty.
    pub l2_path: Vec<(f64, f64)>,
    /// Euclidean norm of the gradient at the solution.
    pub gradient_norm: f64,
    /// Steps of the solver.
    pub iterations: usize,
    /// Davidson's θ = log ν: the log-odds of a tie against a win between equals, up to log 2.
    pub tie_parameter: Option<f64>,
    /// The ε that labels were smoothed by.
    pub label_smoothing: f64,
    /// What the head does not know.
    pub posterior: Posterior,
}

impl Fit {
    /// The share that a label counted as.
    pub(crate) fn smoothed(&self, preference: f64) -> f64 {
        smooth(preference, self.label_smoothing)
    }
}

fn smooth(preference: f64, smoothing: f64) -> f64 {
    if is_tie(preference) { preference } else { (1.0 - smoothing) * preference + smoothing * (1.0 - preference) }
}

/// Fits a head on `comparisons` of rows of `features`.
///
/// Exchanging chosen and rejected in every comparison negates the weights bit for bit.
///
/// # Errors
/// [`Error::Numeric`] when no feature varies, the labels decide nothing or everything (see [`FitSettings::l2`]), or the
/// optimum cannot be reached; what reading a row reports.
pub fn fit(features: &dyn FeatureRows, comparisons: &[Comparison], settings: &FitSettings) -> Result<Fit> {
    let (optimum, standardiser, precision) = optimum(features, comparisons, settings, posterior::precision)?;
    let Optimum { head, standardised_weights, l2, l2_path, gradient_norm, iterations, tie_parameter } = optimum;
    let label_smoothing = settings.label_smoothing;
    let posterior = Posterior { precision, standardiser };
    Ok(Fit {
        head,
        standardised_weights,
        l2,
        l2_path,
        gradient_norm,
        iterations,
        tie_parameter,
        label_smoothing,
        posterior,
    })
}

/// The head that [`fit`] finds, to ten digits, for a fraction of the cost: without a posterior, and by L-BFGS alone.
///
/// # Errors
/// As [`fit`].
pub fn fit_head(features: &dyn FeatureRows, comparisons: &[Comparison], settings: &FitSettings) -> Result<LinearHead> {
    let settings = FitSettings { solver: Solver::Lbfgs, ..settings.clone() };
    Ok(optimum(features, comparisons, &settings, |_, _| Ok(()))?.0.head)
}

/// What the minimum of the loss gives; the fields are those of [`Fit`].
struct Optimum {
    head: LinearHead,
    standardised_weights: Vec<f64>,
    l2: f64,
    l2_path: Vec<(f64, f64)>,
    gradient_norm: f64,
    iterations: usize,
    tie_parameter: Option<f64>,
}

/// Finds the minimum, and what `look` sees of the problem there.
fn optimum<T>(
    features: &dyn FeatureRows,
    comparisons: &[Comparison],
    settings: &FitSettings,
    look: impl FnOnce(&Problem<'_>, &[f64]) -> Result<T>,
) -> Result<(Optimum, Standardiser, T)> {
    let comparisons = ordered(comparisons);
    check_labels(&comparisons, settings.loss)?;
    let mut standardiser = Standardiser::new(features, &comparisons)?;
    standardiser.forbidden = control::forbidden(features, &standardiser, &settings.controls, None)?;
    let (mut problem, mut middle) = problem_of(features, &comparisons, &standardiser, settings)?;
    let mut choice = match settings.l2 {
        Some(l2) => Choice { l2, path: Vec::new(), preconditioner: None },
        None => choose_l2(&problem, &settings.l2_grid, settings.folds)?,
    };
    if !standardiser.forbidden.is_empty() {
        drop(problem);
        for _ in 0..CONTROL_ROUNDS {
            let better = better_forbidden(features, &comparisons, &standardiser, (settings, choice.l2))?;
            let Some(forbidden) = better else { break };
            standardiser.forbidden = forbidden;
            // Where a direction was taken out that is free now, the matrix knows of no curvature.
            choice.preconditioner = None;
        }
        (problem, middle) = problem_of(features, &comparisons, &standardiser, settings)?;
    }
    let Choice { l2, path: l2_path, preconditioner } = choice;
    problem.set_l2(l2);
    let Solution { mut parameters, gradient_norm, iterations } = solve(&problem, settings.solver, preconditioner)?;
    if l2 == 0.0 {
        refuse_separation(&problem, &parameters)?;
    }
    let seen = look(&problem, &parameters)?;
    let tie_parameter = (parameters.len() > problem.width()).then(|| parameters.pop()).flatten();
    let weights = standardiser.fold(&parameters);
    let bias = -dot(&weights, &standardiser.means) - dot(&parameters, &middle);
    drop(problem);
    let head = LinearHead { weights, bias };
    let standardised_weights = parameters;
    let optimum = Optimum { head, standardised_weights, l2, l2_path, gradient_norm, iterations, tie_parameter };
    Ok((optimum, standardiser, seen))
}

/// The directions to take out after a look at the ranks of the scores of a fit without the present ones; `None` where
/// those leave nothing that ranks follow.
fn better_forbidden(
    features: &dyn FeatureRows,
    comparisons: &[Comparison],
    standardiser: &Standardiser,
    (settings, l2): (&FitSettings, f64),
) -> Result<Option<Vec<Vec<f64>>>> {
    let (mut problem, _) = problem_of(features, comparisons, standardiser, settings)?;
    problem.set_l2(l2);
    let weights = solve(&problem, settings.solver, None)?.parameters[..problem.width()].to_vec();
    if control::largest_correlation(features, standardiser, &settings.controls, &weights)? <= NO_CORRELATION {
        return Ok(None);
    }
    let free = Standardiser { forbidden: Vec::new(), ..standardiser.clone() };
    control::forbidden(features, &free, &settings.controls, Some(&weights)).map(Some)
}

/// The comparisons in an order in which exchanging the two sides of every one changes nothing.
fn ordered(comparisons: &[Comparison]) -> Vec<Comparison> {
    let mut ordered = comparisons.to_vec();
    let key = |one: &Comparison| {
        let labels = [one.preference, one.margin, one.weight].map(f64::to_bits);
        (one.chosen.min(one.rejected), one.chosen.max(one.rejected), labels, one.chosen)
    };
    ordered.sort_by_key(key);
    ordered
}

fn check_labels(comparisons: &[Comparison], loss: PairLoss) -> Result<()> {
    let ties = comparisons.iter().filter(|comparison| is_tie(comparison.preference)).count();
    let refused = |found: String, help: &str| Err(Error::Numeric(vec![Fault::new("head", found).help(help)]));
    match (comparisons.len(), ties) {
        (0, _) => refused("no training pair".to_owned(), "add training pairs"),
        (all, ties) if ties == all => {
            refused(format!("all {all} training pairs are ties: no preference information"), "add decided pairs")
        }
        (all, 0) if loss == PairLoss::Davidson => refused(
            format!("none of the {all} training pairs is a tie, so Davidson's tie parameter is not decided"),
            "use loss: bradley_terry, or keep the ties of the sources",
        ),
        _ => Ok(()),
    }
}

/// The problem with rankings, centring and soft control, and the middle of its pairs, which the bias takes off.
fn problem_of<'a>(
    features: &'a dyn FeatureRows,
    comparisons: &[Comparison],
    standardiser: &'a Standardiser,
    settings: &FitSettings,
) -> Result<(Problem<'a>, Vec<f64>)> {
    let (orders, mut pairs) = match settings.loss {
        PairLoss::PlackettLuce => plackett_luce::rankings(comparisons),
        PairLoss::BradleyTerry | PairLoss::Davidson => (Vec::new(), comparisons.to_vec()),
    };
    for pair in &mut pairs {
        pair.preference = smooth(pair.preference, settings.label_smoothing);
    }
    let mut problem = Problem::new(features, &pairs, standardiser, settings.likelihood(), settings.memory)?;
    problem.rankings = orders.iter().map(|order| ranking(features, standardiser, order)).collect::<Result<_>>()?;
    let mut middle = vec![0f64; features.width()];
    if settings.center_rewards_coefficient > 0.0 {
        let coefficient = settings.center_rewards_coefficient;
        middle = centring::add(&mut problem.quadratic, features, standardiser, comparisons, coefficient)?;
    }
    let weight = problem.total_weight();
    control::add_penalties(&mut problem.quadratic, features, standardiser, &settings.controls, weight)?;
    Ok((problem, middle))
}

fn ranking(features: &dyn FeatureRows, standardiser: &Standardiser, order: &Order) -> Result<Ranking> {
    let mut buffer = vec![0f32; features.width()];
    let mut item = |row: &usize| {
        features.copy_row(*row, &mut buffer)?;
        Ok(standardiser.position(&buffer))
    };
    let items = order.rows.iter().map(&mut item).collect::<Result<_>>()?;
    Ok(Ranking { items, weight: order.weight, group: order.group })
}

/// Finds the minimum; `known` preconditions the way there.
fn solve(problem: &Problem<'_>, solver: Solver, known: Option<Preconditioner>) -> Result<Solution> {
    if solver == Solver::Newton {
        return newton::minimise(problem);
    }
    let known =
        known.map_or_else(|| Preconditioner::for_penalties(problem, &[problem.l2], 1.0), |known| Ok(vec![known]));
    let descend = |tolerance| lbfgs::minimise(problem, &known?[0], tolerance);
    if solver == Solver::Automatic && problem.dimension() <= WIDEST_NEWTON && problem.is_kept() {
        // Where L-BFGS gets nowhere, Newton's method says why.
        let (near, before) = descend(NEAR).map_or((problem.start(), 0), |near| (near.parameters, near.iterations));
        let solution = newton::minimise_from(problem, near)?;
        return Ok(Solution { iterations: before + solution.iterations, ..solution });
    }
    descend(TOLERANCE)
}

/// Without a penalty, labels that a direction predicts without exception have no optimum: the loss falls for ever as
/// the weights grow (Albert & Anderson 1984).
fn refuse_separation(problem: &Problem<'_>, parameters: &[f64]) -> Result<()> {
    let predictions = problem.predictions(parameters)?;
    let right = |(z, label): (&f64, &problem::Label)| label.preference == 1.0 && *z > 0.0;
    if !predictions.iter().zip(problem.labels()).all(right) || predictions.is_empty() {
        return Ok(());
    }
    let found = format!("all {} training pairs are ranked right by one direction, and l2 is 0", predictions.len());
    Err(Error::Numeric(vec![
        Fault::new("head", format!("{found}: the weights would grow without end"))
            .accepts("l2 above 0 for labels that are perfectly separable")
            .help("set head.l2 above 0, or head.l2: auto"),
    ]))
}

#[cfg(test)]
mod tests;
