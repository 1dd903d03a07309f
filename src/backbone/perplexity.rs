//! How well a decoder foresees a text: a check of its whole forward pass that needs no labels.

use std::path::Path;

use candle_core::Tensor;

use super::model::Placement;
use super::tokens::{Cut, Encoded};
use super::{checkpoint, locate, read_architecture};
use crate::error::{Error, Fault, Result};

/// Negative log-likelihood in nats of each token of `ids` but the first, by the causal decoder at `path` (a model folder
/// or a GGUF file). The perplexity is e to their mean.
///
/// # Errors
/// [`Error::Model`] when the model cannot be opened, is no decoder, or has no such tokens; [`Error::Io`] when a file is
/// unreadable.
pub fn token_losses(path: &Path, ids: &[u32]) -> Result<Vec<f64>> {
    let refused = |found: String| Error::Model(vec![Fault::new(path.display(), found)]);
    let files = locate::locate(path)?;
    let (json, _) = checkpoint::read_config(&files)?;
    let architecture = read_architecture(files.config_place(), &json)?;
    let shape = architecture.shape();
    if !shape.causal {
        return Err(refused(format!("{} foresees no next token: perplexity is for decoders", shape.line)));
    }
    if ids.len() > shape.positions {
        return Err(refused(format!("{} tokens are more than its {} positions", ids.len(), shape.positions)));
    }
    // One past the last layer stands for the logits.
    let logits = shape.layers + 1;
    let weights = checkpoint::read(&files, &architecture.tensors(logits))?;
    let encoded =
        Encoded { ids: ids.to_vec(), type_ids: vec![0; ids.len()], response: 0..ids.len(), cut: Cut::default() };
    let losses = architecture
        .load(&weights, logits, &Placement::CPU)
        .and_then(|transformer| transformer.states(&[&encoded], &[logits]))
        .and_then(|states| states.iter().flatten().next().map_or(Ok(Vec::new()), |logits| losses(logits, ids)));
    losses.map_err(|error| refused(format!("the forward pass failed: {error}")))
}

/// The losses of the tokens that follow each row of logits `(tokens, vocabulary)`.
///
/// # Errors
/// When a token has no logit.
pub(super) fn losses(logits: &Tensor, ids: &[u32]) -> candle_core::Result<Vec<f64>> {
    let following = ids.iter().skip(1).enumerate();
    following
        .map(|(row, &id)| {
            let row = logits.get(row)?.to_vec1::<f32>()?;
            let Some(own) = row.get(id as usize) else { candle_core::bail!("token {id} has no logit") };
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|logit| f64::from(logit - most).exp()).sum();
            Ok(sum.ln() - f64::from(own - most))
        })
        .collect()
}
