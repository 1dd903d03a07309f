//! Gemma 1 to 3: `<start_of_turn>user\n…<end_of_turn>\n<start_of_turn>model\n…`.
//!
//! The template has no system turn: it writes a system message and a blank line before the first user message, where
//! text does not tell them apart, so both are the user's.

use super::headers::headers;
use super::{Template, as_said};

pub(super) const TEMPLATE: Template = Template {
    marks: |text| headers(text, "<start_of_turn>", |after| after.strip_prefix('\n')),
    closing: &["<end_of_turn>"],
    messages: as_said,
    answer: |answer, _, _| answer,
};
