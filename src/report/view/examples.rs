//! Pairs worth reading, in words.

use serde::Serialize;

use crate::report::summary::{Example, Passage, RunSummary};
use crate::report::words::{clean, clean_lines, counted, fixed};

#[derive(Serialize)]
pub(super) struct ExampleGroup {
    id: &'static str,
    title: &'static str,
    lead: &'static str,
    examples: Vec<ExampleView>,
}

#[derive(Serialize)]
struct ExampleView {
    title: String,
    remark: String,
    prompt: String,
    sides: [SideView; 2],
}

#[derive(Serialize)]
struct SideView {
    heading: String,
    text: String,
    words: String,
    scores: String,
}

/// The groups that have examples.
pub(super) fn groups(summary: &RunSummary) -> Vec<ExampleGroup> {
    let examples = &summary.examples;
    let groups = [
        (
            "mistakes",
            "Worst mistakes",
            "Test pairs on which a head is most certain of the answer that labelers rejected. Is the head wrong, or the label?",
            &examples.mistakes,
        ),
        (
            "conflicts-to-read",
            "Hardest conflicts",
            "Test pairs on which two heads prefer different answers most clearly: here the weights decide.",
            &examples.conflicts,
        ),
        (
            "suspicious",
            "Most suspicious labels",
            "Training pairs whose label is least credible to a head that has seen no pair of their prompt. `ensemble audit \
             labels` lists all of them.",
            &examples.suspicious,
        ),
    ];
    let nothing = Vec::new();
    let turned = (
        "turned-pairs",
        "Pairs that turned",
        "Test pairs that the old registry and this one order differently, those whose difference moved most.",
        summary.drift.as_ref().map_or(&nothing, |drift| &drift.turned),
    );
    groups
        .into_iter()
        .chain([turned])
        .filter(|(.., examples)| !examples.is_empty())
        .map(|(id, title, lead, examples)| ExampleGroup {
            id,
            title,
            lead,
            examples: examples.iter().map(view).collect(),
        })
        .collect()
}

fn view(example: &Example) -> ExampleView {
    let labels =
        if example.labels.is_empty() { String::new() } else { format!(" · label by {}", clean(&example.labels)) };
    ExampleView {
        title: format!("{}{labels}", clean(&example.objective)),
        remark: clean(&example.remark),
        prompt: clean_lines(&example.prompt),
        sides: [side(&example.headings.0, &example.chosen), side(&example.headings.1, &example.rejected)],
    }
}

fn side(heading: &str, passage: &Passage) -> SideView {
    let score = |(name, score): &(String, f64)| format!("{} {}", clean(name), fixed(*score, 2));
    SideView {
        heading: clean(heading),
        text: clean_lines(&passage.text),
        words: counted(passage.words, "word"),
        scores: passage.scores.iter().map(score).collect::<Vec<String>>().join(" · "),
    }
}
