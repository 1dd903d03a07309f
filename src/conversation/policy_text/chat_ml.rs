//! ChatML: `<|im_start|>role\n…<|im_end|>\n`, of Qwen, SmolLM2, Hermes and many others; Phi 4 ends headers with
//! `<|im_sep|>`.
//!
//! A default system message that a template adds (Qwen 2.5's, SmolLM2's) stands as a system message: the policy read
//! it, and text does not tell it from one that was asked for.

use super::headers::headers;
use super::{EMPTY_THOUGHT, Template, Turn, as_said};

pub(super) const TEMPLATE: Template = Template {
    marks: |text| {
        headers(text, "<|im_start|>", |after| after.strip_prefix('\n').or_else(|| after.strip_prefix("<|im_sep|>")))
    },
    closing: &["<|im_end|>"],
    messages: as_said,
    answer,
};

/// Qwen 3's template writes an empty thought before an answer that has none: in the generation header without thinking,
/// and in the last turn of whole conversations. So message lists with and without it are one rendering, and the answer
/// is without it here, on whichever side of the prompt's end it stands. A thought that says something is part of the
/// answer.
fn answer<'a>(answer: &'a str, _: bool, _: &[Turn]) -> &'a str {
    answer.strip_prefix(EMPTY_THOUGHT).unwrap_or(answer)
}
