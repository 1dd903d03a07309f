//! Sections worked out by hand on a few pairs.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::combine::Combination;
use crate::config::LabelSource;
use crate::data::{Audit, Item, Message, ObjectivePairs, Pair, Role, Split, Votes};
use crate::evaluate::Statistic;
use crate::report::{Finding, findings};

/// Words and scores of two objectives, per item; two items a prompt.
const ITEMS: [(usize, f64, f64); 8] = [
    (10, 1.0, -1.0),
    (10, 0.0, 0.0), // the first is better by one, the second by the other
    (20, 2.0, 3.0),
    (5, 1.0, 1.0), // the first is better by both
    (8, -1.0, 0.5),
    (16, 1.0, 0.25), // the second by one, the first by the other
    (4, 0.0, -2.0),
    (40, 0.5, 2.0), // the second by both
];

fn score(value: f64) -> ObjectiveScore {
    ObjectiveScore { raw: value, raw_error: Some(0.1), normalized: value, error: Some(0.1), in_domain: false }
}

fn item(index: usize) -> Item {
    let prompt = vec![Message { role: Role::User, content: format!("question {}", index / 2) }];
    Item { prompt, response: format!("w{index} {}", "word ".repeat(ITEMS[index].0 - 1)) }
}

fn pair(items: &[Item], (chosen, rejected): (usize, usize), split: Split) -> Pair {
    Pair {
        chosen,
        rejected,
        preference: 1.0,
        votes: None,
        margin: 0.0,
        weight: 1.0,
        labels: LabelSource::Human,
        split,
        prompt_key: items[chosen].prompt_key(),
    }
}

fn list(name: &str, pairs: Vec<Pair>) -> ObjectivePairs {
    ObjectivePairs { name: name.to_owned(), pairs, ratings: Vec::new(), audit: Audit::default() }
}

/// Both objectives are labelled on all four prompts, the holistic labels follow the first.
fn dataset() -> Dataset {
    let items: Vec<Item> = (0..ITEMS.len()).map(item).collect();
    let pairs = |sides: [(usize, usize); 4]| sides.map(|sides| pair(&items, sides, Split::Test)).to_vec();
    let mut helpfulness = pairs([(0, 1), (2, 3), (5, 4), (6, 7)]);
    helpfulness[0].votes = Some(Votes { chosen: 2, rejected: 1, tied: 0 });
    helpfulness[1].votes = Some(Votes { chosen: 3, rejected: 0, tied: 0 });
    let safety = pairs([(1, 0), (2, 3), (4, 5), (7, 6)]);
    let holistic = pairs([(0, 1), (2, 3), (5, 4), (7, 6)]);
    Dataset {
        objectives: vec![list("helpfulness", helpfulness), list("safety", safety)],
        holistic: list("holistic", holistic),
        reference: Vec::new(),
        domains: BTreeMap::new(),
        items,
    }
}

/// Hands the two heads' scores and labels, combined by these weights, to `look`.
fn with_material<T>(weights: [f64; 2], look: impl FnOnce(&Material) -> T) -> T {
    let mut config = crate::config::load(Path::new("configs/quickstart.yaml"), &[]).expect("the quickstart's");
    config.objectives.truncate(2);
    let dataset = dataset();
    let columns = [ITEMS.map(|item| score(item.1)), ITEMS.map(|item| score(item.2))];
    let baseline = [0.0; ITEMS.len()];
    let heads = columns.each_ref().map(|scores| ScoredHead {
        question: String::new(),
        normalizer: "zscore".to_owned(),
        data_changed: false,
        scores,
        baseline: &baseline,
        uncontrolled: &[],
        temperature: 1.0,
        reference: ReferenceSummary::default(),
        training: TrainingRecord::default(),
    });
    let names = ["helpfulness", "safety"].map(str::to_owned);
    let combiner = Combiner::new(names.into_iter().zip(weights).collect(), Combination::default()).expect("weights");
    let (config, registry) = (&config, config.output.registry.as_path());
    look(&Material { config, registry, dataset: &dataset, heads: &heads, combiner: &combiner })
}

fn summary(weights: [f64; 2]) -> RunSummary {
    with_material(weights, |material| summarise(material, BackboneSummary::default(), Vec::new()))
}

fn value(statistic: &Statistic) -> f64 {
    statistic.value().expect("defined")
}

#[test]
fn agreement_by_hand() {
    let agreement = summary([1.0, 1.0]).agreement;
    assert_eq!((agreement.responses, agreement.pairs, agreement.objectives.len()), (8, 4, 1));
    let two = &agreement.objectives[0];
    assert_eq!((value(&two.conflict_rate), value(&two.sign_agreement)), (0.5, 0.5));
    // Helpfulness prefers 0 2 5 7, safety 1 2 4 7: on helpfulness' labels (the last is against both) and on safety's.
    let cells: Vec<(&str, &str, f64)> = agreement
        .cross_accuracy
        .iter()
        .map(|cell| (cell.head.as_str(), cell.labels.as_str(), value(&cell.accuracy)))
        .collect();
    assert_eq!(
        cells,
        [
            ("helpfulness", "helpfulness", 0.75),
            ("helpfulness", "safety", 0.5),
            ("safety", "helpfulness", 0.25),
            ("safety", "safety", 1.0),
        ]
    );
}

#[test]
fn labelers_by_hand() {
    let labelers = summary([1.0, 1.0]).agreement.labelers;
    assert_eq!((labelers.len(), labelers[0].objective.as_str(), labelers[0].pairs), (1, "helpfulness", 2));
    // Of 2 : 1 votes one couple in three agrees, of 3 : 0 each; the head takes the side of 2 in 3 and of 3 in 3.
    assert!((value(&labelers[0].between_labelers) - 2.0 / 3.0).abs() < 1e-12);
    assert!((value(&labelers[0].head) - 5.0 / 6.0).abs() < 1e-12);
    assert!((value(&labelers[0].lead) - 1.0 / 6.0).abs() < 1e-12);
}

#[test]
fn the_combined_score_by_hand() {
    let combined = summary([1.0, 1.0]).combined;
    // Sums: 0 and 0 (a tie, half), 5 over 2, −0.5 under 1.25, −2 under 2.5: right on 3.5 of 4.
    assert_eq!(combined.holistic.expect("pairs").value, 0.875);
    // Without helpfulness safety alone is right on 2 of 4 (the second and the last), without safety on all 4.
    let brings: Vec<(f64, f64)> =
        combined.left_out.iter().map(|one| (value(&one.accuracy), value(&one.brings))).collect();
    assert_eq!(brings, [(0.5, 0.375), (1.0, -0.125)]);
    // Twice the weight on helpfulness decides the tie for the first answer: half a turn of four pairs. With no weight on
    // it safety decides: the tie goes the other way, and the third pair turns.
    let turned = &combined.turned[0];
    assert_eq!([turned.without, turned.halved, turned.doubled].map(|share| value(&share)), [0.375, 0.125, 0.125]);
}

#[test]
fn length_and_probes_by_hand() {
    let objectives = summary([1.0, 1.0]).objectives;
    let length = objectives[0].bias.length.as_ref().expect("pairs");
    // Helpfulness' labels: equal length (right), longer chosen twice (right), shorter chosen once (wrong).
    assert_eq!((value(&length.matched), value(&length.chosen_longer), value(&length.chosen_shorter)), (1.0, 1.0, 0.0));
    // Least squares on log₂(1 + words), by the textbook's formula.
    let xs: Vec<f64> = ITEMS.iter().map(|item| (1.0 + item.0 as f64).log2()).collect();
    let ys: Vec<f64> = ITEMS.iter().map(|item| item.1).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mx, my) = (mean(&xs), mean(&ys));
    let slope = xs.iter().zip(&ys).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>()
        / xs.iter().map(|x| (x - mx) * (x - mx)).sum::<f64>();
    assert!((length.line.expect("lengths differ").slope.value - slope).abs() < 1e-12);
    // No answer refuses or has Markdown: nothing differs, and why is said.
    let probe = &objectives[0].bias.probes[0];
    assert_eq!((probe.name.as_str(), probe.differing, probe.pairs), ("refusal", 0, 4));
    assert!(probe.accuracy_differing.undefined().is_some() && value(&probe.accuracy_equal) == 0.75);
}

#[test]
fn choices_by_hand() {
    let pareto = summary([1.0, 1.0]).pareto;
    assert_eq!((pareto.prompts, pareto.answers), (4, 8));
    // Two prompts have one best answer, two have both on the front: 6 of 8 answers.
    assert_eq!(value(&pareto.undisputed.expect("prompts")), 0.5);
    assert_eq!(value(&pareto.on_front.expect("prompts")), 0.75);
    assert_eq!(value(&pareto.choice_on_front.expect("prompts")), 1.0);
    assert!(pareto.examples.iter().all(|example| example.answers.iter().filter(|one| one.chosen).count() == 1));
}

#[test]
fn examples_show_what_is_wrong_and_what_conflicts() {
    let examples = summary([1.0, 1.0]).examples;
    // Helpfulness is wrong on the last pair only, safety on none.
    assert_eq!(examples.mistakes.len(), 1);
    let mistake = &examples.mistakes[0];
    assert!(mistake.prompt == "question 3" && mistake.chosen.words == 4 && mistake.rejected.words == 40);
    assert_eq!(mistake.chosen.scores, [("helpfulness".to_owned(), 0.0), ("safety".to_owned(), -2.0)]);
    let prompts: Vec<&str> = examples.conflicts.iter().map(|one| one.prompt.as_str()).collect();
    assert_eq!(prompts, ["question 0", "question 2"], "the clearer conflict first");
    assert_eq!(examples.conflicts[0].headings.0, "helpfulness prefers");
}

#[test]
fn findings_name_length_conflict_and_baselines() {
    let found = findings(&summary([1.0, 1.0]));
    for name in ["helpfulness", "safety"] {
        assert!(
            found
                .iter()
                .any(|one| matches!(one, Finding::Baselines { objective, lead: Some(_), .. } if objective == name))
        );
        assert!(found.iter().any(|one| matches!(one, Finding::LengthBias { objective, .. } if objective == name)));
    }
    assert!(found.iter().any(|one| matches!(one, Finding::MostConflicting { rate, .. } if rate.value == 0.5)));
    for one in &found {
        let text = one.headline() + &one.remedy();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}

#[test]
fn an_older_registry_with_the_same_scores_shows_no_change() {
    let columns = [ITEMS.map(|item| score(item.1)).to_vec(), ITEMS.map(|item| score(item.2)).to_vec()];
    // The old safety head is the new one turned round; helpfulness is the same; and there was honesty.
    let turned: Vec<ObjectiveScore> = columns[1].iter().map(|one| score(-one.normalized)).collect();
    let old = Older {
        place: "registry/old".to_owned(),
        fingerprint: "0123".to_owned(),
        names: ["honesty", "safety", "helpfulness"].map(str::to_owned).to_vec(),
        data_changed: Vec::new(),
        scores: vec![columns[0].clone(), turned, columns[0].clone()],
        combined: ITEMS.iter().map(|item| item.1 + item.2).collect(),
    };
    let drift = with_material([1.0, 1.0], |material| drift(material, &old));
    assert_eq!((drift.removed, drift.added), (vec!["honesty".to_owned()], vec![]));
    let [helpfulness, safety, combined] = drift.objectives.as_slice() else { panic!("three scores") };
    for same in [helpfulness, combined] {
        assert_eq!((value(&same.change), value(&same.turned)), (0.0, 0.0));
        assert_eq!((same.kolmogorov_smirnov, same.wasserstein), (Some(0.0), Some(0.0)));
        assert!(value(&same.correlation) > 1.0 - 1e-12);
    }
    assert_eq!((value(&safety.old_accuracy), value(&safety.new_accuracy), value(&safety.change)), (0.0, 1.0, 1.0));
    assert_eq!(drift.turned.len(), 3, "no more than three, and of safety only");
    // Raw differences of safety: −1, 2, 0.25, −4 on the four prompts, turned round before.
    let moved: Vec<&str> = drift.turned.iter().map(|example| example.prompt.as_str()).collect();
    assert_eq!(moved, ["question 3", "question 1", "question 0"]);
    assert_eq!(drift.turned[0].remark, "the second answer led by 4.00, now the first leads by 4.00");
    assert!(value(&safety.turned) == 1.0 && value(&safety.correlation) < -1.0 + 1e-12);
}
