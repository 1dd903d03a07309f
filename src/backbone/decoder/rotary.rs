//! Rotary position embedding: the angle by which each pair of a head's numbers turns per token.
//!
//! Su et al. 2021 (RoPE); "linear" after Chen et al. 2023; "yarn" after Peng et al. 2023; "llama3" as published with
//! Llama 3.1. Frequencies and angles are rounded to f32 where transformers rounds them, because the models were
//! trained and are measured with those angles.

use std::f64::consts::TAU;

use candle_core::{Device, Result, Tensor};
use serde_json::Value;

use crate::backbone::fields::{Fields, shown};

/// Stands for settings that are not there.
static NOTHING: Value = Value::Null;
const WHOLE: &str = "1: heads are rotated as a whole";
const KINDS: &str = "default, linear, dynamic, yarn, llama3";
/// A factor below this would turn angles into infinities.
const LEAST: f64 = 0.001;
/// Most tokens a position setting may name.
const MOST_POSITIONS: usize = 100_000_000;

/// The angles of one kind of layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rotary {
    /// Radians per token, one for each pair of numbers.
    frequencies: Vec<f32>,
    /// Multiplies sine and cosine ("yarn" sharpens attention by it).
    factor: f32,
}

/// Which layers a rotary embedding is for, and what stands in for absent settings.
pub(super) struct Use {
    /// The key of a nested `rope_parameters`: `full_attention` or `sliding_attention`.
    pub(super) layers: &'static str,
    /// The older field of the base, beside `rope_scaling`.
    pub(super) base_field: &'static str,
    /// The base where none is given.
    pub(super) base: f64,
    /// Numbers per head.
    pub(super) head: usize,
    /// `max_position_embeddings`.
    pub(super) positions: usize,
}

/// Published ways to stretch the embedding over longer texts than a model was first trained on.
enum Kind {
    /// As first published; also "dynamic", which differs only beyond `max_position_embeddings`.
    Plain,
    Linear,
    Llama3,
    Yarn,
}

impl Rotary {
    /// Reads `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before), recording faults.
    pub(super) fn read(fields: &mut Fields<'_>, wanted: &Use) -> Self {
        let all = [Value::from(1), Value::from(1.0)];
        fields.unsupported("partial_rotary_factor", &all, WHOLE);
        let base = fields.number(wanted.base_field, 1.0, 1e12).unwrap_or(wanted.base);
        let original = fields.size("original_max_position_embeddings", MOST_POSITIONS, Some(0));
        let mut settings = settings(fields, wanted.layers);
        let base = settings.number("rope_theta", 1.0, 1e12).unwrap_or(base);
        settings.unsupported("partial_rotary_factor", &all, WHOLE);
        let kind_field = if settings.get("rope_type").is_some() { "rope_type" } else { "type" };
        let kind = settings.name(kind_field, "default", kind, KINDS).unwrap_or(Kind::Plain);
        let original = match original {
            0 => settings.size("original_max_position_embeddings", MOST_POSITIONS, Some(wanted.positions)),
            original => original,
        };
        let plain = Self::plain(base, wanted.head);
        let rotary = match kind {
            Kind::Plain => plain,
            Kind::Linear => plain.linear(&mut settings),
            Kind::Llama3 => plain.llama3(&mut settings, original as f32),
            Kind::Yarn => plain.yarn(&mut settings, base, original, wanted.positions),
        };
        fields.adopt(settings);
        rotary
    }

    /// base^(-2i/head) for pair i.
    fn plain(base: f64, head: usize) -> Self {
        let base = f64::from(base as f32);
        let power = |pair: usize| libm::pow(base, f64::from((2 * pair) as f32 / head as f32)) as f32;
        Self { frequencies: (0..head / 2).map(|pair| 1.0 / power(pair)).collect(), factor: 1.0 }
    }

    /// All angles divided by the factor.
    fn linear(mut self, settings: &mut Fields<'_>) -> Self {
        let factor = required(settings, "factor") as f32;
        self.frequencies.iter_mut().for_each(|frequency| *frequency /= factor);
        self
    }

    /// Divides the angles of long waves, leaves those of short ones, and blends between.
    fn llama3(mut self, settings: &mut Fields<'_>, original: f32) -> Self {
        let factor = required(settings, "factor") as f32;
        let (low, high) = (required(settings, "low_freq_factor"), required(settings, "high_freq_factor"));
        if settings.faults.is_empty() && high <= low {
            settings.refuse("high_freq_factor", format!("found {high}"), format!("more than low_freq_factor {low}"));
            return self;
        }
        let (low, high) = (low as f32, high as f32);
        for frequency in &mut self.frequencies {
            let wave = TAU as f32 / *frequency;
            if wave > original / low {
                *frequency /= factor;
            } else if wave >= original / high {
                let share = (original / wave - low) / (high - low);
                *frequency = (1.0 - share) * *frequency / factor + share * *frequency;
            }
        }
        self
    }

    /// Divides the angles of the pairs that turn seldom, leaves those that turn often, with a ramp between.
    fn yarn(mut self, settings: &mut Fields<'_>, base: f64, original: usize, positions: usize) -> Self {
        let factor = settings.number("factor", LEAST, 1e6).unwrap_or(positions as f64 / original as f64);
        self.factor = yarn_sharpness(settings, factor) as f32;
        let or = |given: Option<f64>, usual: f64| given.filter(|&number| number > 0.0).unwrap_or(usual);
        let fast = or(settings.number("beta_fast", -1.0, 1e6), 32.0);
        let slow = or(settings.number("beta_slow", -1.0, 1e6), 1.0);
        let whole = settings.flag("truncate", true);
        let head = 2.0 * self.frequencies.len() as f64;
        let pair_turning = |turns: f64| head * (original as f64 / (turns * TAU)).ln() / (2.0 * base.ln());
        let (low, high) = (pair_turning(fast), pair_turning(slow));
        let (low, high) = if whole { (low.floor(), high.ceil()) } else { (low, high) };
        let (low, high) = (low.max(0.0), high.min(head - 1.0));
        let high = if low == high { high + 0.001 } else { high };
        for (pair, frequency) in self.frequencies.iter_mut().enumerate() {
            let ramp = ((pair as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
            let kept = 1.0 - ramp;
            let stretched = 1.0 / (factor as f32 * (1.0 / *frequency));
            *frequency = stretched * (1.0 - kept) + *frequency * kept;
        }
        self
    }

    /// Cosines and sines, each `(tokens, head / 2)`.
    pub(super) fn tables(&self, tokens: usize) -> Result<(Tensor, Tensor)> {
        let pairs = self.frequencies.len();
        let (mut cosines, mut sines) = (Vec::with_capacity(tokens * pairs), Vec::with_capacity(tokens * pairs));
        for token in 0..tokens {
            for frequency in &self.frequencies {
                let (sine, cosine) = libm::sincos(f64::from(token as f32 * frequency));
                cosines.push(cosine as f32 * self.factor);
                sines.push(sine as f32 * self.factor);
            }
        }
        let table = |values| Tensor::from_vec(values, (tokens, pairs), &Device::Cpu);
        Ok((table(cosines)?, table(sines)?))
    }
}

/// The object with the settings for `layers`; an empty one where there is none.
fn settings<'a>(fields: &mut Fields<'a>, layers: &str) -> Fields<'a> {
    for field in ["rope_parameters", "rope_scaling"] {
        if let Some(value) = fields.get(field).filter(|value| !value.is_object()) {
            fields.refuse(field, format!("found {}", shown(value)), "an object or null");
        }
    }
    let parameters = fields.get("rope_parameters").filter(|value| value.is_object());
    let nested = |key: &str| parameters.and_then(|value| value.get(key)).filter(|value| value.is_object());
    if let Some(value) = nested(layers) {
        return fields.inside(&format!("rope_parameters.{layers}"), value);
    }
    // Settings that are not split by kind of layer are those of the layers that see the whole text.
    if layers == "full_attention" {
        if let Some(value) = fields.get("rope_scaling").filter(|value| value.is_object()) {
            return fields.inside("rope_scaling", value);
        }
        if let Some(value) = parameters.filter(|_| nested("sliding_attention").is_none()) {
            return fields.inside("rope_parameters", value);
        }
    }
    fields.inside("rope_parameters", &NOTHING)
}

fn kind(name: &str) -> Option<Kind> {
    match name {
        "default" | "dynamic" => Some(Kind::Plain),
        "linear" => Some(Kind::Linear),
        "llama3" => Some(Kind::Llama3),
        "yarn" => Some(Kind::Yarn),
        _ => None,
    }
}

/// A positive number that this kind of scaling cannot do without.
fn required(settings: &mut Fields<'_>, field: &str) -> f64 {
    if settings.get(field).is_none() {
        settings.refuse(field, "missing", format!("a number above {LEAST}"));
    }
    settings.number(field, LEAST, 1e6).unwrap_or(1.0)
}

/// What "yarn" multiplies sine and cosine by.
fn yarn_sharpness(settings: &mut Fields<'_>, factor: f64) -> f64 {
    let given = settings.number("attention_factor", 0.0, 1e3);
    let scale = settings.number("mscale", -1.0, 1e3).filter(|&scale| scale > 0.0);
    let whole = settings.number("mscale_all_dim", -1.0, 1e3).filter(|&scale| scale > 0.0);
    let sharpness = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
    match (given, scale, whole) {
        (Some(given), _, _) => given,
        (None, Some(scale), Some(whole)) => sharpness(scale) / sharpness(whole),
        _ => sharpness(1.0),
    }
}
