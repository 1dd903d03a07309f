//! The reference and the domains: what is read, and what is refused.

use super::*;
use crate::config::ReferenceConfig;

#[test]
fn a_reference_is_read_with_its_files_columns_and_domain() {
    let project = Project::new();
    project.write("data/samples.jsonl", "{}");
    let reference = "reference: {path: ../data/samples.jsonl, columns: {response: sample}, domain_field: kind}\n";
    project.write("configs/run.yaml", &format!("{RUN}{reference}"));
    project.write("objectives/safety.yaml", &format!("{SAFETY}    domain_field: kind\n"));
    let config = project.loaded(&[]);
    let path = project.path("data/samples.jsonl");
    let expected = ReferenceConfig {
        files: vec![path.clone()],
        path,
        columns: BTreeMap::from([("response".to_owned(), "sample".to_owned())]),
        domain_field: Some("kind".to_owned()),
    };
    assert_eq!(config.reference, Some(expected));
    assert_eq!(config.objectives[1].data[0].domain_field.as_deref(), Some("kind"));
    assert_eq!(Project::new().loaded(&[]).reference, None);
    let folder = format!("reference={{path: {}}}", project.path("data").display());
    let folder = project.loaded(&[&folder]);
    assert_eq!(folder.reference.map(|reference| reference.files.len()), Some(2));
}

#[test]
fn a_reference_that_is_not_there_is_refused_at_its_place() {
    for (value, place, found) in [
        ("{path: ../data/ratd.jsonl}", "23:13", "reference.path names \"data/ratd.jsonl\", which does not exist"),
        ("{}", "23:1", "key \"reference.path\" is missing"),
        ("{path: ../data/rated.jsonl, domain_field: ' '}", "23:40", "reference.domain_field is \" \""),
        ("{path: ../data/rated.jsonl, format: rated}", "23:40", "unknown key \"format\""),
    ] {
        let project = Project::new();
        project.write("configs/run.yaml", &format!("{RUN}reference: {value}\n"));
        let fault = project.only_fault(&[]);
        assert_eq!((fault.place, fault.found.as_str()), (format!("configs/run.yaml:{place}"), found), "{value}");
    }
}
