//! How token states become one feature vector: which layers, which tokens, and the digest that names the features.

use candle_core::{DType, Device, Tensor};

use super::model::Shape;
use super::tokens::Encoded;
use crate::config::{BackboneConfig, Pooling};
use crate::error::{Error, Fault, Result};
use crate::files::Digest;

/// The layer that is pooled when the config names none: the last one is bent to the model's own training task.
const DEFAULT_LAYER: i64 = -2;

/// One way to turn the states of a text into its feature vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readout {
    /// Which tokens.
    pub pooling: Pooling,
    /// Which layers, concatenated; 0 is the embedding output.
    pub layers: Vec<usize>,
    /// Digest of everything that decides the features: weights, configuration, tokenizer, template, this readout.
    pub fingerprint: Digest,
}

impl Readout {
    /// The pooled states, `(width × layers)`; `states` are in the order of `computed`.
    ///
    /// # Errors
    /// When candle cannot read a state.
    pub(super) fn pool(
        &self,
        states: &[Tensor],
        computed: &[usize],
        encoded: &Encoded,
    ) -> candle_core::Result<Vec<f32>> {
        let mut features = Vec::new();
        for layer in &self.layers {
            let found = computed.iter().position(|computed| computed == layer).and_then(|index| states.get(index));
            let states = found.ok_or_else(|| candle_core::Error::Msg(format!("layer {layer} was not computed")))?;
            features.extend(pool(states, encoded, self.pooling)?);
        }
        Ok(features)
    }
}

/// Pools `(tokens, width)` states to one vector, summing in token order in f64.
fn pool(states: &Tensor, encoded: &Encoded, pooling: Pooling) -> candle_core::Result<Vec<f32>> {
    let count = encoded.ids.len();
    let range = match pooling {
        Pooling::Cls => 0..1,
        Pooling::LastToken => count.saturating_sub(1)..count,
        Pooling::MeanAll => 0..count,
        // A response without a token (white space, unknown control characters) has no state of its own: the whole
        // text stands for it.
        Pooling::MeanResponse if encoded.response.is_empty() => 0..count,
        Pooling::MeanResponse => encoded.response.clone(),
    };
    let rows = states.narrow(0, range.start, range.len())?.to_device(&Device::Cpu)?;
    let rows = rows.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let mut sums = vec![0f64; states.dim(1)?];
    for row in &rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    Ok(sums.iter().map(|sum| (sum / rows.len() as f64) as f32).collect())
}

/// The readouts a config asks for: one, or every candidate of a search. Their fingerprints are made by `digest`.
///
/// # Errors
/// [`Error::Model`] when the model has no such layer, or a causal model is to be read at its first token.
pub(super) fn readouts(
    config: &BackboneConfig,
    shape: &Shape,
    digest: &dyn Fn(Pooling, &[usize]) -> Digest,
) -> Result<Vec<Readout>> {
    let readout = |pooling: Pooling, layers: Vec<usize>| {
        let fingerprint = digest(pooling, &layers);
        Readout { pooling, layers, fingerprint }
    };
    let given = config.layers.as_ref().map(|layers| resolve(layers, shape)).transpose()?;
    let Some(pooling) = config.pooling else {
        let layers = given.map_or_else(|| candidate_layers(shape), |layers| vec![layers]);
        let ways = Pooling::ALL.into_iter().filter(|pooling| !(shape.causal && *pooling == Pooling::Cls));
        let ways = ways.filter(|pooling| shape.causal || *pooling != Pooling::LastToken);
        return Ok(ways
            .flat_map(|pooling| layers.iter().map(move |layers| (pooling, layers.clone())))
            .map(|(pooling, layers)| readout(pooling, layers))
            .collect());
    };
    if shape.causal && pooling == Pooling::Cls {
        let found = "the first token of a causal model sees no other: every text would get the same features";
        let fault = Fault::new("backbone.pooling", found).accepts("mean_response, mean_all, last_token, auto");
        return Err(Error::Model(vec![fault.help("set backbone.pooling to last_token or mean_response")]));
    }
    let layers = given.map_or_else(|| resolve(&[DEFAULT_LAYER], shape), Ok)?;
    Ok(vec![readout(pooling, layers)])
}

/// The layers a search tries one by one: the last, the last but one, three quarters and half of the way up.
fn candidate_layers(shape: &Shape) -> Vec<Vec<usize>> {
    let count = shape.layers;
    let mut layers = vec![count, count.saturating_sub(1), (3 * count).div_ceil(4), count.div_ceil(2)];
    layers.sort_unstable_by(|left, right| right.cmp(left));
    layers.dedup();
    layers.into_iter().map(|layer| vec![layer]).collect()
}

/// Turns -1 for the last layer and the like into layer numbers; 0 is the embedding output.
fn resolve(asked: &[i64], shape: &Shape) -> Result<Vec<usize>> {
    let count = shape.layers as i64;
    let resolve = |layer: i64| if layer < 0 { count + 1 + layer } else { layer };
    let bad: Vec<i64> = asked.iter().copied().filter(|&layer| !(0..=count).contains(&resolve(layer))).collect();
    let fault = |found: String| Fault::new("backbone.layers", found);
    if !bad.is_empty() {
        let fault = fault(format!("the model has no layer {}", list(&bad)));
        return Err(Error::Model(vec![
            fault.accepts(format!("0 (embeddings) to {count}, or -1 (last) to -{}", count + 1)),
        ]));
    }
    let layers: Vec<usize> = asked.iter().map(|&layer| resolve(layer) as usize).collect();
    match (1..layers.len()).find(|&index| layers[..index].contains(&layers[index])) {
        None => Ok(layers),
        Some(index) => Err(Error::Model(vec![
            fault(format!("{} names layer {} a second time", asked[index], layers[index]))
                .accepts("every layer once")
                .help(format!("remove {} from the list", asked[index])),
        ])),
    }
}

fn list(layers: &[i64]) -> String {
    layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Dtype, ModelPlace};

    fn shape(layers: usize, causal: bool) -> Shape {
        Shape { vocabulary: 10, width: 2, layers, positions: 64, causal, line: String::new() }
    }

    fn config(pooling: Option<Pooling>, layers: Option<Vec<i64>>) -> BackboneConfig {
        let (place, dtype, device) = (ModelPlace::Disk("m".into()), Dtype::F32, crate::config::Device::Cpu);
        BackboneConfig { place, max_tokens: 8, pooling, layers, dtype, device, score_head: false }
    }

    fn asked(config: &BackboneConfig, shape: &Shape) -> Result<Vec<(Pooling, Vec<usize>)>> {
        let found = readouts(config, shape, &|_, _| Digest::of(b""))?;
        Ok(found.into_iter().map(|readout| (readout.pooling, readout.layers)).collect())
    }

    fn encoded(count: usize, response: std::ops::Range<usize>) -> Encoded {
        Encoded { ids: vec![1; count], type_ids: vec![0; count], response, cut: super::super::Cut::default() }
    }

    #[test]
    fn every_pooling_takes_its_tokens() -> candle_core::Result<()> {
        let states = Tensor::new(&[[1f32, 10.], [2., 20.], [4., 40.], [8., 80.]], &Device::Cpu)?;
        let encoded = encoded(4, 1..3);
        for (pooling, expected) in [
            (Pooling::Cls, [1., 10.]),
            (Pooling::LastToken, [8., 80.]),
            (Pooling::MeanAll, [3.75, 37.5]),
            (Pooling::MeanResponse, [3., 30.]),
        ] {
            assert_eq!(pool(&states, &encoded, pooling)?, expected, "{pooling:?}");
        }
        assert_eq!(pool(&states, &self::encoded(4, 2..2), Pooling::MeanResponse)?, [3.75, 37.5]);
        Ok(())
    }

    #[test]
    fn several_layers_are_concatenated_in_the_order_asked_for() -> candle_core::Result<()> {
        let states = [Tensor::new(&[[1f32], [2.]], &Device::Cpu)?, Tensor::new(&[[3f32], [5.]], &Device::Cpu)?];
        let readout = Readout { pooling: Pooling::LastToken, layers: vec![6, 4], fingerprint: Digest::of(b"") };
        assert_eq!(readout.pool(&states, &[4, 6], &encoded(2, 0..1))?, [5., 2.]);
        assert!(readout.pool(&states[..1], &[4], &encoded(2, 0..1)).is_err());
        Ok(())
    }

    #[test]
    fn a_search_tries_what_makes_sense_for_the_family() -> Result<()> {
        let encoder = asked(&config(None, None), &shape(6, false))?;
        assert_eq!(encoder.len(), 3 * 3);
        assert_eq!(encoder[..3].iter().map(|(_, layers)| layers[0]).collect::<Vec<_>>(), [6, 5, 3]);
        assert_eq!(asked(&config(None, None), &shape(30, true))?.len(), 3 * 4);
        let decoder = asked(&config(None, Some(vec![-1, -2])), &shape(6, true))?;
        assert_eq!(
            decoder.iter().map(|(way, _)| *way).collect::<Vec<_>>(),
            [Pooling::MeanResponse, Pooling::MeanAll, Pooling::LastToken]
        );
        assert!(decoder.iter().all(|(_, layers)| *layers == [6, 5]));
        Ok(())
    }

    #[test]
    fn layers_are_resolved_and_checked() -> Result<()> {
        assert_eq!(asked(&config(Some(Pooling::Cls), None), &shape(6, false))?, [(Pooling::Cls, vec![5])]);
        for (layers, expected) in
            [(vec![7], "no layer 7"), (vec![-8, 9], "no layer -8, 9"), (vec![6, -1], "second time")]
        {
            let error = asked(&config(Some(Pooling::Cls), Some(layers)), &shape(6, false)).expect_err("refused");
            assert!(error.to_string().contains(expected), "{error}");
        }
        let error = asked(&config(Some(Pooling::Cls), None), &shape(6, true)).expect_err("refused");
        assert!(error.to_string().contains("sees no other"), "{error}");
        Ok(())
    }
}
