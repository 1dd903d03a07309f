//! Made-up runs for tests: a realistic one, an empty one, a single objective, and many with long names.

mod sections;

use std::collections::BTreeMap;

use super::head_summary::{ControlSummary, FitSummary, LearningPoint, TrainingPairs};
use super::summary::{
    AuditSummary, BAG_OF_WORDS, BackboneSummary, Baseline, GroupAccuracy, LONGER_WINS, ObjectiveSummary, ParetoSummary,
    ReadoutObjective, ReadoutSummary, ReferenceSummary, RunSummary, SHORTER_WINS, SplitSize,
};
use crate::config::Dtype;
use crate::evaluate::{
    Outcome, accuracy, accuracy_difference, brier, expected_calibration_error, log_loss, reliability,
};
use crate::logistic::sigmoid;

/// Knuth's 64-bit linear congruential generator: enough for made-up numbers.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// What a made-up objective is like.
struct Recipe {
    name: &'static str,
    question: &'static str,
    pairs: usize,
    /// How much of the labels the head knows, and how much the longer answer wins, both in log-odds.
    skill: f64,
    length: f64,
    labels: &'static [(&'static str, usize)],
}

/// A realistic run of three objectives.
pub(crate) fn summary() -> RunSummary {
    run(&[
        Recipe {
            name: "helpfulness",
            question: "Which answer would help the person who asked more?",
            pairs: 812,
            skill: 1.6,
            length: 0.5,
            labels: &[("human", 7_904)],
        },
        Recipe {
            name: "safety",
            question: "Which answer is less likely to lead to harm?",
            pairs: 466,
            skill: 2.4,
            length: -0.1,
            labels: &[("ai", 1_310), ("human", 3_342)],
        },
        Recipe {
            name: "conciseness",
            question: "Which of two equally correct answers says it in fewer words?",
            pairs: 88,
            skill: 1.2,
            length: -4.0,
            labels: &[("rule", 871)],
        },
    ])
}

/// Nothing was measured.
pub(crate) fn empty() -> RunSummary {
    let objective = ObjectiveSummary { name: "helpfulness".to_owned(), ..ObjectiveSummary::default() };
    RunSummary {
        name: "empty".to_owned(),
        created_by: "ensemble 0.1.0".to_owned(),
        objectives: vec![objective],
        ..RunSummary::default()
    }
}

/// One objective with constant scores.
pub(crate) fn single() -> RunSummary {
    let mut summary = summary();
    summary.objectives.truncate(1);
    for scores in &mut summary.objectives[0].scores {
        scores.normalized = sections::distribution(&[0.25; 40]);
    }
    summary.agreement.objectives.clear();
    summary.agreement.cross_accuracy.clear();
    (summary.densities, summary.combined_scores) = (Vec::new(), Vec::new());
    (summary.pareto, summary.drift) = (ParetoSummary::default(), None);
    summary.combined.sweep = None;
    summary
}

/// Eight objectives with long names.
pub(crate) fn many() -> RunSummary {
    let mut summary = summary();
    let first = summary.objectives[0].clone();
    summary.objectives = (0..8)
        .map(|index| ObjectiveSummary {
            name: format!("instruction-following-under-long-and-winding-prompts-{index}"),
            ..first.clone()
        })
        .collect();
    let names: Vec<&str> = summary.objectives.iter().map(|objective| objective.name.as_str()).collect();
    summary.agreement = sections::agreement(&names);
    summary.densities.clear();
    if let Some(sweep) = &mut summary.combined.sweep {
        sweep.simplex.clear();
    }
    summary.combined.weights =
        summary.objectives.iter().map(|objective| (objective.name.clone(), objective.weight)).collect();
    summary
}

fn run(recipes: &[Recipe]) -> RunSummary {
    let mut noise = Noise(7);
    let objectives: Vec<ObjectiveSummary> = recipes.iter().map(|recipe| objective(recipe, &mut noise)).collect();
    let names: Vec<&str> = recipes.iter().map(|recipe| recipe.name).collect();
    let holistic = outcomes(300, 1.4, 0.5, &mut noise);
    RunSummary {
        name: "quickstart".to_owned(),
        created_by: "ensemble 0.1.0".to_owned(),
        from_registry: false,
        heads: Vec::new(),
        backbone: BackboneSummary {
            path: "backbones/mini".to_owned(),
            fingerprint: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
            architecture: "bert".to_owned(),
            layers: "-2".to_owned(),
            pooling: "mean_response".to_owned(),
            template: "prompt and response as two segments".to_owned(),
            width: 128,
            max_tokens: 512,
            dtype: Dtype::F32,
            texts: 24_310,
            tokens: 3_104_229,
            cut_prompts: 187,
            cut_responses: 12,
        },
        readouts: ["mean_response", "cls"].map(|pooling| readout(pooling, &objectives)).to_vec(),
        combined: sections::combined(&names, accuracy(&holistic.0), accuracy(&holistic.1)),
        agreement: sections::agreement(&names),
        combined_scores: sections::scores(&mut || noise.normal()),
        densities: sections::densities(&names),
        pareto: sections::pareto(&names),
        examples: sections::examples(&names),
        drift: Some(sections::drift(&names)),
        benchmarks: Vec::new(),
        objectives,
        command_next: "ensemble score --registry registry/quickstart responses.jsonl".to_owned(),
    }
}

fn readout(pooling: &str, objectives: &[ObjectiveSummary]) -> ReadoutSummary {
    let objective = |objective: &ObjectiveSummary| ReadoutObjective {
        name: objective.name.clone(),
        log_loss: objective.log_loss,
        accuracy: objective.accuracy,
    };
    ReadoutSummary {
        pooling: pooling.to_owned(),
        layers: "5".to_owned(),
        chosen: pooling == "mean_response",
        log_loss: Some(0.6),
        objectives: objectives.iter().map(objective).collect(),
    }
}

/// What the head, longer wins, and a bag of words say about made-up pairs.
fn outcomes(pairs: usize, skill: f64, length: f64, noise: &mut Noise) -> (Vec<Outcome>, Vec<Outcome>, Vec<Outcome>) {
    let (mut head, mut longer, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        let (signal, size) = (noise.normal(), noise.normal());
        let truth = skill * signal + length * size.signum();
        let sign = if noise.uniform() < sigmoid(truth) { 1.0 } else { -1.0 };
        let push = |list: &mut Vec<Outcome>, margin: f64| {
            list.push(Outcome { margin: margin * sign, preference: 1.0, cluster: pair * 10 / 11 });
        };
        push(&mut head, truth * 1.05);
        push(&mut longer, size);
        push(&mut words, 0.35 * skill * signal + 0.8 * noise.normal() + length * 0.6 * size.signum());
    }
    (head, longer, words)
}

fn objective(recipe: &Recipe, noise: &mut Noise) -> ObjectiveSummary {
    let (head, longer, words) = outcomes(recipe.pairs, recipe.skill, recipe.length, noise);
    let shorter: Vec<Outcome> = longer.iter().map(|one| Outcome { margin: -one.margin, ..*one }).collect();
    let baseline = |name: &str, theirs: &[Outcome]| Baseline {
        name: name.to_owned(),
        accuracy: accuracy(theirs),
        difference: accuracy_difference(&head, theirs),
    };
    let (from_people, from_models) = head.split_at(head.len() * 3 / 4);
    let group = |name: &str, part: &[Outcome]| GroupAccuracy { name: name.to_owned(), accuracy: accuracy(part) };
    let groups = if recipe.labels.len() > 1 {
        vec![group("labels by human", from_people), group("labels by ai", from_models)]
    } else {
        Vec::new()
    };
    ObjectiveSummary {
        name: recipe.name.to_owned(),
        question: recipe.question.to_owned(),
        weight: if recipe.pairs > 800 { 0.5 } else { 0.25 },
        normalizer: "zscore".to_owned(),
        reference: ReferenceSummary {
            source: "calibration split".to_owned(),
            responses: recipe.pairs * 19 / 10,
            farthest: Some(3.4),
            domains: Vec::new(),
        },
        labels: recipe.labels.iter().map(|(source, pairs)| ((*source).to_owned(), *pairs)).collect(),
        train: SplitSize { pairs: recipe.pairs * 8, prompts: recipe.pairs * 7 },
        calibration: SplitSize { pairs: recipe.pairs, prompts: recipe.pairs * 9 / 10 },
        test: SplitSize { pairs: recipe.pairs, prompts: recipe.pairs * 10 / 11 + 1 },
        data_changed: false,
        pretrained: false,
        fit: Some(fit(&head)),
        mlp: None,
        training: Some(TrainingPairs { decided: recipe.pairs * 8, ties: 0, smallest_margin: Some(-4.2) }),
        controls: vec![control(&head, &longer)],
        learning_curve: learning_curve(&head),
        temperature: 1.084,
        accuracy: accuracy(&head),
        baselines: vec![
            baseline(LONGER_WINS, &longer),
            baseline(SHORTER_WINS, &shorter),
            baseline(BAG_OF_WORDS, &words),
        ],
        log_loss: log_loss(&head),
        log_loss_train: log_loss(&head).map(|loss| loss - 0.031),
        brier: brier(&head),
        ece: expected_calibration_error(&head),
        ece_uncalibrated: expected_calibration_error(&longer),
        reliability: reliability(&head, 10),
        right_margins: sections::distribution(&head.iter().map(|one| one.margin.max(0.0)).collect::<Vec<f64>>()),
        wrong_margins: sections::distribution(&head.iter().map(|one| one.margin.min(0.0).abs()).collect::<Vec<f64>>()),
        scores: sections::scores(&mut || noise.normal() + 0.2 * noise.normal().powi(2)),
        test_responses: recipe.pairs * 2,
        repeated_responses: recipe.pairs / 90,
        bias: sections::bias((recipe.length * 0.24).clamp(-0.94, 0.94)),
        groups,
        audit: audit(recipe),
    }
}

fn fit(head: &[Outcome]) -> FitSummary {
    let rate = accuracy(head).map_or(0.5, |estimate| estimate.value);
    let path = |step: i32| (10f64.powi(step), 0.46 + 0.012 * f64::from(step - 1).powi(2) * (1.0 - rate * 0.5));
    FitSummary {
        l2: 10.0,
        l2_path: (-2..=4).map(path).collect(),
        gradient_norm: 3.1e-9,
        iterations: 9,
        ..FitSummary::default()
    }
}

fn control(head: &[Outcome], longer: &[Outcome]) -> ControlSummary {
    ControlSummary {
        probe: "length".to_owned(),
        strength: None,
        correlation: Some(0.012),
        uncontrolled_correlation: Some(0.31),
        accuracy: accuracy(head),
        uncontrolled_accuracy: accuracy(longer),
        paid: accuracy_difference(head, longer),
    }
}

fn learning_curve(head: &[Outcome]) -> Vec<LearningPoint> {
    let point = |pairs: usize| LearningPoint {
        pairs,
        accuracy: accuracy(&head[..head.len().min(pairs)]),
        log_loss: log_loss(head),
    };
    [100, 200, 400, 800].map(point).to_vec()
}

fn audit(recipe: &Recipe) -> AuditSummary {
    let dropped = [("the answers are equal", recipe.pairs / 20), ("no preference", recipe.pairs / 8)];
    AuditSummary {
        rows: recipe.pairs * 10 + recipe.pairs / 5,
        pairs: recipe.pairs * 10,
        dropped: dropped.into_iter().map(|(reason, rows)| (reason.to_owned(), rows)).collect::<BTreeMap<_, _>>(),
        duplicates: recipe.pairs / 60,
        contradictions: recipe.pairs / 30,
        split_conflicts: usize::from(recipe.pairs == 466) * 4,
        domain_conflicts: 0,
        longer_wins: Some(sigmoid(recipe.length)),
        mean_words_chosen: Some(112.4 + 9.0 * recipe.length),
        mean_words_rejected: Some(104.9 - 6.0 * recipe.length),
        sources: vec![format!("data/quickstart/{}.jsonl (pairs, detected, 4 210 rows, 4 180 pairs)", recipe.name)],
    }
}
