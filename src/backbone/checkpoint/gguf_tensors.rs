//! The tensors of a GGUF file under the names, and in the form, that transformers has them.
//!
//! llama.cpp's converter (`convert_hf_to_gguf.py`) renames every tensor, reorders the rows of Llama's query and key
//! projections for its own rotary embedding, and adds one to Gemma's norm weights; each is undone here.

use std::collections::BTreeMap;
use std::path::Path;

use super::collector::{Collector, DAMAGED, Wrong};
use super::gguf::{Family, Gguf};
use crate::error::{Error, Fault, Result};
use crate::files::{Digest, Stream};

/// Gives the tensors of `path` to `collector`.
///
/// # Errors
/// [`Error::Model`] when the file is damaged or of a kind that is not read, [`Error::Io`] when it cannot be read.
pub(super) fn read(path: &Path, collector: &mut Collector<'_>) -> Result<Digest> {
    let digest = Stream::open(path, "the model weights")?.finish()?;
    let gguf = Gguf::open(path)?;
    let (mut wanted, mut names) = (Vec::new(), BTreeMap::new());
    for (stored, tensor) in gguf.tensors() {
        let name = name(gguf.family, stored).unwrap_or_else(|| stored.clone());
        if let Some(name) = collector.wants(path, &name, tensor.shape.dims()) {
            wanted.push(stored.clone());
            names.insert(stored.clone(), name);
        }
    }
    let heads = Heads::of(&gguf)?;
    gguf.read(&wanted, |stored, values| {
        let Some(name) = names.remove(stored) else { return };
        match values.and_then(|values| restored(&gguf, &heads, stored, values)) {
            Ok(values) => collector.keep(path, name, values),
            Err(wrong) => collector.reject(path, name, wrong),
        }
    })?;
    Ok(digest)
}

/// transformers' name of a tensor that llama.cpp calls `stored`, without the model's prefix.
fn name(family: Family, stored: &str) -> Option<String> {
    match stored {
        "token_embd.weight" => return Some("embed_tokens.weight".to_owned()),
        "output_norm.weight" => return Some("norm.weight".to_owned()),
        "output.weight" => return Some("lm_head.weight".to_owned()),
        _ => {}
    }
    let (layer, rest) = stored.strip_prefix("blk.")?.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    let layer: usize = layer.parse().ok()?;
    let gemma = family == Family::Gemma3;
    let part = match part {
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "attn_norm" => "input_layernorm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        "ffn_norm" if gemma => "pre_feedforward_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "post_attention_norm" if gemma => "post_attention_layernorm",
        "post_ffw_norm" if gemma => "post_feedforward_layernorm",
        _ => return None,
    };
    Some(format!("layers.{layer}.{part}.{kind}"))
}

/// Numbers of attention heads, which the order of Llama's rows depends on.
struct Heads {
    query: usize,
    key: usize,
}

impl Heads {
    fn of(gguf: &Gguf) -> Result<Self> {
        if gguf.family != Family::Llama {
            return Ok(Self { query: 1, key: 1 });
        }
        let heads =
            |key: &str| gguf.whole(key).and_then(|heads| usize::try_from(heads).ok()).filter(|&heads| heads > 0);
        let Some(query) = heads("*.attention.head_count") else {
            let fault: Fault = gguf.fault("*.attention.head_count", gguf.shown("*.attention.head_count"));
            return Err(Error::Model(vec![fault.accepts("a whole number").help("fetch the model again")]));
        };
        Ok(Self { query, key: heads("*.attention.head_count_kv").unwrap_or(query) })
    }
}

/// `values` of a tensor with these dimensions as they were before llama.cpp's converter changed them.
fn restored(gguf: &Gguf, heads: &Heads, stored: &str, values: Vec<f32>) -> Result<Vec<f32>, Wrong> {
    let rows = gguf.tensors().get(stored).and_then(|tensor| tensor.shape.dims().first().copied()).unwrap_or(0);
    match gguf.family {
        Family::Llama if stored.contains(".attn_q.") => unpermuted(&values, rows, heads.query),
        Family::Llama if stored.contains(".attn_k.") => unpermuted(&values, rows, heads.key),
        Family::Gemma3 if stored.ends_with("norm.weight") => Ok(values.iter().map(|value| value - 1.0).collect()),
        _ => Ok(values),
    }
}

/// Rows that alternate between the halves of each head, `(heads, half, 2, columns)`, brought back into one half after
/// the other, `(heads, 2, half, columns)`; a bias has one column.
fn unpermuted(values: &[f32], rows: usize, heads: usize) -> Result<Vec<f32>, Wrong> {
    if rows == 0 || !rows.is_multiple_of(2 * heads) {
        return Err((format!("has {rows} rows, which {heads} heads of even width cannot share"), DAMAGED));
    }
    let (head, columns) = (rows / heads, values.len() / rows);
    let source = |row: usize| {
        let (first, inside) = (row - row % head, row % head);
        first + 2 * (inside % (head / 2)) + inside / (head / 2)
    };
    Ok((0..rows).flat_map(|row| &values[source(row) * columns..][..columns]).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpermuting_undoes_the_converter() {
        // Two heads of four rows; the converter: reshape (heads, 2, half), swap the last two axes.
        let (heads, half, columns) = (2, 2, 3);
        let row = |head: usize, part: usize, index: usize| ((head * 2 + part) * half + index) as f32;
        let mut stored = Vec::new();
        for head in 0..heads {
            for index in 0..half {
                for part in 0..2 {
                    stored.extend((0..columns).map(|column| row(head, part, index) + column as f32 / 10.0));
                }
            }
        }
        let original: Vec<f32> =
            (0..8).flat_map(|row| (0..columns).map(move |column| row as f32 + column as f32 / 10.0)).collect();
        assert_ne!(stored, original);
        assert_eq!(unpermuted(&stored, 8, heads), Ok(original));
        assert!(unpermuted(&stored, 8, 3).is_err() && unpermuted(&[], 0, 1).is_err());
    }
}
