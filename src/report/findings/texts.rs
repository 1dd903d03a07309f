//! What each finding says, and what follows from it.

use super::Finding;
use crate::evaluate::Estimate;
use crate::report::summary::Standing;
use crate::report::words::{fixed, interval, percent};

/// `12.3% (95% 10.0 to 14.6)`.
fn share(estimate: &Estimate) -> String {
    format!("{} (95% {})", percent(estimate.value), interval(estimate))
}

/// `0.31 (95% 0.25 to 0.37)`.
fn number(estimate: &Estimate, digits: usize) -> String {
    let [value, low, high] = [estimate.value, estimate.low, estimate.high].map(|value| fixed(value, digits));
    format!("{value} (95% {low} to {high})")
}

/// `1.2 points (95% −0.3 to 2.7)`.
fn points(estimate: &Estimate) -> String {
    format!("{} points (95% {})", fixed(100.0 * estimate.value, 1), interval(estimate))
}

pub(super) fn headline(finding: &Finding) -> String {
    match finding {
        Finding::Baselines { objective, verdict, .. } => format!("{objective}: {verdict}"),
        Finding::LengthBias { objective, slope, correlation, .. } => length(objective, slope, correlation.as_ref()),
        Finding::LengthUnknown { objective, why } => format!("{objective}: its slope on length is not defined: {why}"),
        Finding::MostConflicting { left, right, rate, correlation } => {
            let ranks = correlation.map_or_else(String::new, |one| format!("; rank correlation {}", number(&one, 2)));
            format!("{left} and {right} conflict most: they prefer different answers in {}{ranks}", share(rate))
        }
        Finding::LabelerCeiling { objective, between, head, lead } => format!(
            "{objective}: the head agrees with a labeler in {}, two labelers with each other in {}: {}",
            percent(head.value),
            percent(between.value),
            points(lead)
        ),
        Finding::Calibration { objective, ece, .. } => {
            let points = fixed(100.0 * ece, 1);
            format!(
                "The largest mean gap between predicted and observed preference is {points} points, for {objective}"
            )
        }
        Finding::Choices { undisputed } => {
            format!("One answer is best on every objective for {} of prompts", share(undisputed))
        }
        Finding::DecisiveWeight { objective, without } => {
            format!("{objective} decides most of the combined score: without it {} of pairs turn", share(without))
        }
        Finding::NotShownToHelp { objectives } => {
            let each = objectives.iter().map(|(name, brings)| format!("{name} brings {}", points(brings)));
            format!("Not shown to help, all things considered: {}", each.collect::<Vec<String>>().join(", "))
        }
        Finding::OtherWeights { weights, lead } => other_weights(weights, lead),
        Finding::FollowsProbe { objective, probe, differing, equal, .. } => format!(
            "{objective}: right on {} of pairs that differ in {probe}, on {} of those that do not",
            share(differing),
            share(equal)
        ),
        Finding::Changed { objective, change, turned } => changed(objective, change, turned.as_ref()),
    }
}

fn length(objective: &str, slope: &Estimate, correlation: Option<&Estimate>) -> String {
    let ranks = correlation.map_or_else(String::new, |one| format!(", rank correlation {}", number(one, 2)));
    let what = match (slope.low > 0.0, slope.high < 0.0) {
        (true, _) => "longer answers score higher",
        (_, true) => "longer answers score lower",
        _ => "no slope on length is shown",
    };
    format!("{objective}: {what}: {} per doubling of the words{ranks}", number(slope, 2))
}

fn other_weights(weights: &[(String, f64)], lead: &Estimate) -> String {
    let weights = weights.iter().map(|(name, weight)| format!("{} {name}", fixed(*weight, 2)));
    let weights = weights.collect::<Vec<String>>().join(", ");
    format!("On the holistic pairs at hand the weights {weights} do best, by {} over those in use", points(lead))
}

fn changed(objective: &str, change: &Estimate, turned: Option<&Estimate>) -> String {
    if change.value == 0.0 && turned.is_some_and(|turned| turned.value == 0.0) {
        return format!("{objective}: every pair is ordered as before");
    }
    let what = match (change.low > 0.0, change.high < 0.0) {
        (true, _) => "better than before",
        (_, true) => "worse than before",
        _ => "no change of accuracy is shown",
    };
    let turned = turned.map_or_else(String::new, |turned| format!("; {} of pairs turned", share(turned)));
    format!("{objective}: {what}, {}{turned}", points(change))
}

pub(super) fn remedy(finding: &Finding) -> String {
    match finding {
        Finding::Baselines { standing, baseline, style_rule, .. } => {
            baselines_remedy(*standing, baseline.as_deref().unwrap_or("a trivial method"), *style_rule)
        }
        Finding::LengthBias { slope, matched, .. } => length_remedy(slope, matched.as_ref()),
        Finding::LengthUnknown { .. } => "Add pairs with answers of different lengths to have it measured.".to_owned(),
        Finding::MostConflicting { .. } => "Where they conflict the weights decide: read the hardest conflicts below, \
            and choose the weights on purpose."
            .to_owned(),
        Finding::LabelerCeiling { lead, .. } => if lead.low > 0.0 {
            "It is steadier than one labeler: it follows what most of them share."
        } else if lead.high < 0.0 {
            "There is room: labelers agree with each other more than the head does with them."
        } else {
            "No difference is shown: a better head could not be told apart with these labels."
        }
        .to_owned(),
        Finding::Calibration { ece, .. } => if *ece > 0.1 {
            "Its probabilities should not be taken at their word: more calibration pairs would mend it."
        } else {
            "Some gap is the noise of few pairs; the bars in the curves say how much."
        }
        .to_owned(),
        Finding::Choices { .. } => "For the others the weights choose between objectives; best-of-n then depends on them \
            as much as on the heads."
            .to_owned(),
        Finding::DecisiveWeight { .. } => "Choose its weight first: `ensemble weights sweep` shows what others would do.".to_owned(),
        Finding::NotShownToHelp { objectives } => if objectives.iter().any(|(_, brings)| brings.high < 0.0) {
            "An interval below zero says that the combined score is better without that objective: lower its weight, or \
             ask whether the holistic labels know what it is for."
        } else {
            "They may still be wanted for their own sake, such as safety; more holistic pairs would tell."
        }
        .to_owned(),
        Finding::OtherWeights { .. } => "The best of many weights looks better on these pairs than it will on others: take \
            it as a direction, and test it on new pairs."
            .to_owned(),
        Finding::FollowsProbe { probe, alone, differing, equal, .. } => if differing.value > equal.value {
            let alone = percent(*alone);
            format!("On the first, {probe} alone would be right on {alone}; the second figure is what it knows without it.")
        } else {
            format!("Answers that differ in {probe} mislead it, or are harder to judge: read such mistakes below.")
        },
        Finding::Changed { change, .. } => if change.high < 0.0 {
            "Do not replace the old registry by this one without a reason."
        } else {
            "Read how the scores moved below before a running policy gets the new ones."
        }
        .to_owned(),
    }
}

fn baselines_remedy(standing: Standing, baseline: &str, style_rule: bool) -> String {
    match standing {
        Standing::Better => "It has learned more than a trivial method knows.".to_owned(),
        Standing::Unknown => "Without test pairs, or a baseline, nothing is known: add pairs.".to_owned(),
        Standing::Unclear | Standing::Worse if style_rule => {
            format!("No surprise where {baseline} is nearly the rule itself: use the rule, or drop the objective.")
        }
        Standing::Worse => format!(
            "Do not let this head steer training: {baseline} does better. Collect more pairs on which {baseline} is wrong, or \
             try a larger backbone or another layer."
        ),
        Standing::Unclear => format!(
            "Do not let this head steer training yet: {baseline} may do as well. Collect more pairs, above all pairs on \
             which {baseline} is wrong, or try a larger backbone or another layer."
        ),
    }
}

fn length_remedy(slope: &Estimate, matched: Option<&Estimate>) -> String {
    let left = matched
        .map_or_else(String::new, |matched| format!("On pairs of equal length it is right on {}. ", share(matched)));
    let so = if slope.low > 0.0 {
        "A policy may learn to write more for it; better answers may be longer too, so compare what \
         `head.control: [{probe: length}]` costs."
    } else if slope.high < 0.0 {
        "A policy may learn to write less for it; better answers may be shorter too, so compare what \
         `head.control: [{probe: length}]` costs."
    } else {
        "These texts do not show that it follows length."
    };
    left + so
}
