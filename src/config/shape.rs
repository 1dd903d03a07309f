//! Checks a tree against a JSON schema: types, ranges, words, keys. Goes on after a fault, so that all are found.
//!
//! Knows the part of JSON schema that [`super::schema`] generates and nothing of what the keys mean; that is the work
//! of [`super::check`].

use serde_json::{Map, Number, Value as Json};

use super::diagnostic::{Origin, Problem, Sources};
use super::node::{Node, Value};
use super::placement::{DEVICE_PATTERN, DEVICES, Device};
use super::raw::{NAME_PATTERN, TEXT_PATTERN, VERSION};
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
        // A mapping can only mean the branch that is one: its own faults say more than "none of these".
        if let (Value::Map(_), Some(mapping)) = (&node.value, branches.iter().find(|branch| branch["type"] == "object"))
        {
            return self.value(node, mapping, path);
        }
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
            let Some(inner) = value_of(schema, key) else {
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
        let problem = Problem::new(origin, format!("unknown key {}", quote(key)));
        let problem = problem.accepts(if known.is_empty() { "a name".to_owned() } else { known.join(", ") });
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

/// What the value of a key must be: of a known key, or of any name in a mapping from names.
fn value_of<'a>(schema: &'a Json, key: &str) -> Option<&'a Json> {
    let any = schema["patternProperties"].get(TEXT_PATTERN).filter(|_| !key.trim().is_empty());
    schema["properties"].get(key).or(any)
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
        Some(DEVICE_PATTERN) => text.parse::<Device>().is_ok(),
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
        && bound("exclusiveMaximum").is_none_or(|above| number < above)
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
        Some("object") if schema["properties"].is_null() => {
            format!("a mapping from names, each to {}", describe(&schema["patternProperties"][TEXT_PATTERN]))
        }
        Some("object") => format!("a mapping (keys: {})", keys(schema).join(", ")),
        Some("array") => format!("a list of {}{}", count(schema), describe_items(&schema["items"])),
        Some("string") if schema["pattern"] == NAME_PATTERN => {
            "a name of at most 63 lower-case letters, digits, _ and -, a letter first".to_owned()
        }
        Some("string") if schema["pattern"] == DEVICE_PATTERN => DEVICES.to_owned(),
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
    if let (Some(least), Some(above)) = (bound("minimum"), bound("exclusiveMaximum")) {
        return format!(" from {least}, below {above}");
    }
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
        (Value::Whole(_) | Value::Number(_) | Value::Flag(_), Some("string")) if schema["pattern"] == TEXT_PATTERN => {
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
    schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .find_map(|(name, inner)| mapping_in(inner)["properties"].get(key).map(|_| format!("under \"{name}\"")))
}

/// The mapping a key's value is, or is a list of, or may be.
fn mapping_in(schema: &Json) -> &Json {
    let branches = schema["anyOf"].as_array();
    let branch = branches.and_then(|branches| branches.iter().find(|branch| branch["type"] == "object"));
    if schema["items"].is_object() { &schema["items"] } else { branch.unwrap_or(schema) }
}

fn subject(path: &str) -> &str {
    if path.is_empty() { "the top level" } else { path }
}

fn join(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") }
}

#[cfg(test)]
mod tests;
