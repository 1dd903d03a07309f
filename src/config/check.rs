//! From what the YAML says to what a run is to do: checks what keys mean together and on this disk, and finds every
//! problem in one pass.
//!
//! Types, ranges and known keys are checked before, in [`super::shape`]; reading and overrides in [`super::document`].

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::diagnostic::{Origin, Problem, Sources};
use super::document::{Documents, ObjectiveDocument};
use super::inputs::{self, Inputs};
use super::node::Node;
use super::raw::{RawBackbone, RawEntry, RawObjective, RawOutput, RawReference, RawRun, RawSource};
use super::shape::Shape;
use super::{
    BackboneConfig, Config, Format, HeadKind, LabelSource, ModelPlace, ObjectiveConfig, OutputConfig, ReferenceConfig,
    SourceConfig, paths, schema,
};
use crate::error::{Error, Result, quote};
use crate::files;
use combine::Members;

mod combine;
mod head;
mod label_rule;

/// What `min_gap` is when it is not given.
pub(super) const MIN_GAP: f64 = 1.0;
/// What `backbone.path` accepts.
const MODEL: &str = "a model folder, or a file that ends in .gguf";
/// The score that ranks holistic ratings when none is named.
pub const HOLISTIC_SCORE: &str = "overall";

/// Reads the run at `path` and the objectives it names, applies `overrides` (each `KEY=VALUE`, an objective addressed
/// by its name or index), and checks everything.
///
/// # Errors
/// [`Error::Config`] with every problem there is, each at its `file:line:column` or its `--set KEY=VALUE`.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config> {
    let Documents { sources, run, objectives, problems } = Documents::read(path, overrides);
    let mut check = Check { sources, problems, run: schema::run(), objective: schema::objective() };
    let config = run.and_then(|run| check.config(path, &run, &objectives));
    match config {
        Some(config) if check.problems.is_empty() => Ok(config),
        _ => Err(Error::Config(check.sources.faults(check.problems))),
    }
}

/// Gathers the problems of one configuration. A method that gives `None` has added the reason.
struct Check {
    sources: Sources,
    problems: Vec<Problem>,
    run: Json,
    objective: Json,
}

/// What a source takes from its surroundings when it does not say it itself.
struct Surroundings<'a> {
    score: &'a str,
    labels: LabelSource,
}

impl Check {
    fn config(&mut self, path: &Path, node: &Node, objectives: &[Option<ObjectiveDocument>]) -> Option<Config> {
        let clean =
            Shape::new(&self.sources, &self.run, ("objective", &self.objective), &mut self.problems).check(node);
        let raw: RawRun = self.raw(clean, node)?;
        let entries = raw.objectives.unwrap_or_default();
        let backbone = raw.backbone.and_then(|raw| self.backbone(raw, node));
        self.negative_weights(&entries, node);
        self.names(objectives, node);
        let documents = objectives;
        let objectives: Vec<Option<ObjectiveConfig>> =
            entries.iter().zip(documents).map(|(entry, document)| self.objective(entry, document.as_ref()?)).collect();
        let combine =
            self.combine(raw.combine, node, &Members { entries: &entries, documents, objectives: &objectives });
        let surroundings = Surroundings { score: HOLISTIC_SCORE, labels: LabelSource::Human };
        let holistic = self.data(raw.holistic, node, "holistic", &surroundings);
        let reference = raw.reference.map(|raw| self.reference(raw, node));
        let output = self.output(&raw.output, raw.name.as_deref().unwrap_or_default(), node);
        let objectives: Vec<ObjectiveConfig> = objectives.into_iter().collect::<Option<_>>()?;
        let pretrained = |objective: &ObjectiveConfig| matches!(objective.head, HeadKind::Pretrained(_));
        let score_head = objectives.iter().any(pretrained);
        if objectives.iter().all(pretrained) && backbone.as_ref().is_some_and(|backbone| backbone.pooling.is_none()) {
            let found = "backbone.pooling is \"auto\", but every head is pretrained and none would tell which is best";
            let problem = Problem::new(node.origin_at("backbone.pooling"), found);
            self.problems.push(problem.accepts("mean_response, mean_all, cls, last_token"));
        }
        Some(Config {
            name: raw.name?,
            file: files::absolute(path),
            backbone: BackboneConfig { score_head, ..backbone? },
            objectives,
            combine: combine?,
            holistic: holistic?,
            reference: reference.map_or(Some(None), |reference| reference.map(Some))?,
            output: output?,
        })
    }

    /// The raw struct of a checked tree. The schema comes from the struct, so that what fits the one fits the other.
    fn raw<T: DeserializeOwned>(&mut self, clean: Json, node: &Node) -> Option<T> {
        serde_json::from_value(clean)
            .map_err(|error| self.problems.push(Problem::new(node.origin, format!("this cannot be read: {error}"))))
            .ok()
    }

    fn backbone(&mut self, raw: RawBackbone, node: &Node) -> Option<BackboneConfig> {
        let place = self.model_place(&raw, node);
        let RawBackbone { max_tokens, pooling, layers, dtype, device, .. } = raw;
        let pooling = pooling.given();
        Some(BackboneConfig { place: place?, max_tokens, pooling, layers, dtype, device, score_head: false })
    }

    /// Exactly one of `path` and `hub`.
    fn model_place(&mut self, raw: &RawBackbone, node: &Node) -> Option<ModelPlace> {
        let origin = node.origin_at("backbone");
        let accepted = "backbone.path (a model folder or a GGUF file), or backbone.hub (owner/name)";
        let problem = match (&raw.path, &raw.hub) {
            (Some(path), None) if raw.revision.is_none() => {
                return self.model(path, node, "backbone.path").map(ModelPlace::Disk);
            }
            (None, Some(repository)) => {
                let revision = raw.revision.clone().unwrap_or_else(|| "main".to_owned());
                return Some(ModelPlace::Hub { repository: repository.clone(), revision });
            }
            (Some(_), None) => {
                let origin = node.origin_at("backbone.revision");
                let problem = Problem::new(origin, "backbone.revision has no meaning with backbone.path");
                problem.accepts("a revision beside backbone.hub").help("remove revision, or name the model by hub")
            }
            (None, None) => Problem::new(origin, "the backbone names no model").accepts(accepted),
            (Some(_), Some(_)) => {
                let problem = Problem::new(node.origin_at("backbone.hub"), "the backbone names two models");
                problem.accepts(accepted).help("remove path or hub")
            }
        };
        // A key that was refused already says why it is missing here.
        let stands = |key: &str| node.child("backbone").is_some_and(|backbone| backbone.child(key).is_some());
        let refused = |key: &str, read: bool| !read && stands(key);
        if !refused("path", raw.path.is_some()) && !refused("hub", raw.hub.is_some()) {
            self.problems.push(problem);
        }
        None
    }

    /// Two objectives of one name would overwrite each other in the registry.
    fn names(&mut self, objectives: &[Option<ObjectiveDocument>], node: &Node) {
        let mut seen: Vec<(&str, Origin)> = Vec::new();
        for (index, document) in objectives.iter().enumerate() {
            let Some(name) = document.as_ref().and_then(|document| document.root.text("name")) else { continue };
            let origin = node.origin_at(&format!("objectives.{index}.file"));
            match seen.iter().find(|(known, _)| *known == name) {
                Some((_, first)) => {
                    let first = self.sources.place(*first);
                    let found = format!("objective {} stands twice, first at {first}", quote(name));
                    let problem = Problem::new(origin, found).accepts("a name of its own for every objective");
                    self.problems.push(problem.help("remove one of the two, or rename one in its file"));
                }
                None => seen.push((name, origin)),
            }
        }
    }

    fn objective(&mut self, entry: &RawEntry, document: &ObjectiveDocument) -> Option<ObjectiveConfig> {
        let node = &document.root;
        let clean = Shape::new(&self.sources, &self.objective, ("run", &self.run), &mut self.problems).check(node);
        let raw: RawObjective = self.raw(clean, node)?;
        let surroundings = Surroundings {
            score: raw.name.as_deref().unwrap_or_default(),
            labels: raw.labels.unwrap_or(LabelSource::Human),
        };
        self.regression(&raw, node);
        let data = self.data(raw.data.unwrap_or_default(), node, "data", &surroundings);
        let head = self.head(raw.head, node);
        Some(ObjectiveConfig {
            name: raw.name?,
            file: files::absolute(&document.path),
            question: raw.question?,
            weight: entry.weight,
            labels: raw.labels?,
            data: data?,
            head,
            normalizer: raw.normalizer,
        })
    }

    fn data(
        &mut self,
        raw: Vec<RawSource>,
        node: &Node,
        key: &str,
        surroundings: &Surroundings<'_>,
    ) -> Option<Vec<SourceConfig>> {
        let sources: Vec<Option<SourceConfig>> = raw
            .into_iter()
            .enumerate()
            .map(|(index, raw)| self.source(raw, node, &format!("{key}.{index}"), surroundings))
            .collect();
        sources.into_iter().collect()
    }

    fn source(
        &mut self,
        raw: RawSource,
        node: &Node,
        key: &str,
        surroundings: &Surroundings<'_>,
    ) -> Option<SourceConfig> {
        self.of_use_to_format(&raw, node, key);
        let given = given(&raw);
        let inputs = raw.path.as_deref().and_then(|path| self.inputs(path, node, &format!("{key}.path")));
        let labels = if raw.rule.is_some() { LabelSource::Rule } else { raw.labels.unwrap_or(surroundings.labels) };
        let rule = self.rule(&raw, node, key);
        if raw.rule.is_some() && rule.is_none() {
            return None;
        }
        let Inputs { path, files, skipped } = inputs?;
        Some(SourceConfig {
            path,
            files,
            skipped,
            columns: raw.columns,
            format: raw.format,
            given,
            score: raw.score.unwrap_or_else(|| surroundings.score.to_owned()),
            min_gap: raw.min_gap.unwrap_or(MIN_GAP),
            rule,
            labels,
            label_source_field: raw.label_source_field,
            split_field: raw.split_field,
            max_pairs_per_prompt: raw.max_pairs_per_prompt,
            domain_field: raw.domain_field,
        })
    }

    fn reference(&mut self, raw: RawReference, node: &Node) -> Option<ReferenceConfig> {
        let RawReference { path, columns, domain_field } = raw;
        let Inputs { path, files, .. } = self.inputs(&path?, node, "reference.path")?;
        Some(ReferenceConfig { path, files, columns, domain_field })
    }

    /// A key that the format has no use for would be ignored in silence.
    fn of_use_to_format(&mut self, raw: &RawSource, node: &Node, key: &str) {
        let Some(format) = raw.format else { return };
        for name in given(raw).into_iter().filter(|name| !format.uses(name)) {
            let key = format!("{key}.{name}");
            let found = format!("{key} has no meaning with format: {}", format.word());
            let formats: Vec<&str> = Format::all().filter(|format| format.uses(name)).map(Format::word).collect();
            let problem = Problem::new(node.origin_at(&key), found);
            let problem = problem.accepts(format!("format: {}, or no format", formats.join(", ")));
            self.problems.push(problem.help(format!("remove {name}, or check the format")));
        }
    }

    fn output(&mut self, raw: &RawOutput, name: &str, node: &Node) -> Option<OutputConfig> {
        let home = self.sources.folder(Origin::File { document: 0 }).to_owned();
        let beside = |path: String| files::absolute(&home.join(path));
        let mut folder = |given: &Option<String>, key: &str, default: String| match given {
            Some(text) => self.writable(text, node, &format!("output.{key}")),
            None => Some(beside(default)),
        };
        let registry = folder(&raw.registry, "registry", format!("../registry/{name}"));
        let report = folder(&raw.report, "report", format!("../reports/{name}"));
        let cache = folder(&raw.cache, "cache", "../.cache/features".to_owned());
        Some(OutputConfig { registry: registry?, report: report?, cache: cache? })
    }

    /// The path that `text` means, as messages show it.
    fn resolve(&mut self, text: &str, origin: Origin, key: &str) -> Option<PathBuf> {
        paths::resolve(self.sources.folder(origin), text)
            .map_err(|found| {
                let problem = Problem::new(origin, format!("{key}: {found}"));
                self.problems.push(problem.help("set the variable, or write the path out"));
            })
            .ok()
    }

    /// The files of a source: there must be one at least.
    fn inputs(&mut self, text: &str, node: &Node, key: &str) -> Option<Inputs> {
        let origin = node.origin_at(key);
        let shown = self.resolve(text, origin, key)?;
        inputs::find(&shown, origin, key).map_err(|problem| self.problems.push(problem)).ok()
    }

    /// An input folder: it must be there.
    fn model(&mut self, text: &str, node: &Node, key: &str) -> Option<PathBuf> {
        let origin = node.origin_at(key);
        let shown = self.resolve(text, origin, key)?;
        let path = files::absolute(&shown);
        let gguf = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        if path.is_dir() || (gguf && path.is_file()) {
            return Some(path);
        }
        let shown = quote(&shown.to_string_lossy());
        let problem = if path.exists() {
            let other = if path.is_file() { "a file" } else { "neither a file nor a folder" };
            let problem = Problem::new(origin, format!("{key} names {shown}, which is {other}")).accepts(MODEL);
            if path.is_file() { problem.help("name the folder that holds the model's files") } else { problem }
        } else {
            let problem = Problem::new(origin, format!("{key} names {shown}, which does not exist"));
            problem.accepts(MODEL).suggest(paths::similar(&path).as_deref())
        };
        self.problems.push(problem);
        None
    }

    /// An output folder: it may be missing, but nothing else may be in its place.
    fn writable(&mut self, text: &str, node: &Node, key: &str) -> Option<PathBuf> {
        let origin = node.origin_at(key);
        let shown = self.resolve(text, origin, key)?;
        let path = files::absolute(&shown);
        if path.exists() && !path.is_dir() {
            let found = format!("{key} names {}, which is a file", quote(&shown.to_string_lossy()));
            self.problems.push(Problem::new(origin, found).accepts("a folder, or a path where none is yet"));
            return None;
        }
        Some(path)
    }
}

/// Which of the keys that only some formats use are given.
fn given(raw: &RawSource) -> Vec<&'static str> {
    let keys = [("rule", raw.rule.is_some()), ("score", raw.score.is_some()), ("min_gap", raw.min_gap.is_some())];
    keys.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests;
