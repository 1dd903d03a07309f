//! Tests of the checks that the schema alone decides.

use proptest::prelude::*;

use super::super::node::parse;
use super::super::schema;
use super::*;

fn problems_in(text: &str, root: &Json, other: (&str, &Json)) -> Vec<Problem> {
    let mut sources = Sources::new(&[]);
    let document = sources.add("x.yaml".into(), text.to_owned());
    let mut problems = Vec::new();
    Shape::new(&sources, root, other, &mut problems).check(&parse(document, text).expect("readable"));
    problems
}

fn objective_problems(text: &str) -> Vec<Problem> {
    problems_in(text, &schema::objective(), ("run", &schema::run()))
}

#[test]
fn accepted_values_are_described_in_words() {
    let run = schema::run();
    let described = |keys: &[&str]| describe(keys.iter().fold(&run, |schema, key| &schema["properties"][key]));
    assert_eq!(described(&["backbone", "max_tokens"]), "a whole number from 8 to 8192");
    assert_eq!(described(&["backbone", "pooling"]), "auto, mean_response, mean_all, cls, last_token");
    assert_eq!(described(&["backbone", "layers"]), "a list of 1 to 8: a whole number from -256 to 256");
    assert_eq!(described(&["version"]), "a whole number: 1");
    let objective = schema::objective();
    let head = &mapping_in(&objective["properties"]["head"])["properties"];
    assert_eq!(describe(&head["l2"]), "auto, or a number above 0, at most 1e12");
    assert_eq!(describe(&head["l2_grid"]), "a list of 2 to 32: a number above 0");
}

#[test]
fn keys_in_the_wrong_place_are_told_where_they_belong() {
    let help = |text: &str| {
        let problems = objective_problems(&format!("name: a\nquestion: b\nlabels: ai\ndata: [{{path: x}}]\n{text}"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].help.clone().unwrap_or_default()
    };
    assert_eq!(help("folds: 3"), "\"folds\" belongs under \"head\"");
    assert_eq!(help("head: {normalizer: zscore}"), "\"normalizer\" belongs at the top level");
    assert_eq!(help("max_tokens: 3"), "\"max_tokens\" belongs in the run file, under \"backbone\"");
    assert_eq!(help("banana: 3"), "");
    assert_eq!(help("head: {l2: auot}"), "did you mean \"auto\"?");
    assert_eq!(help("head: {l2: '3'}"), "remove the quotes");
    assert_eq!(help("version: 2"), "this build reads version 1");
}

/// Every key of a schema with the dotted way to its mapping.
fn all_keys<'a>(schema: &'a Json, way: &[String], found: &mut Vec<(Vec<String>, &'a str, Vec<&'a str>)>) {
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        found.push((way.to_vec(), key, keys(schema)));
        let step = if inner["items"].is_object() { format!("[{key}]") } else { key.clone() };
        all_keys(mapping_in(inner), &[way, &[step]].concat(), found);
    }
}

fn yaml(way: &[String], key: &str) -> String {
    way.iter().rev().fold(format!("{{{key}: 1}}"), |inner, step| {
        match step.strip_prefix('[').and_then(|step| step.strip_suffix(']')) {
            Some(list) => format!("{{{list}: [{inner}]}}"),
            None => format!("{{{step}: {inner}}}"),
        }
    })
}

fn one_edit(key: &str) -> Vec<String> {
    let letters: Vec<char> = key.chars().collect();
    let mut edits = Vec::new();
    for at in 0..letters.len() {
        let (left, right) = letters.split_at(at);
        let join = |parts: &[&[char]]| parts.concat().into_iter().collect::<String>();
        edits.push(join(&[left, &right[1..]]));
        edits.push(join(&[left, &['x'], &right[1..]]));
        edits.push(join(&[left, &['x'], right]));
        if right.len() > 1 {
            edits.push(join(&[left, &[right[1], right[0]], &right[2..]]));
        }
    }
    edits.retain(|edit| edit != key && edit.chars().any(|letter| letter != '_'));
    edits
}

fn differing(left: &str, right: &str) -> usize {
    left.chars().zip(right.chars()).filter(|(left, right)| left != right).count()
}

#[test]
fn every_key_with_one_edit_is_refused_and_the_key_is_offered() {
    let (run, objective) = (schema::run(), schema::objective());
    let mut tried = 0;
    for (root, other) in [(&run, ("objective", &objective)), (&objective, ("run", &run))] {
        let mut all = Vec::new();
        all_keys(root, &[], &mut all);
        for (way, key, known) in all {
            // Names of fields differ by one letter here and there; then another one may be meant or offered.
            let fields = way.last().is_some_and(|step| step == "columns");
            for edit in one_edit(key).into_iter().filter(|edit| !known.contains(&edit.as_str())) {
                // "mix_gap" is one letter away from max_gap as well.
                let near = |other: &str| other.len() == edit.len() && differing(other, &edit) == 1;
                if !fields && known.iter().any(|other| *other != key && near(other)) {
                    continue;
                }
                let problems = problems_in(&yaml(&way, &format!("'{edit}'")), root, other);
                let found = format!("unknown key \"{edit}\"");
                let problem = problems.iter().find(|problem| problem.found == found).expect("refused");
                let offered = known.iter().find(|word| problem.help == Some(format!("did you mean \"{word}\"?")));
                assert!(offered == Some(&key) || fields && offered.is_some(), "{edit}: {:?}", problem.help);
                assert_eq!(problem.accepted, Some(known.join(", ")));
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic(text in "[a-z0-9:\\[\\]{},\\-&* \n'\"!#.~]{0,80}") {
        if let Ok(node) = parse(0, &text) {
            let (run, objective) = (schema::run(), schema::objective());
            let mut problems = Vec::new();
            let sources = Sources::new(&[]);
            Shape::new(&sources, &run, ("objective", &objective), &mut problems).check(&node);
            prop_assert!(!problems.is_empty(), "no short text is a whole run");
        }
    }

    #[test]
    fn names_follow_their_pattern(text in "[a-zA-Z0-9_-]{0,70}") {
        let first = text.chars().next();
        let expected = first.is_some_and(|c| c.is_ascii_lowercase())
            && text.len() <= 63
            && !text.chars().any(|c| c.is_ascii_uppercase());
        prop_assert_eq!(is_name(&text), expected);
    }
}
