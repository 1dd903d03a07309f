//! The type users hold: `Ensemble::open(path)?.score(&items)?`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::backbone::Backbone;
use crate::combine::{combine, override_weights};
use crate::config::Rule;
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
    domains: BTreeMap<String, Normalizer>,
}

impl Scorer {
    /// A head with its temperature and normalizer.
    pub fn new(head: LinearHead, temperature: f64, normalizer: Normalizer) -> Self {
        Self { head, temperature, normalizer, domains: BTreeMap::new() }
    }

    /// The same with normalizers of their own for some domains.
    #[must_use]
    pub fn with_domains(self, domains: BTreeMap<String, Normalizer>) -> Self {
        Self { domains, ..self }
    }

    /// Raw (calibrated, in log-odds) and normalized score of one feature vector.
    pub fn score(&self, features: &[f32]) -> ObjectiveScore {
        self.score_in(features, None)
    }

    /// The same for a prompt of `domain`; without a normalizer of its own the overall one serves.
    pub fn score_in(&self, features: &[f32], domain: Option<&str>) -> ObjectiveScore {
        let raw = self.head.score(features) / self.temperature;
        let own = domain.and_then(|domain| self.domains.get(domain));
        ObjectiveScore { raw, normalized: own.unwrap_or(&self.normalizer).apply(raw), in_domain: own.is_some() }
    }
}

/// One objective's view of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectiveScore {
    /// In log-odds: the difference of two raw scores is the log-odds that labelers prefer the first item.
    pub raw: f64,
    /// On the objective's normalized scale.
    pub normalized: f64,
    /// Whether that is the scale of the item's domain and not the overall one.
    pub in_domain: bool,
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
    names: Vec<String>,
    scorers: Vec<Scorer>,
    weights: Vec<f64>,
    rule: Rule,
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
            let scorer = Scorer::new(LinearHead { weights, bias }, temperature, entry.normalizer.clone());
            scorers.push(scorer.with_domains(entry.domains.clone()));
        }
        let ensemble = Self {
            backbone,
            names: manifest.objectives.iter().map(|entry| entry.name.clone()).collect(),
            scorers,
            weights: manifest.objectives.iter().map(|entry| entry.weight).collect(),
            rule: manifest.rule,
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
    /// [`Error::Usage`] as [`override_weights`] reports.
    pub fn with_weights(mut self, overrides: &[String]) -> Result<Self> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        override_weights(&names, &mut self.weights, overrides)?;
        Ok(self)
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
        &self.names
    }

    /// The domains for which some objective has a normalizer of its own.
    pub fn domains(&self) -> BTreeSet<&str> {
        self.scorers.iter().flat_map(|scorer| scorer.domains.keys()).map(String::as_str).collect()
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

    fn combined(&self, row: &Row, domain: Option<&str>) -> Result<Score> {
        let score = |scorer: &Scorer| scorer.score_in(&row.vector, domain);
        let objectives: Vec<ObjectiveScore> = self.scorers.iter().map(score).collect();
        let normalized: Vec<f64> = objectives.iter().map(|score| score.normalized).collect();
        let combined = combine(self.rule, &normalized, &self.weights);
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
            for ((name, found), raw) in self.names.iter().zip(&score.objectives).zip(&expected.raw) {
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
        self.score_in(items, &[])
    }

    /// The same with the domain of each item's prompt, in the order of `items`: its normalizers are used where an
    /// objective has one for it, the overall one otherwise. Items beyond the end of `domains` have none.
    ///
    /// # Errors
    /// As [`Ensemble::score`].
    pub fn score_in(&self, items: &[Item], domains: &[Option<String>]) -> Result<Vec<Score>> {
        let ordered: Vec<&Item> = items.iter().collect::<BTreeSet<&Item>>().into_iter().collect();
        let texts = self.extractor.render(&ordered)?;
        let rows = self.extractor.extract(&texts.iter().collect::<Vec<_>>(), &Silent)?;
        let rows = rows.iter().filter_map(|rows| rows.first());
        let rows: BTreeMap<&Item, &Row> = ordered.into_iter().zip(rows).collect();
        let domains = domains.iter().map(Option::as_deref).chain(std::iter::repeat(None));
        let known = items.iter().zip(domains).filter_map(|(item, domain)| Some((rows.get(item)?, domain)));
        known.map(|(row, domain)| self.ensemble.combined(row, domain)).collect()
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
