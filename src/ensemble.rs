//! The type users hold: `Ensemble::open(path)?.score(&items)?`.

mod novelty;
mod scorer;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::backbone::{Backbone, Rendered};
use crate::combine::{Combiner, Term};
use crate::config::{BackboneConfig, Device};
use crate::conversation::{Item, Message, Role};
use crate::error::{Error, Fault, Result};
use crate::features::{Extractor, PreparedText, Row};
use crate::files;
use crate::head::{LinearHead, TrainingDistribution};
use crate::progress::Silent;
use crate::registry::{self, Golden, GoldenMessage, Manifest};

pub use novelty::{Novelty, distribution_to_arrays};
pub use scorer::{Difference, ObjectiveScore, Scorer, Uncertainty};
pub use written::write_score;

/// Golden scores may differ by this much between machines whose matrix kernels round differently.
const GOLDEN_TOLERANCE: f64 = 1e-3;

/// The same for combined scores, where a steep normalizer may have widened the difference.
const COMBINED_TOLERANCE: f64 = 1e-2;

/// What an ensemble says of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Per objective, in the order of [`Ensemble::names`].
    pub objectives: Vec<ObjectiveScore>,
    /// The one number.
    pub combined: f64,
    /// How far the item lies from the texts the heads were trained on; `None` when no head was trained.
    pub novelty: Option<Novelty>,
    /// Tokens the backbone read.
    pub tokens: u32,
    /// Tokens that did not fit and were cut.
    pub cut: u32,
}

impl Score {
    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        let near = self.novelty.is_none_or(|novelty| novelty.distance.is_finite());
        self.combined.is_finite() && near && self.objectives.iter().all(ObjectiveScore::is_finite)
    }
}

/// A registry opened for scoring.
pub struct Ensemble {
    manifest: Manifest,
    backbone: Backbone,
    scorers: Vec<Scorer>,
    combiner: Combiner,
    distribution: Option<TrainingDistribution>,
    threads: usize,
}

impl Ensemble {
    /// Opens a registry folder: checks its manifest, its heads and its backbone, and recomputes the golden examples.
    ///
    /// # Errors
    /// [`Error::Registry`] when something is damaged or the backbone is not the one the heads were trained on;
    /// [`Error::Model`] when the backbone cannot be opened.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_on(folder, Device::Cpu)
    }

    /// As [`Ensemble::open`], with the backbone on a device of this machine, whichever it was trained on.
    ///
    /// # Errors
    /// As [`Ensemble::open`]; [`Error::Model`] also when there is no such device.
    pub fn open_on(folder: &Path, device: Device) -> Result<Self> {
        let manifest = registry::read_manifest(folder)?;
        let backbone = open_backbone(folder, &manifest, device)?;
        let width = backbone.width(backbone.readout());
        let mut scorers = Vec::with_capacity(manifest.objectives.len());
        for entry in &manifest.objectives {
            let read = |arrays| Scorer::from_arrays(arrays, width, entry.normalizer.clone(), entry.domains.clone());
            scorers.push(registry::read_head(folder, entry, read)?);
        }
        let read = |arrays| novelty::distribution_from_arrays(arrays, width);
        let distribution =
            manifest.training.as_ref().map(|entry| registry::read_training(folder, entry, read)).transpose()?;
        let combiner = manifest.combiner().map_err(Error::Registry)?;
        let ensemble = Self { manifest, backbone, scorers, combiner, distribution, threads: default_threads() };
        ensemble.verify(folder)?;
        Ok(ensemble)
    }

    /// Uses `threads` workers; scores do not depend on it.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Replaces weights by `name=number`.
    ///
    /// # Errors
    /// [`Error::Usage`] as [`Combiner::overridden`] reports.
    pub fn with_weights(mut self, overrides: &[String]) -> Result<Self> {
        self.combiner = self.combiner.overridden(overrides)?;
        Ok(self)
    }

    /// The rule and the weights. Other weights for one request: [`Combiner::reweighted`], then
    /// [`Scoring::score_for`].
    pub fn combiner(&self) -> &Combiner {
        &self.combiner
    }

    /// What the registry says of its heads, with the weights that are in use.
    pub fn manifest(&self) -> Manifest {
        let mut manifest = self.manifest.clone();
        for (entry, weight) in manifest.objectives.iter_mut().zip(self.combiner.weights()) {
            entry.weight = *weight;
        }
        manifest
    }

    /// The backbone, opened.
    pub fn backbone(&self) -> &Backbone {
        &self.backbone
    }

    /// Its objectives ready to score feature rows, in the order of [`Ensemble::names`].
    pub fn scorers(&self) -> &[Scorer] {
        &self.scorers
    }

    /// How many workers it uses.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Each objective's raw score as a linear head: weights and bias divided by the temperature; `None` for a head with
    /// a hidden layer.
    pub fn linear_heads(&self) -> Vec<Option<LinearHead>> {
        self.scorers.iter().map(Scorer::linear).collect()
    }

    /// The objectives' names, in the order of every score.
    pub fn names(&self) -> &[String] {
        self.combiner.names()
    }

    /// The domains for which some objective has a normalizer of its own.
    pub fn domains(&self) -> BTreeSet<&str> {
        self.scorers.iter().flat_map(Scorer::domains).map(String::as_str).collect()
    }

    /// Scores items, in their order. A score depends on its item alone, to the bit, whatever else is in `items`.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a score is not finite, and what the backbone reports.
    pub fn score(&self, items: &[Item]) -> Result<Vec<Score>> {
        Scoring::new(self)?.score(items)
    }

    /// Workers that are kept between calls, for streams.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses a thread.
    pub fn scoring(&self) -> Result<Scoring<'_>> {
        Scoring::new(self)
    }

    /// A prompt and its response as the backbone reads them, tokenized.
    ///
    /// # Errors
    /// What the chat template and the tokenizer report.
    pub fn prepare(&self, item: &Item) -> Result<PreparedText> {
        PreparedText::new(&self.backbone, &self.backbone.render(&item.prompt, &item.response)?)
    }

    /// A text that is read as it stands, without the backbone's own template: all of it is the response.
    ///
    /// # Errors
    /// What the tokenizer reports.
    pub fn prepare_verbatim(&self, text: &str) -> Result<PreparedText> {
        let rendered = Rendered { before: String::new(), response: text.to_owned(), after: String::new() };
        PreparedText::new(&self.backbone, &rendered)
    }

    /// Scores features of this ensemble's backbone, with the bits that [`Ensemble::score`] gives for their text.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a score is not finite.
    pub fn score_row(&self, row: &Row, domain: Option<&str>, combiner: &Combiner) -> Result<Score> {
        let score = |scorer: &Scorer| scorer.score(&row.vector, domain);
        let objectives: Vec<ObjectiveScore> = self.scorers.iter().map(score).collect();
        let combined = combiner.combine(&objectives.iter().map(ObjectiveScore::term).collect::<Vec<Term>>());
        let novelty = self.distribution.as_ref().map(|distribution| novelty::novelty(distribution, &row.vector));
        let cut = row.cut_prompt.saturating_add(row.cut_response);
        let score = Score { objectives, combined, novelty, tokens: row.tokens, cut };
        if score.is_finite() {
            return Ok(score);
        }
        Err(Error::Numeric(vec![Fault::new("score", "a score is not a finite number").help("verify the registry")]))
    }

    /// By how much the first row scores higher than the second, per objective.
    pub fn difference_of_rows(&self, left: &Row, right: &Row) -> Vec<Difference> {
        self.scorers.iter().map(|scorer| scorer.difference(&left.vector, &right.vector)).collect()
    }

    fn verify(&self, folder: &Path) -> Result<()> {
        let golden = &self.manifest.golden;
        let items: Vec<Item> = golden.iter().filter_map(golden_item).collect();
        if items.len() != golden.len() {
            return Err(stale(folder, "a golden example has no response".to_owned()));
        }
        for (index, (item, expected)) in items.iter().zip(golden).enumerate() {
            let encoded = self.backbone.encode(&self.backbone.render(&item.prompt, &item.response)?)?;
            if encoded.ids != expected.ids {
                return Err(stale(folder, format!("golden example {index} has other token ids now")));
            }
        }
        for (index, (score, expected)) in self.score(&items)?.iter().zip(golden).enumerate() {
            for ((name, found), raw) in self.names().iter().zip(&score.objectives).zip(&expected.raw) {
                if (found.raw - raw).abs() > GOLDEN_TOLERANCE * (1.0 + raw.abs()) {
                    let found = format!("golden example {index} scores {:.6} for {name}, was {raw:.6}", found.raw);
                    return Err(stale(folder, found));
                }
            }
            // Normalizers, weights and rule stand in the manifest alone; this is what notices a change in them.
            let (found, was) = (score.combined, expected.combined);
            if !was.is_finite() || (found - was).abs() > COMBINED_TOLERANCE * (1.0 + was.abs()) {
                let found = format!("golden example {index} has the combined score {found:.6}, was {was:.6}");
                return Err(stale(folder, found));
            }
        }
        Ok(())
    }
}

/// What one request says beside its items.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The domain of each item's prompt, in the order of the items: its normalizers are used where an objective has one
    /// for it, the overall one otherwise. Items beyond the end have none.
    pub domains: &'a [Option<String>],
    /// Other weights, from this ensemble's [`Combiner::reweighted`]; `None` for the registry's own.
    pub combiner: Option<&'a Combiner>,
}

/// An ensemble with its workers running.
pub struct Scoring<'a> {
    ensemble: &'a Ensemble,
    extractor: Extractor<'a>,
}

impl<'a> Scoring<'a> {
    fn new(ensemble: &'a Ensemble) -> Result<Self> {
        Ok(Self { ensemble, extractor: Extractor::new(&ensemble.backbone, ensemble.threads)? })
    }

    /// Scores items, in their order; items that stand in the list twice are computed once.
    ///
    /// # Errors
    /// As [`Ensemble::score`].
    pub fn score(&self, items: &[Item]) -> Result<Vec<Score>> {
        self.score_for(items, &Request::default())
    }

    /// The same with what a request says of its items and of the weights.
    ///
    /// # Errors
    /// As [`Ensemble::score`], and [`Error::Usage`] for the combiner of other objectives.
    pub fn score_for(&self, items: &[Item], request: &Request<'_>) -> Result<Vec<Score>> {
        let combiner = request.combiner.unwrap_or(&self.ensemble.combiner);
        if combiner.names() != self.ensemble.names() {
            let fault = Fault::new("weights", format!("these are weights of {}", combiner.names().join(", ")));
            return Err(Error::Usage(vec![fault.accepts(self.ensemble.names().join(", "))]));
        }
        let rows = self.rows(items.iter())?;
        let domains = request.domains.iter().map(Option::as_deref).chain(std::iter::repeat(None));
        let known = items.iter().zip(domains).filter_map(|(item, domain)| Some((rows.get(item)?, domain)));
        known.map(|(row, domain)| self.ensemble.score_row(row, domain, combiner)).collect()
    }

    /// By how much the first item of each pair scores higher than the second, per objective in the order of
    /// [`Ensemble::names`], with the standard error of that difference.
    ///
    /// # Errors
    /// As [`Ensemble::score`].
    pub fn differences(&self, pairs: &[(Item, Item)]) -> Result<Vec<Vec<Difference>>> {
        let rows = self.rows(pairs.iter().flat_map(|(left, right)| [left, right]))?;
        let known = pairs.iter().filter_map(|(left, right)| Some((rows.get(left)?, rows.get(right)?)));
        Ok(known.map(|(left, right)| self.ensemble.difference_of_rows(left, right)).collect())
    }

    /// The features of distinct items.
    fn rows<'b>(&self, items: impl Iterator<Item = &'b Item>) -> Result<BTreeMap<&'b Item, Row>> {
        let ordered: Vec<&Item> = items.collect::<BTreeSet<&Item>>().into_iter().collect();
        let texts = self.extractor.render(&ordered)?;
        let rows = self.extractor.extract(&texts.iter().collect::<Vec<_>>(), &Silent)?;
        Ok(ordered.into_iter().zip(rows.into_iter().filter_map(|rows| rows.into_iter().next())).collect())
    }
}

/// One worker per core.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn stale(folder: &Path, found: String) -> Error {
    Error::Registry(vec![
        Fault::new(folder.display(), found)
            .help("the backbone or this program changed since training: restore it, or train again"),
    ])
}

fn open_backbone(folder: &Path, manifest: &Manifest, device: Device) -> Result<Backbone> {
    let entry = &manifest.backbone;
    let config = BackboneConfig { device, ..registry::backbone_config(folder, entry) };
    let backbone = Backbone::open(&config)?;
    let found = backbone.fingerprint().to_string();
    if found == entry.fingerprint {
        return Ok(backbone);
    }
    Err(Error::Registry(vec![
        Fault::new(
            files::shown(backbone.path()),
            format!(
                "another backbone, or other settings of it, than the heads were trained on: fingerprint {}",
                &found[..12]
            ),
        )
        .accepts(entry.fingerprint.get(..12).unwrap_or(&entry.fingerprint))
        .help("restore the model folder, or train again on this one"),
    ]))
}

/// The messages of an item, its response last.
pub fn golden_messages(item: &Item) -> Vec<GoldenMessage> {
    let prompt = item.prompt.iter().map(|message| (message.role.word(), &message.content));
    let response = std::iter::once((Role::Assistant.word(), &item.response));
    prompt
        .chain(response)
        .map(|(role, content)| GoldenMessage { role: role.into(), content: content.clone() })
        .collect()
}

/// The item of a golden example; `None` when it has no response or an unknown role.
pub fn golden_item(golden: &Golden) -> Option<Item> {
    let (response, prompt) = golden.messages.split_last()?;
    let message = |message: &GoldenMessage| {
        let role = [Role::System, Role::User, Role::Assistant].into_iter().find(|role| role.word() == message.role)?;
        Some(Message { role, content: message.content.clone() })
    };
    let prompt = prompt.iter().map(message).collect::<Option<Vec<Message>>>()?;
    Some(Item { prompt, response: response.content.clone() })
}
