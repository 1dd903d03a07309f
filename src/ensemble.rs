//! The type users hold: `Ensemble::open(path)?.score(&items)?`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::backbone::Backbone;
use crate::combine::{Combiner, Term};
use crate::conversation::{Item, Message, Role};
use crate::error::{Error, Fault, Result};
use crate::features::{Extractor, Row};
use crate::files;
use crate::head::LinearHead;
use crate::normalize::Normalizer;
use crate::progress::Silent;
use crate::registry::{self, Golden, GoldenMessage, Manifest, StoredHead};

/// Golden scores may differ by this much between machines whose matrix kernels round differently.
const GOLDEN_TOLERANCE: f64 = 1e-3;

/// The same for combined scores, where a steep normalizer may have widened the difference.
const COMBINED_TOLERANCE: f64 = 1e-2;

/// One head ready to score.
#[derive(Clone, Debug, PartialEq)]
pub struct Scorer {
    head: LinearHead,
    temperature: f64,
    normalizer: Normalizer,
}

impl Scorer {
    /// A head with its temperature and normalizer.
    pub fn new(head: LinearHead, temperature: f64, normalizer: Normalizer) -> Self {
        Self { head, temperature, normalizer }
    }

    /// Raw (calibrated, in log-odds) and normalized score of one feature vector.
    pub fn score(&self, features: &[f32]) -> ObjectiveScore {
        let raw = self.head.score(features) / self.temperature;
        ObjectiveScore { raw, normalized: self.normalizer.apply(raw), error: 0.0 }
    }
}

/// One objective's view of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectiveScore {
    /// In log-odds: the difference of two raw scores is the log-odds that labelers prefer the first item.
    pub raw: f64,
    /// On the objective's normalized scale.
    pub normalized: f64,
    /// Standard error of the normalized score.
    pub error: f64,
}

impl ObjectiveScore {
    /// What a rule combines.
    pub fn term(&self) -> Term {
        Term { score: self.normalized, error: self.error }
    }
}

/// What an ensemble says of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Per objective, in the order of [`Ensemble::names`].
    pub objectives: Vec<ObjectiveScore>,
    /// The one number.
    pub combined: f64,
    /// Tokens the backbone read.
    pub tokens: u32,
    /// Tokens that did not fit and were cut.
    pub cut: u32,
}

/// A registry opened for scoring.
pub struct Ensemble {
    backbone: Backbone,
    scorers: Vec<Scorer>,
    combiner: Combiner,
    threads: usize,
}

impl Ensemble {
    /// Opens a registry folder: checks its manifest, its heads and its backbone, and recomputes the golden examples.
    ///
    /// # Errors
    /// [`Error::Registry`] when something is damaged or the backbone is not the one the heads were trained on;
    /// [`Error::Model`] when the backbone cannot be opened.
    pub fn open(folder: &Path) -> Result<Self> {
        let manifest = registry::read_manifest(folder)?;
        let backbone = open_backbone(folder, &manifest)?;
        let mut scorers = Vec::with_capacity(manifest.objectives.len());
        for entry in &manifest.objectives {
            let StoredHead { weights, bias, temperature } =
                registry::read_head(folder, entry, backbone.width(backbone.readout()))?;
            scorers.push(Scorer::new(LinearHead { weights, bias }, temperature, entry.normalizer.clone()));
        }
        let ensemble = Self {
            backbone,
            scorers,
            combiner: manifest.combiner().map_err(Error::Registry)?,
            threads: default_threads(),
        };
        ensemble.verify(folder, &manifest.golden)?;
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
    /// [`Scoring::score_weighted`].
    pub fn combiner(&self) -> &Combiner {
        &self.combiner
    }

    /// The backbone, opened.
    pub fn backbone(&self) -> &Backbone {
        &self.backbone
    }

    /// Each objective's raw score as a linear head: weights and bias divided by the temperature.
    pub fn linear_heads(&self) -> Vec<LinearHead> {
        let calibrated = |Scorer { head, temperature, .. }: &Scorer| LinearHead {
            weights: head.weights.iter().map(|weight| weight / temperature).collect(),
            bias: head.bias / temperature,
        };
        self.scorers.iter().map(calibrated).collect()
    }

    /// The objectives' names, in the order of every score.
    pub fn names(&self) -> &[String] {
        self.combiner.names()
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

    fn combined(&self, row: &Row, combiner: &Combiner) -> Result<Score> {
        let objectives: Vec<ObjectiveScore> = self.scorers.iter().map(|scorer| scorer.score(&row.vector)).collect();
        let terms: Vec<Term> = objectives.iter().map(ObjectiveScore::term).collect();
        let combined = combiner.combine(&terms);
        if combined.is_finite() && objectives.iter().all(|score| score.raw.is_finite()) {
            let cut = row.cut_prompt.saturating_add(row.cut_response);
            return Ok(Score { objectives, combined, tokens: row.tokens, cut });
        }
        Err(Error::Numeric(vec![Fault::new("score", "a score is not a finite number").help("verify the registry")]))
    }

    fn verify(&self, folder: &Path, golden: &[Golden]) -> Result<()> {
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
        self.score_weighted(items, &self.ensemble.combiner)
    }

    /// The same with the weights of `combiner`, which came from this ensemble's by [`Combiner::reweighted`].
    ///
    /// # Errors
    /// As [`Ensemble::score`], and [`Error::Usage`] for the combiner of other objectives.
    pub fn score_weighted(&self, items: &[Item], combiner: &Combiner) -> Result<Vec<Score>> {
        if combiner.names() != self.ensemble.names() {
            let fault = Fault::new("weights", format!("these are weights of {}", combiner.names().join(", ")));
            return Err(Error::Usage(vec![fault.accepts(self.ensemble.names().join(", "))]));
        }
        let ordered: Vec<&Item> = items.iter().collect::<BTreeSet<&Item>>().into_iter().collect();
        let texts = self.extractor.render(&ordered)?;
        let rows = self.extractor.extract(&texts.iter().collect::<Vec<_>>(), &Silent)?;
        let rows = rows.iter().filter_map(|rows| rows.first());
        let scores = rows.map(|row| self.ensemble.combined(row, combiner)).collect::<Result<Vec<Score>>>()?;
        let place: BTreeMap<&Item, &Score> = ordered.into_iter().zip(&scores).collect();
        Ok(items.iter().filter_map(|item| place.get(item).map(|score| (*score).clone())).collect())
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

fn open_backbone(folder: &Path, manifest: &Manifest) -> Result<Backbone> {
    let entry = &manifest.backbone;
    let config = registry::backbone_config(folder, entry);
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
