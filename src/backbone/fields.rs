//! Reads the fields of a `config.json` leniently and keeps every fault: absent and null fields have a stated value,
//! fields of another type or out of range are named.

use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::Value;

use crate::error::{Fault, quote};

/// A JSON object whose fields are being read.
pub(super) struct Fields<'a> {
    path: &'a Path,
    /// Where the object stands in the file: empty, `text_config.`, `rope_parameters.` and so on.
    within: String,
    value: &'a Value,
    pub(super) faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    /// The fields of `value`, which stands at `within` in the file `path`.
    pub(super) fn new(path: &'a Path, within: &str, value: &'a Value) -> Self {
        Self { path, within: within.to_owned(), value, faults: Vec::new() }
    }

    /// The fields of an object inside this one; its faults are to be handed back with [`Fields::adopt`].
    pub(super) fn inside(&self, field: &str, value: &'a Value) -> Self {
        Self::new(self.path, &format!("{}{field}.", self.within), value)
    }

    /// Takes over the faults of an inner object.
    pub(super) fn adopt(&mut self, inner: Self) {
        self.faults.extend(inner.faults);
    }

    /// Records that `field` cannot be used, once for each reason.
    pub(super) fn refuse(&mut self, field: &str, found: impl std::fmt::Display, accepted: impl std::fmt::Display) {
        let place = format!("{}: {}{field}", self.path.display(), self.within);
        let fault = Fault::new(place, found).accepts(accepted);
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Whether the field is written, be it as null.
    pub(super) fn has(&self, field: &str) -> bool {
        self.value.get(field).is_some()
    }

    /// The field, unless it is absent or null.
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        self.value.get(field).filter(|value| !value.is_null())
    }

    /// A whole number of `range`; `absent` stands for a missing one, and without it the field is required. A refused
    /// number is returned as the range's least, and the whole configuration is refused with it.
    pub(super) fn whole(&mut self, field: &str, range: RangeInclusive<usize>, absent: Option<usize>) -> usize {
        let found = match (self.get(field), absent) {
            (None, Some(absent)) => return absent,
            (None, None) => "missing".to_owned(),
            (Some(value), _) => match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
                Some(number) if range.contains(&number) => return number,
                _ => format!("found {}", shown(value)),
            },
        };
        self.refuse(field, found, format!("a whole number from {} to {}", range.start(), range.end()));
        *range.start()
    }

    /// A size: a whole number from 1 to `most`.
    pub(super) fn size(&mut self, field: &str, most: usize, absent: Option<usize>) -> usize {
        self.whole(field, 1..=most, absent)
    }

    /// A number above `over` and at most `most` that does not vanish in f32; `None` when it is absent or refused.
    pub(super) fn number(&mut self, field: &str, over: f64, most: f64) -> Option<f64> {
        let value = self.get(field)?;
        let number = value
            .as_f64()
            .filter(|&number| number > over && number <= most && (number == 0.0 || (number as f32).is_normal()));
        if number.is_none() {
            self.refuse(field, format!("found {}", shown(value)), format!("a number above {over}, at most {most}"));
        }
        number
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, field: &str, absent: bool) -> bool {
        let Some(value) = self.get(field) else { return absent };
        value.as_bool().unwrap_or_else(|| {
            self.refuse(field, format!("found {}", shown(value)), "true or false");
            absent
        })
    }

    /// A name that `known` understands, or what it makes of `absent`.
    pub(super) fn name<T>(
        &mut self,
        field: &str,
        absent: &str,
        known: impl Fn(&str) -> Option<T>,
        accepted: &str,
    ) -> Option<T> {
        let Some(value) = self.get(field) else { return known(absent) };
        let name = value.as_str().and_then(known);
        if name.is_none() {
            self.refuse(field, format!("found {}", shown(value)), accepted);
        }
        name
    }

    /// Refuses a field that is neither absent, null nor one of `harmless`.
    pub(super) fn unsupported(&mut self, field: &str, harmless: &[Value], accepted: &str) {
        if let Some(value) = self.get(field).filter(|value| !harmless.contains(value)) {
            self.refuse(field, format!("found {}, which is not supported", shown(value)), accepted);
        }
    }
}

/// A value as the file has it, cut where it is long.
pub(super) fn shown(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return quote(text);
    }
    let text = value.to_string();
    if text.chars().count() > 80 { text.chars().take(80).chain(['…']).collect() } else { text }
}
