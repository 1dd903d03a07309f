//! The order in which an objective lists its sources decides nothing, also where they label the same pair differently.

use ensemble::config;
use ensemble::data::{Dataset, load};

use crate::project::Project;

/// 100 pairs with one side's share of four votes.
fn write_pairs(project: &Project, name: &str, votes: &str) {
    let row = |index: usize| {
        format!(r#"{{"prompt": "question {index}", "chosen": "good", "rejected": "bad", "votes": {votes}}}"#)
    };
    let rows: Vec<String> = (0..100).map(row).collect();
    std::fs::write(project.path(&format!("data/quickstart/{name}.jsonl")), rows.join("\n")).expect("written");
}

fn loaded(project: &Project, sources: [(&str, &str); 2]) -> Dataset {
    let source = |(name, labels)| {
        format!("  - path: ../data/quickstart/{name}.jsonl\n    format: pairs\n    labels: {labels}\n")
    };
    let data: Vec<String> = sources.map(source).into();
    let text = format!("name: safety\nquestion: Which is safer?\nlabels: ai\ndata:\n{}", data.concat());
    std::fs::write(project.path("objectives/safety.yaml"), text).expect("written");
    let config = config::load(&project.path("configs/quickstart.yaml"), &[]).expect("a sound config");
    load(&config).expect("sound data")
}

#[test]
fn order_of_sources_does_not_matter() {
    let project = Project::new();
    write_pairs(&project, "judged", "[4, 0]");
    write_pairs(&project, "asked", "[3, 1]");
    let (judged, asked) = (("judged", "ai"), ("asked", "human"));
    let (forwards, backwards) = (loaded(&project, [judged, asked]), loaded(&project, [asked, judged]));
    assert_eq!(forwards.items, backwards.items);
    let safety = &forwards.objectives[1];
    assert_eq!(safety.pairs, backwards.objectives[1].pairs);
    // People were asked, so their share stands.
    assert_eq!((safety.pairs.len(), safety.audit.duplicates), (100, 100));
    assert!(safety.pairs.iter().all(|pair| pair.preference == 0.75 && pair.labels.word() == "human"));
}
