//! Reports that cannot be made: no registry, another config's, or a folder that is no report.

use insta::assert_snapshot;

use crate::project::Project;

const REPORT: [&str; 5] = ["report", "--quiet", "--threads", "1", "configs/run.yaml"];

fn refused(project: &Project, code: i32, more: &[&str]) -> String {
    project.refused(code, &[&REPORT, more].concat())
}

#[test]
fn the_report_is_written_as_it_is() {
    let project = Project::trained();
    let outcome = project.run(&[&REPORT[..], &["--compare", "registry/run"]].concat(), "");
    assert_eq!((outcome.code, outcome.errors.as_str()), (0, ""));
    assert!(outcome.output.contains("quality: every pair is ordered as before"), "{}", outcome.output);
}

#[test]
fn a_run_that_was_not_trained() {
    assert_snapshot!(refused(&Project::new(), 3, &[]));
}

#[test]
fn an_older_registry_that_is_not_there() {
    assert_snapshot!(refused(&Project::trained(), 3, &["--compare", "registry/old"]));
}

#[test]
fn a_config_of_other_objectives() {
    let project = Project::trained();
    let config = String::from_utf8(project.read("configs/run.yaml")).expect("text");
    let (fewer, _) = config.split_once("  - file: ../objectives/safety.yaml").expect("two objectives");
    project.write("configs/run.yaml", fewer);
    assert_snapshot!(refused(&project, 2, &[]));
}

#[test]
fn a_report_of_an_older_version_for_figures_of_a_benchmark() {
    let project = Project::trained();
    project.write_rows("rows.jsonl", &[serde_json::json!({ "prompt": "Who?", "chosen": "yes", "rejected": "no" })]);
    project.write("reports/run/report.json", "{\"name\": \"run\"}");
    let eval = ["eval", "--quiet", "-r", "registry/run", "--pairs", "rows.jsonl", "--report", "reports/run"];
    assert_snapshot!(project.refused(3, &eval));
}
