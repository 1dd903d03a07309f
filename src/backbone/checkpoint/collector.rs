//! Takes tensors in the order files have them and keeps those that are expected; in the end it says what was wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{Device, Tensor};

use crate::error::{Error, Fault, Result, quote};

/// At most this many wrong tensors are listed.
const MAX_FAULTS: usize = 20;
const SAME_MODEL: &str = "config.json and the weights must be of the same model";
const WHOLE_GGUF: &str = "fetch the GGUF file again; the parts of a split one are joined by llama-gguf-split --merge";
pub(super) const DAMAGED: &str = "the file is damaged: fetch the model again";

/// What may stand before the names of a model's own tensors; a longer prefix before the shorter one it contains.
const PREFIXES: [&str; 8] = [
    "model.language_model.",
    "language_model.model.",
    "language_model.",
    "model.",
    "bert.",
    "distilbert.",
    "roberta.",
    "deberta.",
];

/// Why a tensor cannot be used, and what to do about it.
pub(super) type Wrong = (String, &'static str);

/// The tensors of one model as they come in.
pub(super) struct Collector<'a> {
    expected: &'a [(String, Vec<usize>)],
    shapes: BTreeMap<&'a str, &'a [usize]>,
    /// Name as expected → name as stored.
    taken: BTreeMap<String, String>,
    tensors: BTreeMap<String, Tensor>,
    wrong: BTreeMap<String, (String, Wrong)>,
    stored: BTreeSet<String>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(expected: &'a [(String, Vec<usize>)]) -> Self {
        Self {
            expected,
            shapes: expected.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())).collect(),
            taken: BTreeMap::new(),
            tensors: BTreeMap::new(),
            wrong: BTreeMap::new(),
            stored: BTreeSet::new(),
        }
    }

    /// The expected name of the tensor `stored` in `path`, if it is wanted and has the shape for it.
    pub(super) fn wants(&mut self, path: &Path, stored: &str, shape: &[usize]) -> Option<String> {
        self.stored.insert(stored.to_owned());
        let name = self.expected_name(stored)?;
        // Where a name stands both with and without a prefix, the one without is meant, in whatever order they come.
        if self.taken.contains_key(&name) && stored != name {
            return None;
        }
        self.taken.insert(name.clone(), stored.to_owned());
        self.wrong.remove(&name);
        let expected = *self.shapes.get(name.as_str())?;
        if shape == expected {
            return Some(name);
        }
        let found = format!("has shape {shape:?}, config.json says {expected:?}");
        self.reject(path, name, (found, SAME_MODEL));
        None
    }

    /// Keeps the values of a tensor that was wanted, if all are finite.
    pub(super) fn keep(&mut self, path: &Path, name: String, values: Vec<f32>) {
        let shape = self.shapes.get(name.as_str()).copied().unwrap_or_default();
        if !values.iter().all(|value| value.is_finite()) {
            return self.reject(path, name, ("holds NaN or infinity".to_owned(), DAMAGED));
        }
        match Tensor::from_vec(values, shape, &Device::Cpu) {
            Ok(tensor) => {
                self.tensors.insert(name, tensor);
            }
            Err(error) => self.reject(path, name, (error.to_string(), DAMAGED)),
        }
    }

    /// Notes that the tensor `name` cannot be used.
    pub(super) fn reject(&mut self, path: &Path, name: String, wrong: Wrong) {
        self.wrong.insert(name, (path.display().to_string(), wrong));
    }

    /// Every expected tensor, or what is wrong; `path` is where a missing one should have been.
    ///
    /// # Errors
    /// [`Error::Model`] with the first 20 faults.
    pub(super) fn finish(mut self, path: &Path) -> Result<BTreeMap<String, Tensor>> {
        if self.taken.is_empty() && !self.expected.is_empty() {
            return Err(Error::Model(vec![self.foreign(path)]));
        }
        let gguf = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        let help = if gguf { WHOLE_GGUF } else { SAME_MODEL };
        let mut faults = Vec::new();
        for (name, _) in self.expected {
            if let Some((place, (found, help))) = self.wrong.remove(name) {
                faults.push((place, format!("tensor {name}: {found}"), help));
            } else if !self.tensors.contains_key(name) {
                faults.push((path.display().to_string(), format!("tensor {name} is missing"), help));
            }
        }
        if faults.is_empty() { Ok(self.tensors) } else { Err(Error::Model(listed(faults))) }
    }

    /// `stored` as the model's own code names it: without a prefix, and with today's names for a norm's parameters,
    /// which the first BERT checkpoints call gamma and beta.
    fn expected_name(&self, stored: &str) -> Option<String> {
        let stems = PREFIXES.iter().filter_map(|prefix| stored.strip_prefix(prefix));
        std::iter::once(stored).chain(stems).find_map(|stem| {
            let renamed = match stem.rsplit_once('.') {
                Some((norm, "gamma")) => format!("{norm}.weight"),
                Some((norm, "beta")) => format!("{norm}.bias"),
                _ => stem.to_owned(),
            };
            self.shapes.contains_key(renamed.as_str()).then_some(renamed)
        })
    }

    /// The fault for files that have no expected tensor at all.
    fn foreign(&self, path: &Path) -> Fault {
        let names: Vec<String> = self.stored.iter().take(3).map(|name| quote(name)).collect();
        let has = if names.is_empty() {
            "it has none at all".to_owned()
        } else {
            format!("it has {}, …", names.join(", "))
        };
        let example = self.expected.first().map_or("", |(name, _)| name.as_str());
        Fault::new(path.display(), format!("no tensor that config.json promises is in it; {has}"))
            .accepts(format!("names such as {}, with or without \"bert.\", \"model.\" … before them", quote(example)))
            .help(SAME_MODEL)
    }
}

/// The first faults; what to do stands once below those that it is good for.
fn listed(faults: Vec<(String, String, &'static str)>) -> Vec<Fault> {
    let more = faults.len().saturating_sub(MAX_FAULTS);
    let helps: Vec<&str> = faults.iter().take(MAX_FAULTS).map(|(_, _, help)| *help).collect();
    let fault = |(index, (place, found, help)): (usize, (String, String, &str))| {
        let fault = Fault::new(place, found);
        match helps.get(index + 1) {
            Some(next) if *next == help => fault,
            None if more > 0 => fault.help(format!("{more} more tensors are wrong; {help}")),
            _ => fault.help(help),
        }
    };
    faults.into_iter().take(MAX_FAULTS).enumerate().map(fault).collect()
}
