//! Reads the run file and the objective files it names, and applies the overrides to them: trees, not yet checked.
//!
//! What the trees must look like stands in [`super::shape`], what they mean in [`super::check`].

use std::io::Read;
use std::path::{Path, PathBuf};

use super::diagnostic::{Origin, Problem, Sources};
use super::node::{self, Node, Value};
use super::overrides::{self, Override};
use super::raw::MAX_OBJECTIVES;
use super::{paths, schema, shape};
use crate::error::{did_you_mean, quote};
use crate::files;

/// Larger files are refused: no configuration needs them.
const MAX_BYTES: usize = 1 << 20;

/// An objective's file: its path as messages show it, and its tree.
#[derive(Clone, Debug)]
pub(super) struct ObjectiveDocument {
    pub path: PathBuf,
    pub root: Node,
}

/// Everything that was read.
#[derive(Debug)]
pub(super) struct Documents {
    pub sources: Sources,
    /// `None` when the run file could not be read.
    pub run: Option<Node>,
    /// In the order of the run's entries; `None` where a file could not be read.
    pub objectives: Vec<Option<ObjectiveDocument>>,
    pub problems: Vec<Problem>,
}

impl Documents {
    /// Reads the run at `path`, applies the overrides that change which objectives there are, reads these, and applies
    /// the other overrides in their order.
    pub(super) fn read(path: &Path, texts: &[String]) -> Self {
        let mut sources = Sources::new(texts);
        let mut problems = Vec::new();
        let changes = overrides::read(texts, &mut problems);
        let run = read_tree(&mut sources, path, None).map_err(|problem| problems.push(problem)).ok();
        let mut documents = Self { sources, run, objectives: Vec::new(), problems };
        if let Some(mut run) = documents.run.take() {
            if matches!(run.value, Value::Map(_)) {
                documents.apply_all(&mut run, &changes);
            }
            documents.run = Some(run);
        }
        documents
    }

    fn apply_all(&mut self, run: &mut Node, changes: &[Override]) {
        let (structure, rest): (Vec<&Override>, Vec<&Override>) =
            changes.iter().partition(|change| changes_structure(&change.keys));
        for change in structure {
            if change.keys.get(1).is_some_and(|key| key.parse::<usize>().is_err()) {
                // Only a name needs the files; what is wrong in them is reported by the reading that counts.
                let known = self.problems.len();
                self.objectives = self.read_objectives(run);
                self.problems.truncate(known);
            }
            self.apply(run, change);
        }
        self.objectives = self.read_objectives(run);
        for change in rest {
            self.apply(run, change);
        }
    }

    fn read_objectives(&mut self, run: &Node) -> Vec<Option<ObjectiveDocument>> {
        let entries = match run.child("objectives").map(|node| &node.value) {
            Some(Value::List(items)) => items.as_slice(),
            _ => &[],
        };
        entries.iter().take(MAX_OBJECTIVES).map(|entry| self.read_objective(entry)).collect()
    }

    fn read_objective(&mut self, entry: &Node) -> Option<ObjectiveDocument> {
        let file = entry.text("file").filter(|file| !file.trim().is_empty())?;
        let origin = entry.origin_at("file");
        let read = paths::resolve(self.sources.folder(origin), file)
            .map_err(|found| Problem::new(origin, format!("file: {found}")))
            .and_then(|path| {
                read_tree(&mut self.sources, &path, Some(origin)).map(|root| ObjectiveDocument { path, root })
            });
        read.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn apply(&mut self, run: &mut Node, change: &Override) {
        if let Err(problem) = self.try_apply(run, change) {
            self.problems.push(problem);
        }
    }

    /// `objectives.NAME.KEY` changes the run file for the keys of its entries and the objective's file otherwise.
    fn try_apply(&mut self, run: &mut Node, change: &Override) -> Result<(), Problem> {
        let [objectives, which, rest @ ..] = change.keys.as_slice() else {
            return overrides::apply(run, &change.keys, change);
        };
        if objectives != "objectives" {
            return overrides::apply(run, &change.keys, change);
        }
        let index = self.index_of(which, run, change.origin)?;
        let (run_schema, objective_schema) = (schema::run(), schema::objective());
        let entry_keys = shape::keys(&run_schema["properties"]["objectives"]["items"]);
        let file_keys = shape::keys(&objective_schema);
        match rest.first().map(String::as_str) {
            Some(key) if !entry_keys.contains(&key) && !file_keys.contains(&key) => {
                let known = [entry_keys, file_keys].concat();
                Err(Problem::new(change.origin, format!("unknown key {}", quote(key)))
                    .accepts(known.join(", "))
                    .suggest(did_you_mean(key, &known)))
            }
            Some(key) if !entry_keys.contains(&key) => match self.objectives.get_mut(index) {
                Some(Some(document)) => overrides::apply(&mut document.root, rest, change),
                _ => Ok(()), // the file could not be read, which is reported already
            },
            _ => {
                let keys = [&[objectives.clone(), index.to_string()], rest].concat();
                overrides::apply(run, &keys, change)
            }
        }
    }

    fn index_of(&self, which: &str, run: &Node, origin: Origin) -> Result<usize, Problem> {
        let count = match run.child("objectives").map(|node| &node.value) {
            Some(Value::List(items)) => items.len(),
            _ => 0,
        };
        if let Some(index) = which.parse().ok().filter(|index| *index < count) {
            return Ok(index);
        }
        let names: Vec<Option<&str>> =
            self.objectives.iter().map(|document| document.as_ref()?.root.text("name")).collect();
        names.iter().position(|name| *name == Some(which)).ok_or_else(|| {
            let known: Vec<&str> = names.into_iter().flatten().collect();
            let problem = Problem::new(origin, format!("there is no objective {}", quote(which)));
            let problem = if count == 0 {
                problem
            } else {
                problem.accepts(format!("{}, or an index from 0 to {}", known.join(", "), count - 1))
            };
            problem.suggest(did_you_mean(which, &known))
        })
    }
}

fn changes_structure(keys: &[String]) -> bool {
    keys.first().is_some_and(|key| key == "objectives") && keys.get(2).is_none_or(|key| key == "file")
}

/// Reads one file into a tree; `named_at` is the key that names it, `None` for the file of the command line.
fn read_tree(sources: &mut Sources, path: &Path, named_at: Option<Origin>) -> Result<Node, Problem> {
    let document = sources.add(path.to_owned(), String::new());
    let origin = named_at.unwrap_or(Origin::File { document });
    let bytes = read_bytes(path, origin)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Problem::new(Origin::Place { document, line, column }, "this is not UTF-8").help("save the file as UTF-8")
    })?;
    let tree = node::parse(document, &text);
    sources.set_text(document, text);
    tree
}

fn read_bytes(path: &Path, origin: Origin) -> Result<Vec<u8>, Problem> {
    let subject = match origin {
        Origin::File { .. } => "this file".to_owned(),
        _ => format!("file names {}, which", quote(&path.to_string_lossy())),
    };
    let unreadable =
        |reason: &dyn std::fmt::Display| Problem::new(origin, format!("{subject} cannot be read: {reason}"));
    let place = files::absolute(path);
    if !place.exists() {
        let meant = paths::similar(&place);
        return Err(Problem::new(origin, format!("{subject} does not exist")).suggest(meant.as_deref()));
    }
    let file = files::open(&place, "it").map_err(|error| {
        let reason = error.faults().first().map_or("", |fault| fault.found.as_str());
        unreadable(&reason.strip_prefix("cannot read it: ").unwrap_or(reason)).accepts("a YAML file")
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() > MAX_BYTES {
        return Err(Problem::new(origin, format!("{subject} is larger than 1 MiB")).accepts("at most 1 MiB"));
    }
    Ok(bytes)
}
