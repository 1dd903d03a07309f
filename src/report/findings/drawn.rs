//! Which findings a run has.

use super::Finding;
use crate::evaluate::Estimate;
use crate::report::summary::{
    CombinedSummary, LabelerAgreement, ObjectiveDrift, ObjectiveSummary, ProbeBias, RunSummary,
};

/// By how much accuracy may differ between pairs that a probe can and cannot decide before it is said, when the
/// intervals do not overlap either.
const PROBE_GAP: f64 = 0.05;

/// All findings of a run: first whether each head beats its baselines, then what each follows, then how they agree and
/// what that means for the combined score, then what changed.
pub fn findings(summary: &RunSummary) -> Vec<Finding> {
    let objectives = || summary.objectives.iter();
    let mut found: Vec<Finding> = objectives().map(baselines).collect();
    found.extend(objectives().filter_map(length));
    found.extend(objectives().flat_map(probes));
    found.extend(conflict(summary));
    found.extend(summary.agreement.labelers.iter().filter_map(labelers));
    found.extend(calibration(summary));
    found.extend(summary.pareto.undisputed.and_then(|share| Some(Finding::Choices { undisputed: share.known()? })));
    found.extend(weights(&summary.combined));
    found.extend(summary.drift.iter().flat_map(|drift| &drift.objectives).filter_map(changed));
    found
}

fn baselines(objective: &ObjectiveSummary) -> Finding {
    Finding::Baselines {
        objective: objective.name.clone(),
        standing: objective.standing(),
        baseline: objective.hardest_baseline().map(|(baseline, _)| baseline.phrase().to_owned()),
        lead: objective.hardest_baseline().map(|(_, lead)| lead),
        style_rule: objective.is_style_rule(),
        verdict: objective.verdict(),
    }
}

fn length(objective: &ObjectiveSummary) -> Option<Finding> {
    let length = objective.bias.length.as_ref()?;
    let name = objective.name.clone();
    Some(match &length.line {
        Some(line) => Finding::LengthBias {
            objective: name,
            slope: line.slope,
            correlation: length.correlation.known(),
            matched: length.matched.known(),
        },
        None => Finding::LengthUnknown { objective: name, why: length.no_line.clone().unwrap_or_default() },
    })
}

/// The probes whose pairs a head ranks clearly better or worse than the others.
fn probes(objective: &ObjectiveSummary) -> Vec<Finding> {
    let apart = |left: &Estimate, right: &Estimate| left.low > right.high || right.low > left.high;
    let finding = |probe: &ProbeBias| {
        let (differing, equal) = (probe.accuracy_differing.known()?, probe.accuracy_equal.known()?);
        let told = (differing.value - equal.value).abs() > PROBE_GAP && apart(&differing, &equal);
        let more = probe.labels_prefer.value()?;
        let (alone, probe) = (more.max(1.0 - more), probe.name.clone());
        told.then_some(Finding::FollowsProbe { objective: objective.name.clone(), probe, alone, differing, equal })
    };
    objective.bias.probes.iter().filter_map(finding).collect()
}

fn conflict(summary: &RunSummary) -> Option<Finding> {
    let two = summary.agreement.most_conflicting()?;
    Some(Finding::MostConflicting {
        left: two.left.clone(),
        right: two.right.clone(),
        rate: two.conflict_rate.known()?,
        correlation: two.spearman.known(),
    })
}

fn labelers(labelers: &LabelerAgreement) -> Option<Finding> {
    let (between, head) = (labelers.between_labelers.known()?, labelers.head.known()?);
    Some(Finding::LabelerCeiling { objective: labelers.objective.clone(), between, head, lead: labelers.lead.known()? })
}

fn calibration(summary: &RunSummary) -> Option<Finding> {
    let known = summary.objectives.iter().filter_map(|objective| Some((objective, objective.ece?)));
    let (objective, ece) = known.reduce(|worst, next| if next.1 > worst.1 { next } else { worst })?;
    Some(Finding::Calibration { objective: objective.name.clone(), ece })
}

fn weights(combined: &CombinedSummary) -> Vec<Finding> {
    let without = combined.turned.iter().filter_map(|turned| Some((&turned.objective, turned.without.known()?)));
    let decisive = without.filter(|(_, without)| without.value > 0.0);
    let decisive = decisive.reduce(|most, next| if next.1.value > most.1.value { next } else { most });
    let mut found: Vec<Finding> = decisive
        .map(|(objective, without)| Finding::DecisiveWeight { objective: objective.clone(), without })
        .into_iter()
        .collect();
    let brings = combined.left_out.iter().filter_map(|one| Some((&one.objective, one.brings.known()?)));
    let objectives: Vec<(String, Estimate)> =
        brings.filter(|(_, brings)| brings.low <= 0.0).map(|(name, brings)| (name.clone(), brings)).collect();
    found.extend((!objectives.is_empty()).then_some(Finding::NotShownToHelp { objectives }));
    found.extend(other_weights(combined));
    found
}

fn other_weights(combined: &CombinedSummary) -> Option<Finding> {
    let best = combined.sweep.as_ref()?.best.as_ref()?;
    let lead = best.lead.known().filter(|lead| lead.value > 0.0)?;
    let names = combined.weights.iter().map(|(name, _)| name.clone());
    Some(Finding::OtherWeights { weights: names.zip(best.weights.iter().copied()).collect(), lead })
}

fn changed(drift: &ObjectiveDrift) -> Option<Finding> {
    let (change, turned) = (drift.change.known()?, drift.turned.known());
    Some(Finding::Changed { objective: drift.name.clone(), change, turned })
}
