//! The table of `docs/numeric-faults.md`: every row is there, and every test it names exists where it says.

use std::path::PathBuf;

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The path of a file's module as `cargo test` prints it: of `src/head/tests.rs` `head::tests`, of
/// `tests/flow/bits.rs` `bits`, of `tests/head_optimality.rs` nothing.
fn module(file: &str) -> String {
    let parts: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    let inside = if parts[0] == "src" { 1 } else { 2 };
    parts[inside..].iter().filter(|part| **part != "mod").copied().collect::<Vec<&str>>().join("::")
}

/// Whether the text holds a test function of this name: one with the attribute within the three lines before it.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let start = format!("fn {name}(");
    let found = lines.iter().enumerate().filter(|(_, line)| line.starts_with(&start));
    found.into_iter().any(|(place, _)| lines[place.saturating_sub(3)..place].contains(&"#[test]"))
}

/// What is wrong with one entry, written as a test's path and its file, both in backticks, with "in" between.
fn fault(entry: &str) -> Option<String> {
    let quoted: Vec<&str> = entry.split('`').collect();
    let ["", path, " in ", file, ""] = quoted[..] else { return Some(format!("not a test in a file: {entry}")) };
    let (parent, name) = path.rsplit_once("::").unwrap_or(("", path));
    let module = module(file);
    if parent != module && parent != format!("{module}::tests") {
        return Some(format!("{path} cannot stand in {file}, whose module is {module:?}"));
    }
    (!has_test(&read(file), name)).then(|| format!("{file} has no test {name}"))
}

#[test]
fn every_row_is_there_and_names_tests_that_exist() {
    let text = read("docs/numeric-faults.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| H")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect())
        .collect();
    let numbers: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let expected: Vec<String> = (1..=15).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected, "the rows H1 to H15, in their order");
    for row in &rows {
        let [number, danger, answer, tests] = row[..] else { panic!("not four cells: {row:?}") };
        assert!(danger.len() > 20 && answer.len() > 20, "H{number} says nothing");
        let faults: Vec<String> = tests.split("; ").filter_map(fault).collect();
        assert!(faults.is_empty(), "H{number}: {faults:#?}");
    }
}

#[test]
fn a_name_that_is_wrong_in_any_way_is_noticed() {
    let good = "`head::tests::a_shift_of_all_features_changes_no_score` in `src/head/tests.rs`";
    assert_eq!(fault(good), None);
    for (from, to) in [("changes_no", "changes_any"), ("head::", "tail::"), (" in ", " at "), ("a_shift", "shift")] {
        assert!(fault(&good.replace(from, to)).is_some(), "{from} as {to}");
    }
    assert!(fault("`head::tests::simulated` in `src/head/tests.rs`").is_some(), "a function that is no test");
}

#[test]
fn the_architecture_leads_to_the_table() {
    assert!(read("ARCHITECTURE.md").contains("(docs/numeric-faults.md)"));
}
