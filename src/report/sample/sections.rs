//! Made-up numbers for the sections that look at several objectives at once.

use crate::evaluate::{Estimate, Line, Statistic, Undefined, histogram, mean, standard_deviation};
use crate::report::summary::{
    AgreementSummary, BestWeights, BiasSummary, CombinedSummary, CrossAccuracy, Density, Distribution, DriftSummary,
    Example, ExamplesSummary, LabelerAgreement, LeftOut, LengthBias, ObjectiveDrift, ObjectivesAgreement, ParetoAnswer,
    ParetoExample, ParetoSummary, Passage, ProbeBias, ScoreSummary, SimplexPoint, SweepLine, SweepMeasure,
    SweepSummary, TurnedShares,
};

fn known(value: f64, half: f64) -> Statistic {
    Statistic::Known(Estimate { value, low: value - half, high: value + half, n: 800, clusters: 700 })
}

pub(super) fn distribution(values: &[f64]) -> Distribution {
    let (low, high) = (-3.0, 3.0);
    let inside: Vec<f64> = values.iter().map(|value| value.clamp(low, high)).collect();
    Distribution {
        low,
        high,
        counts: histogram(&inside, 30, (low, high)),
        mean: mean(values),
        deviation: standard_deviation(values),
    }
}

pub(super) fn scores(next: &mut dyn FnMut() -> f64) -> Vec<ScoreSummary> {
    let mut split = |name: &str| {
        let values: Vec<f64> = (0..900).map(|_| next()).collect();
        ScoreSummary { split: name.to_owned(), raw: distribution(&values), normalized: distribution(&values) }
    };
    ["train", "calibration", "test"].map(&mut split).to_vec()
}

pub(super) fn agreement(names: &[&str]) -> AgreementSummary {
    let two = |left: usize, right: usize| {
        let apart = (right - left) as f64;
        ObjectivesAgreement {
            left: names[left].to_owned(),
            right: names[right].to_owned(),
            pearson: known(0.9 - 0.23 * apart, 0.05),
            spearman: known(0.9 - 0.24 * apart, 0.05),
            kendall: known(0.7 - 0.2 * apart, 0.04),
            sign_agreement: known(0.8 - 0.1 * apart, 0.03),
            cohen_kappa: Statistic::Unknown { undefined: Undefined::OneClass },
            conflict_rate: known((0.15 + 0.1 * apart).min(0.9), 0.03),
        }
    };
    let count = names.len();
    let cell = |head: usize, labels: usize| CrossAccuracy {
        head: names[head].to_owned(),
        labels: names[labels].to_owned(),
        accuracy: known(if head == labels { 0.75 } else { 0.45 }, 0.04),
    };
    AgreementSummary {
        responses: 1_400,
        pairs: 1_300,
        objectives: (0..count).flat_map(|left| (left + 1..count).map(move |right| two(left, right))).collect(),
        cross_accuracy: (0..count).flat_map(|head| (0..count).map(move |labels| cell(head, labels))).collect(),
        labelers: vec![LabelerAgreement {
            objective: names[0].to_owned(),
            pairs: 120,
            krippendorff_alpha: known(0.31, 0.1),
            fleiss_kappa: Statistic::Unknown { undefined: Undefined::TooFewLabelers },
            between_labelers: known(0.66, 0.05),
            head: known(0.63, 0.05),
            lead: known(-0.03, 0.04),
        }],
    }
}

pub(super) fn combined(names: &[&str], holistic: Option<Estimate>, longer: Option<Estimate>) -> CombinedSummary {
    let objectives = || names.iter().map(|name| (*name).to_owned());
    let left_out = |objective| LeftOut { objective, accuracy: known(0.7, 0.05), brings: known(0.02, 0.03) };
    let turned = |objective| TurnedShares {
        objective,
        weight: 0.25,
        without: known(0.3, 0.02),
        halved: known(0.1, 0.02),
        doubled: known(0.14, 0.02),
    };
    let line = |objective| SweepLine {
        objective,
        share: 0.25,
        points: (0..=10).map(|step| (f64::from(step) / 10.0, 0.6 + 0.01 * f64::from(step % 4))).collect(),
    };
    let corner = |weights: [f64; 3], accuracy| SimplexPoint { weights: weights.to_vec(), accuracy };
    CombinedSummary {
        weights: names.iter().map(|name| ((*name).to_owned(), 0.25)).collect(),
        holistic,
        holistic_longer: longer,
        left_out: objectives().map(left_out).collect(),
        turned: objectives().map(turned).collect(),
        sweep: Some(SweepSummary {
            measure: SweepMeasure::Holistic,
            current: Some(0.7),
            best: Some(BestWeights { weights: vec![0.5, 0.5, 0.0], lead: known(0.02, 0.04) }),
            shares: Some(vec![0.5, 0.25, 0.25]),
            simplex: vec![
                corner([1.0, 0.0, 0.0], 0.6),
                corner([0.0, 1.0, 0.0], 0.65),
                corner([0.0, 0.0, 1.0], 0.55),
                corner([0.5, 0.5, 0.0], 0.72),
            ],
            steps: 2,
            lines: objectives().map(line).collect(),
        }),
        ..CombinedSummary::default()
    }
}

fn density(across: &str, upright: &str) -> Density {
    let count = |row: usize, column: usize| (10_u32).saturating_sub(row.abs_diff(column) as u32 * 2);
    Density {
        across: across.to_owned(),
        upright: upright.to_owned(),
        x: (0.0, 9.0),
        y: (-2.0, 2.0),
        counts: (0..12).map(|row| (0..12).map(|column| count(row, column)).collect()).collect(),
    }
}

pub(super) fn densities(names: &[&str]) -> Vec<Density> {
    names.windows(2).map(|two| density(two[0], two[1])).collect()
}

pub(super) fn pareto(names: &[&str]) -> ParetoSummary {
    let answer = |(x, y, on_front, chosen)| ParetoAnswer { x, y, on_front, chosen };
    let answers =
        [(0.0, 1.0, true, false), (0.5, 0.6, true, true), (1.0, -0.5, true, false), (-0.5, 0.0, false, false)];
    ParetoSummary {
        prompts: 300,
        answers: 700,
        on_front: Some(known(0.7, 0.03)),
        undisputed: Some(known(0.4, 0.03)),
        choice_on_front: Some(known(0.99, 0.005)),
        examples: vec![ParetoExample {
            prompt: "How do I boil an egg?".to_owned(),
            across: names[0].to_owned(),
            upright: names.get(1).copied().unwrap_or("none").to_owned(),
            answers: answers.map(answer).to_vec(),
            all: 4,
            on_front: 3,
        }],
    }
}

pub(super) fn bias(correlation: f64) -> BiasSummary {
    let slope = Estimate { value: correlation, low: correlation - 0.1, high: correlation + 0.1, n: 900, clusters: 700 };
    BiasSummary {
        length: Some(LengthBias {
            correlation: known(correlation, 0.05),
            line: Some(Line { intercept: -0.5, slope }),
            no_line: None,
            density: density("words", "normalized score"),
            matched: known(0.66, 0.06),
            chosen_longer: known(0.72, 0.04),
            chosen_shorter: Statistic::Unknown { undefined: Undefined::NoValues },
        }),
        probes: vec![ProbeBias {
            name: "refusal".to_owned(),
            differing: 80,
            pairs: 400,
            labels_prefer: known(0.6, 0.05),
            head_prefers: known(0.7, 0.05),
            accuracy_differing: known(0.8, 0.05),
            accuracy_equal: known(0.7, 0.05),
        }],
    }
}

pub(super) fn examples(names: &[&str]) -> ExamplesSummary {
    let passage = |text: &str| Passage {
        text: text.to_owned(),
        words: text.split_whitespace().count(),
        scores: vec![(names[0].to_owned(), -0.25)],
    };
    let example = Example {
        objective: names[0].to_owned(),
        labels: "human".to_owned(),
        headings: ("chosen".to_owned(), "rejected".to_owned()),
        remark: "the head gives 97.0% to the answer that was rejected".to_owned(),
        prompt: "How do I boil an egg?".to_owned(),
        chosen: passage("Seven minutes\nin boiling water."),
        rejected: passage("Ask a cook."),
    };
    ExamplesSummary {
        mistakes: vec![example.clone()],
        conflicts: vec![Example { labels: String::new(), ..example.clone() }],
        suspicious: vec![example],
    }
}

pub(super) fn drift(names: &[&str]) -> DriftSummary {
    let objective = |name: &&str| ObjectiveDrift {
        name: (*name).to_owned(),
        old_accuracy: known(0.7, 0.04),
        new_accuracy: known(0.72, 0.04),
        change: known(0.02, 0.03),
        log_loss_change: Some(known(-0.01, 0.02)),
        calibration_error: (Some(0.05), None),
        turned: known(0.08, 0.02),
        correlation: known(0.93, 0.01),
        kolmogorov_smirnov: Some(0.04),
        wasserstein: Some(0.1),
        old_scores: distribution(&[0.0, 0.5, -1.0]),
        new_scores: distribution(&[0.2, 0.4, -1.1]),
    };
    DriftSummary {
        old: "registry/old".to_owned(),
        old_fingerprint: "0123456789abcdef0123".to_owned(),
        data_changed: Vec::new(),
        turned: examples(names).mistakes,
        objectives: names.iter().map(objective).collect(),
        added: vec!["honesty".to_owned()],
        removed: Vec::new(),
    }
}
