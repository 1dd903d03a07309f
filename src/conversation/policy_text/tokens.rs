//! The special tokens that stand before and after what is said, whichever template wrote it.
//!
//! One list for all templates: fine-tunes mix them (ChatML on Llama's vocabulary, `</s>` as padding).

/// What begins a text; tokenizers and templates both write one, so two in a row are common. Llama 2 begins every turn
/// with one.
const BEGINNING: [&str; 5] = ["<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<|bos|>"];

/// What fills a batch up. `<|endoftext|>` is Qwen's padding and GPT-2's end.
const PADDING: [&str; 10] = [
    "<|endoftext|>",
    "<pad>",
    "<|pad|>",
    "[PAD]",
    "<unk>",
    "<|finetune_right_pad_id|>",
    "<|end_of_text|>",
    "<|PAD_TOKEN|>",
    "<|vision_pad|>",
    "<eos>",
];

/// What closes a turn; also padding, where a trainer pads with the end token.
const CLOSING: [&str; 5] = ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "</s>"];

fn cut_start<'a>(text: &'a str, tokens: &[&str]) -> Option<&'a str> {
    tokens.iter().find_map(|token| text.strip_prefix(token))
}

fn cut_end<'a>(text: &'a str, tokens: &[&str]) -> Option<&'a str> {
    tokens.iter().find_map(|token| text.strip_suffix(token))
}

/// The text after the special tokens at its beginning and the white space between them, and how many of them were BOS.
pub(super) fn without_leading(text: &str) -> (usize, &str) {
    let (mut bos, mut rest) = (0, text);
    loop {
        let next = rest.trim_start();
        if let Some(after) = cut_start(next, &BEGINNING) {
            bos += 1;
            rest = after;
        } else if let Some(after) = cut_start(next, &PADDING).or_else(|| cut_start(next, &CLOSING)) {
            rest = after;
        } else {
            return (bos, rest);
        }
    }
}

/// An answer before the special tokens at its end and the white space around those, and whether one of `closing` was
/// among them. White space stays where no token follows it.
///
/// A literal token with which an answer ends (`</s>` in HTML) is taken off too: text does not tell it from the token.
pub(super) fn without_trailing<'a>(answer: &'a str, closing: &[&str]) -> (&'a str, bool) {
    let (mut rest, mut closed) = (answer, false);
    loop {
        let end = rest.trim_end();
        if let Some(before) = cut_end(end, closing) {
            closed = true;
            rest = before;
        } else if let Some(before) = [&PADDING[..], &CLOSING, &BEGINNING].iter().find_map(|tokens| cut_end(end, tokens))
        {
            rest = before;
        } else {
            return (rest, closed);
        }
    }
}

/// A turn of the prompt before its one closing token and what stands after that, if it is closed.
pub(super) fn before_closing<'a>(turn: &'a str, closing: &[&str]) -> Option<&'a str> {
    let mut rest = turn.trim_end();
    loop {
        if let Some(before) = cut_end(rest, closing) {
            return Some(before);
        }
        // The BOS of the next turn (Llama 2), or padding.
        rest = cut_end(rest, &BEGINNING).or_else(|| cut_end(rest, &PADDING))?.trim_end();
    }
}

/// Whether nothing but special tokens and white space stands here.
pub(super) fn says_nothing(text: &str) -> bool {
    without_leading(text).1.trim().is_empty()
}
