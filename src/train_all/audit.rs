//! Which labels are probably wrong, and which pairs move the head most: every training pair as a head sees it that was
//! not trained on its label.

use rayon::prelude::*;

use super::columns::Columns;
use super::fit::named;
use super::labels::{comparisons, controls, default_settings, settings};
use super::{featurize, read_inputs, search, workers};
use crate::calibrate::needed_temperature;
use crate::config::{Config, HeadKind, ObjectiveConfig};
use crate::data::{Dataset, ObjectivePairs, Split};
use crate::error::{Error, Fault, Result, did_you_mean, quote};
use crate::head::{Comparison, Fit, FitSettings, Influence, LeaveOut, doubt_labels, fit, leave_one_out};
use crate::logistic::log_sigmoid;
use crate::progress::Progress;

/// Training pairs whose influence is computed together.
const INFLUENCE_ROWS: usize = 1024;
/// A label that is less credible than this is called probable noise.
const NOISE: f64 = 0.2;

/// What an audit of one objective's labels found.
pub struct LabelAudit {
    /// The data of the run.
    pub dataset: Dataset,
    /// The objective's place in the config.
    pub objective: usize,
    /// Every training pair, the least credible label first.
    pub pairs: Vec<AuditedPair>,
    /// Mean log-loss of the labels, each as a head predicts it that was not trained on its prompt.
    pub leave_one_out_log_loss: f64,
    /// Held-out pairs (calibration and test) on which influence was measured.
    pub held_out: usize,
}

/// A training pair, as a head sees it that was not trained on its label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AuditedPair {
    /// Its place among the objective's pairs.
    pub pair: usize,
    /// By how much the chosen answer leads for the head that was trained on it, in log-odds.
    pub fitted: f64,
    /// The same for a head that was not, and that doubts the other labels too.
    pub held_out: f64,
    /// The probability that this head gives the label: of a tie or a share of labelers, of their verdict.
    pub credibility: f64,
    /// By how much the mean log-loss of the held-out pairs would rise if the pair were left out: below 0 it does harm.
    pub influence: f64,
    /// By how much their accuracy would change.
    pub accuracy_change: f64,
}

/// Why a label stands among the least credible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The head trusts the other answer: the label is probably noise, or the head cannot see what decided.
    ProbableNoise,
    /// The head had learned it by heart: it trusts the label only because it was trained on it.
    LearnedByHeart,
    /// The head is undecided.
    Undecided,
    /// Nothing speaks against it.
    Credible,
}

impl AuditedPair {
    /// Why it stands where it stands.
    pub fn reason(&self) -> Reason {
        match self.credibility {
            credibility if credibility < NOISE => Reason::ProbableNoise,
            credibility if credibility >= 0.5 => Reason::Credible,
            _ if self.fitted > 0.0 && self.held_out <= 0.0 => Reason::LearnedByHeart,
            _ => Reason::Undecided,
        }
    }
}

impl Reason {
    /// It in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ProbableNoise => "probable label noise: a head that has not seen the label prefers the other answer",
            Self::LearnedByHeart => "learned by heart: the head agrees only because it was trained on the label",
            Self::Undecided => "undecided: the head sees little between the two answers",
            Self::Credible => "credible",
        }
    }
}

/// Audits the labels of one objective of a run; embeds what is not cached, writes nothing but the cache.
///
/// # Errors
/// [`Error::Usage`] when the config has no such objective; what reading, embedding and fitting report.
pub fn audit_labels(config: &Config, name: &str, threads: usize, progress: &dyn Progress) -> Result<LabelAudit> {
    let index = config.objectives.iter().position(|objective| objective.name == name);
    let index = index.ok_or_else(|| unknown(config, name))?;
    let (dataset, backbone) = read_inputs(config, progress)?;
    let (features, _) = featurize(config, &backbone, &dataset.items, threads, progress)?;
    let workers = workers(threads)?;
    let found = workers.install(|| search::search(config, &dataset, &backbone, &features, progress))?;
    let columns = Columns::new(&features[found.chosen], backbone.labels());
    let objective = &config.objectives[index];
    progress.start(name, dataset.objectives[index].pairs.len() as u64);
    let audit = workers.install(|| audit(objective, &dataset, &dataset.objectives[index], &columns));
    let (pairs, leave_one_out_log_loss, held_out) = audit.map_err(|error| named(error, objective))?;
    progress.finish(&format!("{} training pairs, influence on {held_out} held-out pairs", pairs.len()));
    Ok(LabelAudit { dataset, objective: index, pairs, leave_one_out_log_loss, held_out })
}

fn unknown(config: &Config, name: &str) -> Error {
    let names: Vec<&str> = config.objectives.iter().map(|objective| objective.name.as_str()).collect();
    let fault =
        Fault::new("OBJECTIVE", format!("the config has no objective {}", quote(name))).accepts(names.join(", "));
    Error::Usage(vec![match did_you_mean(name, &names) {
        Some(near) => fault.help(format!("did you mean {near}?")),
        None => fault,
    }])
}

fn audit(
    objective: &ObjectiveConfig,
    dataset: &Dataset,
    pairs: &ObjectivePairs,
    columns: &Columns<'_>,
) -> Result<(Vec<AuditedPair>, f64, usize)> {
    // Labels of pairs are audited by a head that is fitted on pairs, whatever the objective's own head is fitted to.
    let settings = match &objective.head {
        HeadKind::Linear(config) => FitSettings { controls: controls(config, dataset, pairs), ..settings(config) },
        HeadKind::Mlp(_) | HeadKind::Pretrained(_) => default_settings(),
    };
    let training = comparisons(&pairs.pairs, Split::Train);
    let places: Vec<usize> = (0..pairs.pairs.len()).filter(|&pair| pairs.pairs[pair].split == Split::Train).collect();
    let fitted = fit(columns.pooled(), &training, &settings)?;
    let by_prompt = leave_one_out(columns.pooled(), &training, &fitted, LeaveOut::Group)?;
    let doubted = doubt_labels(columns.pooled(), &training, &fitted, &settings)?;
    let held_out: Vec<Comparison> =
        [Split::Calibration, Split::Test].iter().flat_map(|split| comparisons(&pairs.pairs, *split)).collect();
    let temperature = temperature(columns, &fitted, &comparisons(&pairs.pairs, Split::Calibration))?;
    let effects = effects(columns, &training, &fitted, (&held_out, temperature))?;
    let losses = training.iter().zip(&by_prompt).map(|(pair, seen)| loss(pair, seen.held_out / temperature));
    let log_loss = losses.sum::<f64>() / training.len().max(1) as f64;
    let mut audited = Vec::with_capacity(training.len());
    for (row, (pair, comparison)) in places.into_iter().zip(&training).enumerate() {
        let chance = doubted[row].probability(temperature);
        let p = comparison.preference;
        audited.push(AuditedPair {
            pair,
            fitted: by_prompt[row].fitted / temperature,
            held_out: doubted[row].held_out / temperature,
            credibility: p * chance + (1.0 - p) * (1.0 - chance),
            influence: effects[row].0,
            accuracy_change: effects[row].1,
        });
    }
    audited.sort_by(|left, right| left.credibility.total_cmp(&right.credibility).then(left.pair.cmp(&right.pair)));
    Ok((audited, log_loss, held_out.len()))
}

/// The log-loss of a label at a calibrated difference of scores.
fn loss(comparison: &Comparison, difference: f64) -> f64 {
    let p = comparison.preference;
    -(p * log_sigmoid(difference) + (1.0 - p) * log_sigmoid(-difference))
}

/// The temperature of a fit on the calibration split.
fn temperature(columns: &Columns<'_>, fitted: &Fit, calibration: &[Comparison]) -> Result<f64> {
    let score = |row: usize| fitted.head.score(columns.pooled().row(row));
    let margins: Vec<f64> = calibration.iter().map(|pair| score(pair.chosen) - score(pair.rejected)).collect();
    let preferences: Vec<f64> = calibration.iter().map(|pair| pair.preference).collect();
    let prompts: Vec<u64> = calibration.iter().map(|pair| pair.group).collect();
    needed_temperature(&margins, &preferences, &prompts)
}

/// What leaving out each training pair would do to the mean log-loss and the accuracy of the held-out pairs.
fn effects(
    columns: &Columns<'_>,
    training: &[Comparison],
    fitted: &Fit,
    (held_out, temperature): (&[Comparison], f64),
) -> Result<Vec<(f64, f64)>> {
    let features = columns.pooled();
    let standardiser = &fitted.posterior.standardiser;
    let difference =
        |pair: &Comparison| standardiser.difference(features.row(pair.chosen), features.row(pair.rejected));
    let directions: Vec<Vec<f64>> = held_out.iter().map(difference).collect();
    let score = |row: usize| fitted.head.score(features.row(row));
    let before: Vec<f64> = held_out.iter().map(|pair| score(pair.chosen) - score(pair.rejected)).collect();
    let influence = Influence::new(fitted, &directions);
    let effect = |changes: &[f64]| {
        let (mut loss_change, mut right_change) = (0.0, 0.0);
        for ((pair, before), change) in held_out.iter().zip(&before).zip(changes) {
            let after = before + change;
            loss_change += loss(pair, after / temperature) - loss(pair, before / temperature);
            // Of a tie no order is right.
            let decided = f64::from(u8::from(pair.preference != 0.5));
            right_change += decided * (f64::from(u8::from(after > 0.0)) - f64::from(u8::from(*before > 0.0)));
        }
        let count = held_out.len().max(1) as f64;
        (loss_change / count, right_change / count)
    };
    let mut effects = Vec::with_capacity(training.len());
    for chunk in training.chunks(INFLUENCE_ROWS) {
        let changes = influence.changes(features, chunk)?;
        effects.extend(changes.par_chunks(held_out.len().max(1)).map(effect).collect::<Vec<_>>());
    }
    Ok(effects)
}
