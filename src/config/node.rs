//! A YAML document as a tree in which every value knows where it came from.
//!
//! The YAML reader tells places only in its errors. So a place is found by reading the text a second time and raising
//! an error at the wanted value: exact for block style, flow style, quotes and anchors alike, and paid for only when
//! there is a fault to show. Values are numbered in the order of the text; the number is all a [`Node`] carries.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Visitor};

use super::diagnostic::{Origin, Problem};
use crate::error::quote;

/// More values than this are refused: a run with 64 objectives needs a few hundred, an alias bomb wants millions.
const MAX_VALUES: usize = 20_000;
/// Deeper nesting than this is refused before the YAML reader sees it: its time grows with the square of open brackets.
const MAX_LEVELS: usize = 128;

/// One value and where it came from. A mapping's value bears the place of its key, which is where a reader looks.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub origin: Origin,
    pub value: Value,
}

/// What a YAML value can be.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Nothing,
    Flag(bool),
    Whole(i128),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value under `step`: a key of a mapping (its first occurrence) or an index of a list.
    pub(super) fn child(&self, step: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key == step).map(|(_, node)| node),
            Value::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// Where the value at the dotted `path` stands, or the nearest value around it that exists.
    pub(super) fn origin_at(&self, path: &str) -> Origin {
        let mut node = self;
        for step in path.split('.') {
            match node.child(step) {
                Some(inner) => node = inner,
                None => break,
            }
        }
        node.origin
    }

    /// The text under a key, if there is a text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.child(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Gives the whole tree one origin.
    pub(super) fn stamp(&mut self, origin: Origin) {
        self.origin = origin;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.stamp(origin)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| node.stamp(origin)),
            _ => {}
        }
    }
}

impl fmt::Display for Value {
    /// The value as a message shows it: what stands there, and what kind of thing that is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("empty"),
            Self::Flag(flag) => write!(f, "{flag} (true or false)"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) if number.is_nan() => f.write_str("not a number (NaN)"),
            Self::Number(number) if number.is_infinite() => f.write_str("infinite"),
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Text(text) => f.write_str(&quote(text)),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Map(_) => f.write_str("a mapping"),
        }
    }
}

/// Reads one YAML document; `document` is its number in [`super::diagnostic::Sources`].
///
/// # Errors
/// One [`Problem`] when the text is not exactly one YAML document, or nests deeper or holds more than any real
/// configuration does.
pub(super) fn parse(document: usize, text: &str) -> Result<Node, Problem> {
    let whole = Origin::Place { document, line: 1, column: 1 };
    if let Some((line, column)) = too_deep(text) {
        let origin = Origin::Place { document, line, column };
        return Err(Problem::new(origin, "this nests too deeply").accepts(format!("at most {MAX_LEVELS} levels")));
    }
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else {
        return Ok(Node { origin: whole, value: Value::Nothing });
    };
    let counter = Counter { document, next: Cell::new(0), target: None };
    let root = Seed(&counter).deserialize(first).map_err(|error| {
        if counter.next.get() > MAX_VALUES {
            return Problem::new(whole, format!("more than {MAX_VALUES} values, aliases counted each time"))
                .help("write the configuration without nested aliases");
        }
        syntax_problem(document, text, &error)
    })?;
    match documents.next() {
        None => Ok(root),
        Some(second) => {
            let (line, column) = first_place(second).unwrap_or((1, 1));
            let origin = Origin::Place { document, line, column };
            Err(Problem::new(origin, "a second YAML document starts here")
                .accepts("one document in a file")
                .help("remove the `---` line, or move what follows to a file of its own"))
        }
    }
}

/// Line and column, both from 1, of the value with number `id`.
pub(super) fn place(text: &str, id: usize) -> Option<(usize, usize)> {
    let document = serde_yaml::Deserializer::from_str(text).next()?;
    let counter = Counter { document: 0, next: Cell::new(0), target: Some(id) };
    let location = Seed(&counter).deserialize(document).err()?.location()?;
    Some((location.line(), location.column()))
}

fn first_place(document: serde_yaml::Deserializer<'_>) -> Option<(usize, usize)> {
    let counter = Counter { document: 0, next: Cell::new(0), target: Some(0) };
    let location = Seed(&counter).deserialize(document).err()?.location()?;
    Some((location.line(), location.column()))
}

fn syntax_problem(document: usize, text: &str, error: &serde_yaml::Error) -> Problem {
    let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
    let message = error.to_string().replacen(&format!(" at line {line} column {column}"), "", 1);
    let problem = Problem::new(
        Origin::Place { document, line, column },
        format!("this YAML cannot be read: {}", clean(&message)),
    );
    if message.contains("limit exceeded") {
        return problem.help("write the configuration without deep nesting and without nested aliases");
    }
    let before = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let indent: String = before.chars().take_while(|character| character.is_whitespace()).collect();
    if indent.contains('\t') {
        return problem.accepts("spaces").help("replace the tab at the start of this line by spaces");
    }
    problem
}

/// Control characters escaped and the length bounded, without the quotes that [`quote`] adds.
fn clean(message: &str) -> String {
    message
        .chars()
        .take(200)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// Where brackets, or `- - -` and `? ? ?` on one line, nest deeper than any configuration does.
fn too_deep(text: &str) -> Option<(usize, usize)> {
    let mut open = 0usize;
    for (index, line) in text.lines().enumerate() {
        if line.split_whitespace().take_while(|word| matches!(*word, "-" | "?")).count() > MAX_LEVELS {
            return Some((index + 1, 1));
        }
        for (column, character) in line.chars().enumerate() {
            match character {
                '[' | '{' => open += 1,
                ']' | '}' => open = open.saturating_sub(1),
                _ => {}
            }
            if open > MAX_LEVELS {
                return Some((index + 1, column + 1));
            }
        }
    }
    None
}

/// Numbers the values of one document in the order of its text.
struct Counter {
    document: usize,
    next: Cell<usize>,
    target: Option<usize>,
}

/// Reads one value.
struct Seed<'a>(&'a Counter);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let id = self.0.next.get();
        self.0.next.set(id + 1);
        deserializer.deserialize_any(Reader { counter: self.0, id })
    }
}

struct Reader<'a> {
    counter: &'a Counter,
    id: usize,
}

impl Reader<'_> {
    /// The error is the message: the YAML reader adds the place of the value to it.
    fn enter<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.counter.target == Some(self.id) {
            return Err(E::custom("here"));
        }
        if self.id >= MAX_VALUES {
            return Err(E::custom("too many values"));
        }
        Ok(())
    }

    fn node<E: serde::de::Error>(&self, value: Value) -> Result<Node, E> {
        self.enter()?;
        Ok(Node { origin: Origin::Value { document: self.counter.document, id: self.id }, value })
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true or false, a list or a mapping")
    }

    fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Node, E> {
        self.node(Value::Flag(flag))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Node, E> {
        self.node(Value::Whole(number.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Node, E> {
        self.node(Value::Whole(number.into()))
    }

    fn visit_i128<E: serde::de::Error>(self, number: i128) -> Result<Node, E> {
        self.node(Value::Whole(number))
    }

    fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<Node, E> {
        self.node(i128::try_from(number).map_or(Value::Number(number as f64), Value::Whole))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Node, E> {
        self.node(Value::Number(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node, E> {
        self.node(Value::Text(text.to_owned()))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        self.node(Value::Nothing)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Node, E> {
        self.node(Value::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        self.enter()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Seed(self.counter))? {
            items.push(item);
        }
        self.node(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        self.enter()?;
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(Seed(self.counter))? {
            let mut node = map.next_value_seed(Seed(self.counter))?;
            node.origin = key.origin;
            let key = match key.value {
                Value::Text(text) => text,
                other => other.to_string(),
            };
            entries.push((key, node));
        }
        self.node(Value::Map(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        self.enter()?;
        let (tag, _) = tagged.variant_seed(TagName)?;
        Err(A::Error::custom(format!("the tag !{tag} is not known")))
    }
}

struct TagName;

impl<'de> DeserializeSeed<'de> for TagName {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        String::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn place_of(text: &str, path: &str) -> (usize, usize) {
        let root = parse(0, text).expect("readable");
        match root.origin_at(path) {
            Origin::Value { id, .. } => place(text, id).expect("a place"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn places_are_those_of_keys_and_list_items_in_every_style() {
        let text = concat!(
            "# a comment: with colon\na: 1\n'b c':\n  - x: {k: [1, 2], \"l\": 3}\n    y: >\n      folded: text\n",
            "  -   z: ü\nd: &anchor [7]\ne: *anchor\n",
        );
        assert_eq!(place_of(text, "a"), (2, 1));
        assert_eq!(place_of(text, "b c"), (3, 1));
        assert_eq!(place_of(text, "b c.0.x"), (4, 5));
        assert_eq!(place_of(text, "b c.0.x.k.1"), (4, 16));
        assert_eq!(place_of(text, "b c.0.x.l"), (4, 20));
        assert_eq!(place_of(text, "b c.0.y"), (5, 5));
        assert_eq!(place_of(text, "b c.1"), (7, 7));
        assert_eq!(place_of(text, "e"), (9, 1));
        assert_eq!(place_of(text, "e.0"), (8, 13), "an alias shows where its value stands");
        assert_eq!(place_of(text, "a.missing"), (2, 1), "the nearest value that exists");
    }

    #[test]
    fn scalars_keep_their_kind() {
        let root = parse(0, "[1, -2, 1e3, .nan, -.inf, no, 'x', ~, true, 99999999999999999999]").expect("readable");
        let Value::List(items) = &root.value else { panic!("a list") };
        let shown: Vec<String> = items.iter().map(|item| item.value.to_string()).collect();
        let wanted = ["1", "-2", "1000.0", "not a number (NaN)", "infinite", "\"no\"", "\"x\"", "empty"];
        assert_eq!(shown[..8], wanted);
        assert_eq!(shown[8..], ["true (true or false)", "99999999999999999999"]);
    }

    #[test]
    fn what_is_not_one_document_is_refused_at_its_place() {
        let place = |text: &str| match parse(0, text).expect_err("refused").origin {
            Origin::Place { line, column, .. } => (line, column),
            other => panic!("{other:?}"),
        };
        assert_eq!(place("a: 1\n---\nb: 2\n"), (3, 1));
        assert_eq!(place("a: 1\n\tb: 2\n").0, 2);
        assert_eq!(place("a: [1, 2\nb: 3\n").0, 2);
        assert_eq!(place("a: *nowhere\n"), (1, 4));
        assert_eq!(place("a: 1\nb: !secret x\n"), (2, 4));
        assert!(matches!(parse(0, "# nothing\n").expect("readable").value, Value::Nothing));
        assert!(parse(0, "a: 1\n\tb: 2\n").expect_err("refused").help.is_some_and(|help| help.contains("tab")));
    }

    #[test]
    fn bombs_and_deep_nesting_are_refused_fast() {
        let laughs: Vec<String> = (1..12)
            .map(|level| format!("l{level}: &l{level} [{}]\n", vec![format!("*l{}", level - 1); 10].join(", ")))
            .collect();
        let laughs = laughs.concat();
        let wide = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(100_000), "*a, ".repeat(100_000));
        let bombs = [
            format!("l0: &l0 lol\n{laughs}"),
            wide,
            "a: &a [*a, *a]".to_owned(),
            "[".repeat(1 << 20),
            "{a: ".repeat(1 << 18),
            "- ".repeat(1 << 19),
            "? ".repeat(1 << 19),
            "&a ".repeat(1 << 18),
            "a: \"".to_owned() + &"x".repeat(1 << 20),
        ];
        for bomb in bombs {
            let start = Instant::now();
            assert!(parse(0, &bomb).is_err(), "{bomb:.40}");
            let elapsed = start.elapsed();
            assert!(elapsed < Duration::from_secs(5), "{bomb:.40} took {elapsed:?}");
        }
    }
}
