//! `--set KEY=VALUE`: changes the trees before they are checked, so that an override is checked exactly like the file.
//!
//! Which file an override changes is decided in [`super::document`].

use super::diagnostic::{Origin, Problem};
use super::node::{self, Node, Value};
use crate::error::quote;

/// One override, read.
#[derive(Clone, Debug)]
pub(super) struct Override {
    pub origin: Origin,
    pub keys: Vec<String>,
    pub value: Node,
}

/// Reads every `KEY=VALUE`; a value is YAML: `2`, `text`, `[1, 2]`, `{l2: auto}`.
pub(super) fn read(texts: &[String], problems: &mut Vec<Problem>) -> Vec<Override> {
    let mut overrides = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match read_one(Origin::Override(index), text) {
            Ok(one) => overrides.push(one),
            Err(problem) => problems.push(problem),
        }
    }
    overrides
}

fn read_one(origin: Origin, text: &str) -> Result<Override, Problem> {
    let unusable = |found: &str| Problem::new(origin, found).accepts("KEY=VALUE, such as backbone.max_tokens=128");
    let (key, value) = text.split_once('=').ok_or_else(|| unusable("there is no `=`"))?;
    let keys: Vec<String> = key.split('.').map(|key| key.trim().to_owned()).collect();
    if keys.iter().any(String::is_empty) {
        return Err(unusable("the key is empty or has an empty part"));
    }
    let mut value = node::parse(0, value).map_err(|problem| Problem { origin, ..problem })?;
    value.stamp(origin);
    Ok(Override { origin, keys, value })
}

/// Puts the value of `change` at `keys` under `root`; mappings that are missing on the way are made.
///
/// # Errors
/// A [`Problem`] when the way leads through a value that holds no keys, or past the end of a list.
pub(super) fn apply(root: &mut Node, keys: &[String], change: &Override) -> Result<(), Problem> {
    let mut node = root;
    let mut way: Vec<&str> = Vec::new();
    for key in keys {
        node = step(node, key, &way, change.origin)?;
        way.push(key);
    }
    *node = change.value.clone();
    Ok(())
}

fn step<'a>(node: &'a mut Node, key: &str, way: &[&str], origin: Origin) -> Result<&'a mut Node, Problem> {
    let shown = if way.is_empty() { "the file".to_owned() } else { way.join(".") };
    if matches!(node.value, Value::Nothing) {
        *node = Node { origin, value: Value::Map(Vec::new()) };
    }
    match &mut node.value {
        Value::Map(entries) => {
            let index = entries.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
                entries.push((key.to_owned(), Node { origin, value: Value::Nothing }));
                entries.len() - 1
            });
            let (_, inner) = &mut entries[index];
            Ok(inner)
        }
        Value::List(items) => {
            let accepted = match items.len() {
                0 => format!("{shown}=[…], a whole list"),
                1 => format!("{shown}.0"),
                count => format!("{shown}.0 to {shown}.{}", count - 1),
            };
            let item = key.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            item.ok_or_else(|| {
                Problem::new(origin, format!("{shown} is a list and has no entry {}", quote(key))).accepts(accepted)
            })
        }
        other => Err(Problem::new(origin, format!("{shown} is {other} and holds no key {}", quote(key)))
            .help(format!("set {shown} itself"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(yaml: &str, text: &str) -> Result<Node, Problem> {
        let mut root = node::parse(0, yaml).expect("readable");
        let change = read_one(Origin::Override(0), text)?;
        apply(&mut root, &change.keys, &change)?;
        Ok(root)
    }

    fn shown(root: &Node, path: &[&str]) -> String {
        let node = path.iter().try_fold(root, |node, step| node.child(step)).expect("there");
        assert_eq!(node.origin, Origin::Override(0));
        node.value.to_string()
    }

    #[test]
    fn values_are_replaced_and_missing_mappings_made() {
        let yaml = "a: {b: 1, c: [x, {d: 2}]}\ne:\n";
        let set = |text: &str, path: &[&str]| shown(&applied(yaml, text).expect("applied"), path);
        assert_eq!(set("a.b=3", &["a", "b"]), "3");
        assert_eq!(set("a.c.1.d = text with: nothing else", &["a", "c", "1", "d"]), "a mapping");
        assert_eq!(set("a.c.0=[1, 2]", &["a", "c", "0"]), "a list of 2");
        assert_eq!(set("e.f.g=true", &["e", "f", "g"]), "true (true or false)");
        assert_eq!(set("h.i='=x'", &["h", "i"]), "\"=x\"");
        assert_eq!(set("e=", &["e"]), "empty");
    }

    #[test]
    fn ways_that_lead_nowhere_are_refused() {
        let refused = |text: &str| applied("a: 1\nb: [x, y]\nc: []\n", text).expect_err("refused");
        assert_eq!(refused("a").found, "there is no `=`");
        assert_eq!(refused("=1").found, "the key is empty or has an empty part");
        assert_eq!(refused("a..b=1").found, "the key is empty or has an empty part");
        assert_eq!(refused("a.b=1").found, "a is 1 and holds no key \"b\"");
        assert_eq!(refused("b.2=1").found, "b is a list and has no entry \"2\"");
        assert_eq!(refused("b.2=1").accepted.as_deref(), Some("b.0 to b.1"));
        assert_eq!(refused("b.x=1").found, "b is a list and has no entry \"x\"");
        assert_eq!(refused("c.0=1").accepted.as_deref(), Some("c=[…], a whole list"));
        assert!(refused("a=[1").found.starts_with("this YAML cannot be read"));
        assert_eq!(refused("a=[1").origin, Origin::Override(0));
    }
}
