//! Domains: what kind of prompt a row is about, so that scores can be compared within a kind.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::row::{Row, kind};
use crate::error::{Error, Fault, Result};
use crate::files;

/// At most this many domains: a field with more values is a name of the row and not of its kind.
pub(super) const MAX_DOMAINS: usize = 64;

/// The domain that a row's field names: text, a number, or true or false, without white space around it; `None` when
/// the field is absent or blank.
///
/// # Errors
/// [`Error::Data`] with one fault at `place` when the field holds anything else.
pub fn domain(object: &Map<String, Value>, field: &str, place: &str) -> Result<Option<String>> {
    named(&Row { object, place }, field).map_err(|fault| Error::Data(vec![fault]))
}

/// The same with the fault itself.
pub(super) fn named(row: &Row, field: &str) -> Result<Option<String>, Fault> {
    let name = match row.value(field) {
        None => return Ok(None),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        Some(other) => return Err(row.fault(field, kind(other)).accepts("text: the name of a domain")),
    };
    Ok(Some(name).filter(|name| !name.is_empty()))
}

/// The domains of one source while it is read.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Takes a name in; no more are kept than it takes to see that there are too many.
    pub(super) fn add(&mut self, name: Option<&String>) {
        if let Some(name) = name.filter(|_| self.0.len() <= MAX_DOMAINS) {
            self.0.insert(name.clone());
        }
    }

    /// The fault of a field that has too many values, in the source at `path`.
    pub(super) fn too_many(&self, field: Option<&str>, path: &Path) -> Option<Fault> {
        let field = field.filter(|_| self.0.len() > MAX_DOMAINS)?;
        let found = format!("the field \"{field}\" names more than {MAX_DOMAINS} domains");
        Some(Fault::new(files::shown(path), found).accepts(accepted()).help("is it a name of the row? take another"))
    }
}

/// The fault of sources that name too many domains together; `place` is the config.
pub(super) fn too_many_together(count: usize, place: &Path) -> Option<Fault> {
    let found = || format!("the sources name {count} domains together by `domain_field`");
    let fault = || Fault::new(files::shown(place), found()).accepts(accepted());
    (count > MAX_DOMAINS).then(|| fault().help("let them use the same names for the same kinds of prompts"))
}

fn accepted() -> String {
    format!("at most {MAX_DOMAINS} domains, each with many prompts")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_and_numbers_name_a_domain_and_blanks_none() {
        let read = |value: Value| {
            let Value::Object(object) = json!({ "kind": value }) else { panic!("an object") };
            domain(&object, "kind", "rows:3")
        };
        for (value, expected) in [
            (json!(" code "), Some("code")),
            (json!(7), Some("7")),
            (json!(true), Some("true")),
            (json!(""), None),
            (json!("  "), None),
            (json!(null), None),
        ] {
            assert_eq!(read(value.clone()).expect("readable").as_deref(), expected, "{value}");
        }
        for value in [json!(["code"]), json!({ "name": "code" })] {
            let message = read(value).expect_err("refused").to_string();
            assert!(message.contains("rows:3, field \"kind\""), "{message}");
        }
        assert_eq!(domain(&Map::new(), "kind", "rows:3"), Ok(None));
    }

    #[test]
    fn a_field_of_names_is_no_domain() {
        let mut names = Names::default();
        (0..1_000).for_each(|index| names.add(Some(&format!("row {}", index % 64))));
        assert_eq!(names.too_many(Some("id"), Path::new("rows")), None);
        names.add(Some(&"one more".to_owned()));
        let fault = names.too_many(Some("id"), Path::new("rows")).expect("too many");
        assert!(fault.to_string().contains("\"id\" names more than 64 domains"), "{fault}");
        assert_eq!(too_many_together(64, Path::new("run")), None);
        assert!(too_many_together(65, Path::new("run")).is_some());
    }
}
