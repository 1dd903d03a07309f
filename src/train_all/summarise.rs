//! What training knows, handed to [`crate::assess`] for the report.

use super::search::Search;
use super::{CALIBRATION, Normalizers, Trained, TrainedHead, Training};
use crate::assess::{self, Material, ScoredHead, TrainingRecord, word};
use crate::backbone::Backbone;
use crate::config::{Config, HeadKind, Loss, ModelPlace, ObjectiveConfig};
use crate::data::Dataset;
use crate::features::Counts;
use crate::files;
use crate::head::{Fit, MlpFit, Stopped};
use crate::report::{BackboneSummary, DomainSummary, FitSummary, MlpSummary, ReferenceSummary, RunSummary};

/// Everything the report shows of one run.
pub(super) fn summarise(
    config: &Config,
    backbone: &Backbone,
    dataset: &Dataset,
    trained: &Trained,
    (counts, search): (Counts, Search),
) -> RunSummary {
    let objectives = config.objectives.iter().zip(&trained.heads);
    let heads: Vec<ScoredHead> = objectives.map(|(objective, head)| scored(config, objective, head)).collect();
    let registry = config.output.registry.as_path();
    let material = Material { config, registry, dataset, heads: &heads, combiner: &trained.combiner };
    assess::summarise(&material, backbone_summary(backbone, counts), search.table)
}

fn scored<'a>(config: &Config, objective: &ObjectiveConfig, head: &'a TrainedHead) -> ScoredHead<'a> {
    ScoredHead {
        question: objective.question.clone(),
        normalizer: word(&objective.normalizer),
        data_changed: false,
        scores: &head.scores,
        baseline: &head.baseline,
        uncontrolled: &head.uncontrolled,
        temperature: head.temperature,
        reference: reference_summary(config, head),
        training: record(objective, head),
    }
}

/// Whether an objective's head is fitted on pairs.
pub(super) fn fitted_on_pairs(objective: &ObjectiveConfig) -> bool {
    match &objective.head {
        HeadKind::Pretrained(_) => false,
        HeadKind::Linear(config) => config.loss != Loss::Regression,
        HeadKind::Mlp(_) => true,
    }
}

fn record<'a>(objective: &ObjectiveConfig, head: &'a TrainedHead) -> TrainingRecord<'a> {
    TrainingRecord {
        fit: head.training.fit().map(fit_summary),
        mlp: mlp_summary(&head.training),
        on_pairs: fitted_on_pairs(objective),
        learning_curve: &head.learning_curve,
        credibility: &head.credibility,
    }
}

pub(super) fn backbone_summary(backbone: &Backbone, counts: Counts) -> BackboneSummary {
    let readout = backbone.readout();
    let layers: Vec<String> = readout.layers.iter().map(ToString::to_string).collect();
    BackboneSummary {
        path: match backbone.place() {
            ModelPlace::Disk(path) => files::discreet(path),
            ModelPlace::Hub { repository, revision } => format!("{repository} at {revision}"),
        },
        fingerprint: backbone.fingerprint().to_string(),
        architecture: backbone.architecture().to_owned(),
        layers: layers.join(", "),
        pooling: word(&readout.pooling),
        template: backbone.template().0.to_owned(),
        width: backbone.width(readout),
        max_tokens: backbone.max_tokens(),
        dtype: backbone.dtype(),
        texts: counts.texts,
        tokens: counts.tokens as usize,
        cut_prompts: counts.cut_prompts,
        cut_responses: counts.cut_responses,
    }
}

fn fit_summary(fit: &Fit) -> FitSummary {
    FitSummary {
        l2: fit.l2,
        l2_path: fit.l2_path.clone(),
        gradient_norm: fit.gradient_norm,
        iterations: fit.iterations,
        tie_parameter: fit.tie_parameter,
        constant_columns: fit.posterior.standardiser.constant_columns().len(),
    }
}

fn mlp_summary(training: &Training) -> Option<MlpSummary> {
    let Training::Mlp(MlpFit { held_out_path, best_epoch, stopped, .. }) = training else { return None };
    let stopped_early = *stopped == Stopped::Early;
    Some(MlpSummary { epochs: held_out_path.len(), best_epoch: *best_epoch, stopped_early })
}

fn reference_summary(config: &Config, head: &TrainedHead) -> ReferenceSummary {
    let Normalizers { domains, spread, responses, .. } = &head.normalizers;
    let domain = |(name, responses): (&String, &usize)| DomainSummary {
        name: name.clone(),
        responses: *responses,
        own: domains.contains_key(name),
    };
    ReferenceSummary {
        source: config.reference.as_ref().map_or_else(|| CALIBRATION.to_owned(), |one| files::discreet(&one.path)),
        responses: spread.responses,
        farthest: spread.farthest,
        domains: responses.iter().map(domain).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn ratings_and_checkpoints_own_scores_are_not_fitted_on_pairs() {
        let config = crate::config::load(Path::new("configs/quickstart.yaml"), &[]).expect("the quickstart's");
        let mut objective = config.objectives[0].clone();
        assert!(fitted_on_pairs(&objective));
        let HeadKind::Linear(head) = &mut objective.head else { panic!("a linear head") };
        head.loss = Loss::Regression;
        assert!(!fitted_on_pairs(&objective));
        objective.head = HeadKind::Pretrained(None);
        assert!(!fitted_on_pairs(&objective));
    }
}
