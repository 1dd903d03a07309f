//! Checks a tree against a JSON schema: types, ranges, words, keys. Goes on after a fault, so that all are found.
//!
//! Knows the part of JSON schema that [`super::schema`] generates and nothing of what the keys mean; that is the work
//! of [`super::check`].

use serde_json::{Map, Number, Value as Json};

use super::diagnostic::{Origin, Problem, Sources};
use super::node::{Node, Value};
use super::raw::{NAME_PATTERN, VERSION};
use crate::error::{did_you_mean, quote};

/// Checks trees; gathers problems.
pub(super) struct Shape<'a> {
    sources: &'a Sources,
    /// The schema of the whole file, for keys that stand in the wrong mapping.
    root: &'a Json,
    /// The other kind of file and its schema, for keys that stand in the wrong file.
    other: (&'a str, &'a Json),
    problems: &'a mut Vec<Problem>,
}

impl<'a> Shape<'a> {
    /// A check against `root`; `other` is the other kind of file.
    pub(super) fn new(
        sources: &'a Sources,
        root: &'a Json,
        other: (&'a str, &'a Json),
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        Self { sources, root, other, problems }
    }

    /// The whole tree as JSON without what is wrong: faulty keys are left out, faulty mappings in lists are empty.
    pub(super) fn check(&mut self, node: &Node) -> Json {
        let root = self.root;
        self.value(node, root, "").unwrap_or_else(|| Json::Object(Map::new()))
    }

    fn value(&mut self, node: &Node, schema: &Json, path: &str) -> Option<Json> {
        if let Some(branches) = schema["anyOf"].as_array() {
            return self.either(node, schema, branches, path);
        }
        let wrong = match (&node.value, schema["type"].as_str()) {
            (Value::Text(text), _) if words(schema).contains(&text.as_str()) => return Some(Json::from(text.as_str())),
            (Value::Map(entries), Some("object")) => return Some(self.mapping(node.origin, entries, schema, path)),
            (Value::List(items), Some("array")) => return self.list(node.origin, items, schema, path),
            (Value::Flag(flag), Some("boolean")) => return Some(Json::from(*flag)),
            (Value::Text(text), Some("string")) if fits_pattern(text, schema) => {
                return Some(Json::from(text.as_str()));
            }
            (Value::Whole(whole), Some("integer")) if fits_range(*whole as f64, schema) => {
                return i64::try_from(*whole).ok().map(Json::from);
            }
            (Value::Whole(whole), Some("number")) if fits_range(*whole as f64, schema) => {
                return Number::from_f64(*whole as f64).map(Json::Number);
            }
            (Value::Number(number), Some("number")) if fits_range(*number, schema) => {
                return Number::from_f64(*number).map(Json::Number);
            }
            _ => Problem::new(node.origin, format!("{} is {}", subject(path), node.value)).accepts(describe(schema)),
        };
        let problem = match &node.value {
            Value::Text(text) => wrong.suggest(did_you_mean(text, &words(schema))),
            _ => wrong,
        };
        self.problems.push(with_remedy(problem, node, schema, path));
        None
    }

    /// The first branch the value fits; one problem that names all branches otherwise.
    fn either(&mut self, node: &Node, schema: &Json, branches: &[Json], path: &str) -> Option<Json> {
        for branch in branches {
            let mut trial = Vec::new();
            let mut shape = Shape { sources: self.sources, root: self.root, other: self.other, problems: &mut trial };
            let fitting = shape.value(node, branch, path);
            if trial.is_empty() {
                return fitting;
            }
        }
        let words: Vec<&str> = branches.iter().flat_map(words).collect();
        let mut problem =
            Problem::new(node.origin, format!("{} is {}", subject(path), node.value)).accepts(describe(schema));
        if let Value::Text(text) = &node.value {
            problem = problem.suggest(did_you_mean(text, &words));
        }
        let numeric = branches.iter().find(|branch| branch["type"] == "number").unwrap_or(schema);
        self.problems.push(with_remedy(problem, node, numeric, path));
        None
    }

    fn mapping(&mut self, origin: Origin, entries: &[(String, Node)], schema: &Json, path: &str) -> Json {
        let known = keys(schema);
        let mut clean = Map::new();
        let mut seen: Vec<(&str, Origin)> = Vec::new();
        for (key, node) in entries {
            let Some(inner) = schema["properties"].get(key) else {
                let problem = self.unknown_key(node.origin, key, &known);
                self.problems.push(problem);
                continue;
            };
            if let Some((_, first)) = seen.iter().find(|(name, _)| name == key) {
                let found = format!("key \"{key}\" stands twice, first at {}", self.sources.place(*first));
                self.problems.push(Problem::new(node.origin, found).help("remove one of the two"));
                continue;
            }
            seen.push((key, node.origin));
            if let Some(value) = self.value(node, inner, &join(path, key)) {
                clean.insert(key.clone(), value);
            }
        }
        for key in required(schema) {
            if !seen.iter().any(|(name, _)| *name == key) {
                let found = format!("key {} is missing", quote(&join(path, key)));
                self.problems.push(Problem::new(origin, found).accepts(describe(&schema["properties"][key])));
            }
        }
        Json::Object(clean)
    }

    fn unknown_key(&self, origin: Origin, key: &str, known: &[&str]) -> Problem {
        let problem = Problem::new(origin, format!("unknown key {}", quote(key))).accepts(known.join(", "));
        if let Some(word) = did_you_mean(key, known) {
            return problem.suggest(Some(word));
        }
        if let Some(home) = home_of(self.root, key) {
            return problem.help(format!("\"{key}\" belongs {home}"));
        }
        let (file, schema) = self.other;
        match home_of(schema, key) {
            Some(home) => problem.help(format!("\"{key}\" belongs in the {file} file, {home}")),
            None => problem,
        }
    }

    fn list(&mut self, origin: Origin, items: &[Node], schema: &Json, path: &str) -> Option<Json> {
        let limit = |word: &str, otherwise: usize| {
            schema[word].as_u64().and_then(|bound| usize::try_from(bound).ok()).unwrap_or(otherwise)
        };
        let mut whole = true;
        if items.len() < limit("minItems", 0) || items.len() > limit("maxItems", usize::MAX) {
            let found = format!("{} is a list of {}", subject(path), items.len());
            self.problems.push(Problem::new(origin, found).accepts(describe(schema)));
            whole = false;
        }
        let mut clean: Vec<Json> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let place = join(path, &index.to_string());
            match self.value(item, &schema["items"], &place) {
                Some(value) if schema["uniqueItems"] == true && clean.contains(&value) => {
                    let found = format!("{path} holds {value} twice");
                    self.problems.push(Problem::new(item.origin, found).help("remove one of the two"));
                    whole = false;
                }
                Some(value) => clean.push(value),
                None if schema["items"]["type"] == "object" => clean.push(Json::Object(Map::new())),
                None => whole = false,
            }
        }
        whole.then_some(Json::Array(clean))
    }
}

/// The keys a mapping's schema knows, the required ones first.
pub(super) fn keys(schema: &Json) -> Vec<&str> {
    let required: Vec<&str> = required(schema).collect();
    let all = schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    let optional: Vec<&str> = all.filter(|key| !required.contains(key)).collect();
    [required, optional].concat()
}

fn required(schema: &Json) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str)
}

/// The words a schema lists; none when it is not about words.
fn words(schema: &Json) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Json::as_str);
    let described = schema["oneOf"].as_array().into_iter().flatten().flat_map(words);
    listed.chain(described).collect()
}

fn fits_pattern(text: &str, schema: &Json) -> bool {
    match schema["pattern"].as_str() {
        Some(NAME_PATTERN) => is_name(text),
        Some(_) => !text.trim().is_empty(),
        None => schema["enum"].is_null(),
    }
}

/// Whether `text` fits [`NAME_PATTERN`].
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && text.len() <= 63
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'))
}

fn fits_range(number: f64, schema: &Json) -> bool {
    let bound = |word: &str| schema[word].as_f64();
    number.is_finite()
        && bound("minimum").is_none_or(|least| number >= least)
        && bound("maximum").is_none_or(|most| number <= most)
        && bound("exclusiveMinimum").is_none_or(|below| number > below)
}

/// What a schema accepts, in words.
fn describe(schema: &Json) -> String {
    if let Some(branches) = schema["anyOf"].as_array() {
        return branches.iter().map(describe).collect::<Vec<_>>().join(", or ");
    }
    let words = words(schema);
    if !words.is_empty() {
        return words.join(", ");
    }
    match schema["type"].as_str() {
        Some("object") => format!("a mapping (keys: {})", keys(schema).join(", ")),
        Some("array") => format!("a list of {}{}", count(schema), describe_items(&schema["items"])),
        Some("string") if schema["pattern"] == NAME_PATTERN => {
            "a name of at most 63 lower-case letters, digits, _ and -, a letter first".to_owned()
        }
        Some("string") => "text that is not blank".to_owned(),
        Some("integer") => format!("a whole number{}", range(schema)),
        Some("number") => format!("a number{}", range(schema)),
        _ => "true or false".to_owned(),
    }
}

fn describe_items(schema: &Json) -> String {
    match schema["type"].as_str() {
        Some("object") => format!(", each {}", describe(schema)),
        _ => format!(": {}", describe(schema)),
    }
}

fn count(schema: &Json) -> String {
    match (schema["minItems"].as_u64(), schema["maxItems"].as_u64()) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("{least} or more"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => "any length".to_owned(),
    }
}

fn range(schema: &Json) -> String {
    let bound = |word: &str| {
        schema[word].as_f64().map(|number| if number >= 1e9 { format!("{number:e}") } else { number.to_string() })
    };
    let most = bound("maximum");
    match (bound("minimum"), bound("exclusiveMinimum"), most) {
        (Some(least), _, Some(most)) if least == most => format!(": {least}"),
        (Some(least), _, Some(most)) => format!(" from {least} to {most}"),
        (Some(least), _, None) => format!(", {least} or more"),
        (None, Some(below), Some(most)) => format!(" above {below}, at most {most}"),
        (None, Some(below), None) => format!(" above {below}"),
        (None, None, Some(most)) => format!(", at most {most}"),
        (None, None, None) => String::new(),
    }
}

/// Adds what to do about the usual slips.
fn with_remedy(problem: Problem, node: &Node, schema: &Json, path: &str) -> Problem {
    if problem.help.is_some() {
        return problem;
    }
    let kind = schema["type"].as_str();
    match (&node.value, kind) {
        (Value::Whole(_) | Value::Number(_), _) if path == "version" => {
            problem.help(format!("this build reads version {VERSION}"))
        }
        (Value::Nothing, _) if !path.is_empty() => problem.help("give the key a value, or remove it"),
        (Value::Text(text), Some("number" | "integer")) if text.parse().is_ok_and(f64::is_finite) => {
            problem.help("remove the quotes")
        }
        (Value::Whole(_) | Value::Number(_) | Value::Flag(_), Some("string")) if schema["pattern"] != NAME_PATTERN => {
            problem.help("put the value in quotes if it is meant as text")
        }
        (Value::Text(_) | Value::Map(_) | Value::Whole(_), Some("array")) => {
            problem.help("write it as a list: [first, second], or one `- ` line each")
        }
        _ => problem,
    }
}

/// Where in a file a key belongs: `at the top level`, `under "head"`.
fn home_of(schema: &Json, key: &str) -> Option<String> {
    if schema["properties"].get(key).is_some() {
        return Some("at the top level".to_owned());
    }
    schema["properties"].as_object().into_iter().flatten().find_map(|(name, inner)| {
        let mapping = if inner["items"].is_object() { &inner["items"] } else { inner };
        mapping["properties"].get(key).map(|_| format!("under \"{name}\""))
    })
}

fn subject(path: &str) -> &str {
    if path.is_empty() { "the top level" } else { path }
}

fn join(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(described(&["backbone", "pooling"]), "mean_response, mean_all, cls");
        assert_eq!(described(&["backbone", "layers"]), "a list of 1 to 8: a whole number from -64 to 64");
        assert_eq!(described(&["version"]), "a whole number: 1");
        let head = &schema::objective()["properties"]["head"]["properties"];
        assert_eq!(describe(&head["l2"]), "auto, or a number above 0, at most 1e12");
        assert_eq!(describe(&head["l2_grid"]), "a list of 2 to 32: a number above 0");
    }

    #[test]
    fn keys_in_the_wrong_place_are_told_where_they_belong() {
        let help = |text: &str| {
            let problems =
                objective_problems(&format!("name: a\nquestion: b\nlabels: ai\ndata: [{{path: x}}]\n{text}"));
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
            let (mapping, step) =
                if inner["items"].is_object() { (&inner["items"], format!("[{key}]")) } else { (inner, key.clone()) };
            all_keys(mapping, &[way, &[step]].concat(), found);
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

    #[test]
    fn every_key_with_one_edit_is_refused_and_the_key_is_offered() {
        let (run, objective) = (schema::run(), schema::objective());
        let mut tried = 0;
        for (root, other) in [(&run, ("objective", &objective)), (&objective, ("run", &run))] {
            let mut all = Vec::new();
            all_keys(root, &[], &mut all);
            for (way, key, known) in all {
                for edit in one_edit(key) {
                    let problems = problems_in(&yaml(&way, &format!("'{edit}'")), root, other);
                    let found = format!("unknown key \"{edit}\"");
                    let problem = problems.iter().find(|problem| problem.found == found).expect("refused");
                    assert_eq!(problem.help, Some(format!("did you mean \"{key}\"?")), "{edit}");
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
}
