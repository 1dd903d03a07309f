//! Tests with files that are damaged, of another kind, or made to do harm.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

#[test]
fn files_that_are_not_a_configuration_are_refused() {
    let project = Project::new();
    let long = format!("# {}\n", "x".repeat(1 << 20));
    let cases = [
        ("", "configs/run.yaml:1:1", "the top level is empty"),
        ("# only a comment\n", "configs/run.yaml:", "the top level is empty"),
        ("- a\n- b\n", "configs/run.yaml:1:1", "the top level is a list of 2"),
        ("text", "configs/run.yaml:1:1", "the top level is \"text\""),
        ("a: 1\n---\nb: 2\n", "configs/run.yaml:3:1", "a second YAML document starts here"),
        ("name: a\n\tb: 1\n", "configs/run.yaml:2:", "this YAML cannot be read: "),
        ("name: [a\n", "configs/run.yaml:2:1", "this YAML cannot be read: "),
        ("name: a\u{0}b\n", "configs/run.yaml:", "this YAML cannot be read: "),
        (long.as_str(), "configs/run.yaml", "this file is larger than 1 MiB"),
    ];
    for (text, place, found) in cases {
        project.write("configs/run.yaml", text);
        let fault = project.only_fault(&["name=b"]);
        assert!(fault.place.starts_with(place) && fault.found.starts_with(found), "{text:.40}: {fault:?}");
    }
    files::write_atomic(&project.path("configs/run.yaml"), b"name: a\nb: \xff\n").expect("writable");
    assert_eq!(project.only_fault(&[]).place, "configs/run.yaml:2:4");
    project.write("configs/runs.yaml", "");
    files::remove(&project.path("configs/run.yaml")).expect("there");
    let fault = project.only_fault(&[]);
    assert_eq!((fault.place.as_str(), fault.found.as_str()), ("configs/run.yaml", "this file does not exist"));
    assert_eq!(fault.help.as_deref(), Some("did you mean \"runs.yaml\"?"));
}

#[test]
fn hostile_files_are_refused_fast() {
    let project = Project::new();
    let unknown: Vec<String> = (0..5000).map(|index| format!("key{index}: [1]\n")).collect();
    for text in [unknown.concat(), "a: &a [*a]\n".to_owned(), "[".repeat(1 << 19), "x: ".repeat(1000)] {
        project.write("configs/run.yaml", &text);
        let start = Instant::now();
        assert!(project.faults(&[]).len() <= 51);
        assert!(start.elapsed() < Duration::from_secs(20), "{text:.20} took {:?}", start.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_damaged_file_is_read_or_refused_with_places(
        in_run in any::<bool>(),
        at in 0usize..400,
        length in 0usize..12,
        text in "[a-z0-9:\\[\\]{},\\-&* \n'\"!#.~]{0,12}",
    ) {
        let project = Project::new();
        let (file, whole) =
            if in_run { ("configs/run.yaml", RUN) } else { ("objectives/helpfulness.yaml", HELPFULNESS) };
        let (at, end) = (at.min(whole.len()), (at + length).min(whole.len()));
        project.write(file, &format!("{}{text}{}", &whole[..at], &whole[end..]));
        if let Err(error) = project.load(&[]) {
            prop_assert!(matches!(error, Error::Config(_)) && !error.faults().is_empty());
            for fault in error.faults() {
                prop_assert!(fault.place.contains(".yaml:"), "{fault}");
            }
        }
    }
}
