//! Every published format with rows that it cannot mean (made by `tests/fixtures/make_formats.py`).

use insta::assert_snapshot;

use crate::families::fixture;
use crate::project::{Project, TRAIN};

/// The message for the wrong rows of a format, of which `score` counts where one must be named.
fn rows(format: &str, score: Option<&str>) -> String {
    let project = Project::new();
    let score = score.map_or_else(String::new, |score| format!("\n    score: {score}"));
    project.edit("objectives/safety.yaml", "format: pairs", &format!("format: {format}{score}"));
    project.write("data/pairs.jsonl", fixture(&format!("formats/{format}.wrong.jsonl")));
    project.refused(2, &TRAIN)
}

#[test]
fn wrong_rows_of_alpaca() {
    assert_snapshot!(rows("alpaca", None));
}

#[test]
fn wrong_rows_of_arena() {
    assert_snapshot!(rows("arena", None));
}

#[test]
fn wrong_rows_of_armorm() {
    assert_snapshot!(rows("armorm", Some("helpsteer-helpfulness")));
}

#[test]
fn wrong_rows_of_axolotl() {
    assert_snapshot!(rows("axolotl", None));
}

#[test]
fn wrong_rows_of_helpsteer() {
    assert_snapshot!(rows("helpsteer", Some("helpfulness")));
}

#[test]
fn wrong_rows_of_helpsteer2_preference() {
    assert_snapshot!(rows("helpsteer2_preference", None));
}

#[test]
fn wrong_rows_of_helpsteer3() {
    assert_snapshot!(rows("helpsteer3", None));
}

#[test]
fn wrong_rows_of_hh_rlhf() {
    assert_snapshot!(rows("hh_rlhf", None));
}

#[test]
fn wrong_rows_of_labelers() {
    assert_snapshot!(rows("labelers", None));
}

#[test]
fn wrong_rows_of_nemo_regression() {
    assert_snapshot!(rows("nemo_regression", Some("helpfulness")));
}

#[test]
fn wrong_rows_of_nemo_rl() {
    assert_snapshot!(rows("nemo_rl", None));
}

#[test]
fn wrong_rows_of_objectives() {
    assert_snapshot!(rows("objectives", None));
}

#[test]
fn wrong_rows_of_orca() {
    assert_snapshot!(rows("orca", None));
}

#[test]
fn wrong_rows_of_pairs() {
    assert_snapshot!(rows("pairs", None));
}

#[test]
fn wrong_rows_of_pku_safe_rlhf() {
    assert_snapshot!(rows("pku_safe_rlhf", None));
}

#[test]
fn wrong_rows_of_rankings() {
    assert_snapshot!(rows("rankings", None));
}

#[test]
fn wrong_rows_of_rated() {
    assert_snapshot!(rows("rated", Some("quality")));
}

#[test]
fn wrong_rows_of_reward_bench() {
    assert_snapshot!(rows("reward_bench", None));
}

#[test]
fn wrong_rows_of_reward_bench2() {
    assert_snapshot!(rows("reward_bench2", None));
}

#[test]
fn wrong_rows_of_rm_bench() {
    assert_snapshot!(rows("rm_bench", None));
}

#[test]
fn wrong_rows_of_sharegpt() {
    assert_snapshot!(rows("sharegpt", None));
}

#[test]
fn wrong_rows_of_text_score_list() {
    assert_snapshot!(rows("text_score_list", None));
}

#[test]
fn wrong_rows_of_ties() {
    assert_snapshot!(rows("ties", None));
}

#[test]
fn wrong_rows_of_ultrafeedback() {
    assert_snapshot!(rows("ultrafeedback", Some("helpfulness")));
}

#[test]
fn wrong_rows_of_unpaired() {
    assert_snapshot!(rows("unpaired", None));
}
