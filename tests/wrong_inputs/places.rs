//! Wrong places of a backbone: hub names, revisions, and places that contradict each other.

use insta::assert_snapshot;

use crate::project::{Project, TRAIN};

const PATH: &str = "path: ../backbones/tiny";
#[cfg(not(feature = "hub"))]
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The project whose backbone stands at the place that these keys name.
fn project(keys: &str) -> Project {
    let project = Project::new();
    project.edit("configs/run.yaml", PATH, keys);
    project
}

fn place(keys: &str) -> String {
    project(keys).refused(2, &TRAIN)
}

#[test]
fn no_place() {
    assert_snapshot!(place("pooling: mean_all"));
}

#[test]
fn a_folder_and_a_name() {
    assert_snapshot!(place("path: ../backbones/tiny\n  hub: org/model"));
}

#[test]
fn a_revision_of_a_folder() {
    assert_snapshot!(place("path: ../backbones/tiny\n  revision: main"));
}

#[test]
fn a_revision_alone() {
    assert_snapshot!(place("revision: main"));
}

#[test]
fn a_name_that_is_an_address() {
    assert_snapshot!(place("hub: https://hub.example/org/model/tree/main"));
}

#[test]
fn a_name_that_is_a_folder() {
    assert_snapshot!(place("hub: ../backbones/tiny"));
}

#[test]
fn a_name_with_blanks() {
    assert_snapshot!(place("hub: org/my model"));
}

#[test]
fn a_name_that_is_empty() {
    assert_snapshot!(place("hub: ''"));
}

#[test]
fn a_revision_that_leads_elsewhere() {
    assert_snapshot!(place("hub: org/model\n  revision: ../../etc"));
}

#[cfg(not(feature = "hub"))]
#[test]
fn a_model_that_is_not_in_the_cache() {
    assert_snapshot!(place("hub: org/model"));
}

#[cfg(not(feature = "hub"))]
#[test]
fn a_model_whose_name_is_misspelt() {
    let project = project("hub: org/modle");
    project.write("hub/hub/models--org--model/refs/main", COMMIT);
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[cfg(not(feature = "hub"))]
#[test]
fn a_revision_that_is_not_in_the_cache() {
    let project = project("hub: org/model\n  revision: v2");
    project.write("hub/hub/models--org--model/refs/main", COMMIT);
    project.write(format!("hub/hub/models--org--model/snapshots/{COMMIT}/config.json"), "{}");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[cfg(not(feature = "hub"))]
#[test]
fn a_model_that_was_fetched_in_part() {
    let project = project("hub: org/model");
    project.write("hub/hub/models--org--model/refs/main", COMMIT);
    project.write(format!("hub/hub/models--org--model/snapshots/{COMMIT}/config.json"), "{}");
    project.write("hub/hub/models--org--model/blobs/12.incomplete", "x");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[cfg(not(feature = "hub"))]
#[test]
fn a_branch_that_names_no_commit() {
    let project = project("hub: org/model");
    project.write("hub/hub/models--org--model/refs/main", "../../../../backbones/tiny");
    assert_snapshot!(project.refused(2, &TRAIN));
}
