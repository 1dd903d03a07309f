//! What a user sees when an input is wrong: the exit code, the message, and nothing half-written.
//!
//! Every test spoils one thing in a project that trains and scores as it is (`project::Project`), runs the real
//! program and compares the message with a stored one. The stored messages are to be read as a user reads them: place,
//! finding, what is accepted, what to do.

mod backbone;
mod checkpoints;
mod command_line;
mod config;
mod containers;
mod data;
mod decoders;
mod encoders;
mod eval;
mod export;
mod families;
mod formats;
mod model;
mod places;
mod pretrained;
mod project;
mod readouts;
mod reference;
mod registry;
mod report;
mod score;
mod sources;
mod templates;
mod weights;

use project::{Project, TRAIN};

/// Without this, a project that never works would pass every other test here.
#[test]
fn the_project_trains_and_scores_as_it_is() {
    let project = Project::new();
    let trained = project.run(&TRAIN, "");
    assert_eq!((trained.code, trained.errors.as_str()), (0, ""));
    assert!(project.path("registry/run/manifest.json").is_file());
    assert!(project.path("reports/run/index.html").is_file());
    project.assert_nothing_temporary();

    let scored = project.run(&["score", "--threads", "1", "--registry", "registry/run"], score::GOOD_ROWS);
    assert_eq!((scored.code, scored.errors.as_str()), (0, "2 rows scored\n"));
    assert_eq!(scored.output.lines().count(), 2);
    for line in scored.output.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON lines");
        assert!(row["combined"].is_f64() && row["scores"]["quality"]["raw"].is_f64(), "{line}");
    }
}
