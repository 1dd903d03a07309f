//! The tokenizer that a GGUF file holds in its metadata, for models that come without a tokenizer.json.
//!
//! Two kinds are read: byte-level BPE with its merges (`gpt2`), and SentencePiece's BPE with scores (`llama`), whose
//! merges follow from the scores.

use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::{NFC, NormalizerWrapper, Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, DecoderWrapper, SplitDelimiterBehavior, Tokenizer};

use super::checkpoint::{Family, Gguf};
use crate::error::{Error, Fault, Result, quote};

/// What to do about a tokenizer that cannot be made of the file.
const HELP: &str = "put the model's tokenizer.json beside the GGUF file, which is then read instead";
/// SentencePiece's sign for a space.
const SPACE: &str = "\u{2581}";

/// `tokenizer.ggml.token_type` of tokens that are looked for in the text before anything else.
const UNKNOWN: f64 = 2.0;
const CONTROL: f64 = 3.0;
const USER_DEFINED: f64 = 4.0;

/// How Llama 3 splits text before merging; from its published tokenizer, like the next two.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How Qwen2 splits: every digit alone.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How Mistral's Tekken splits: by case, every digit alone.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Where a word that is a token stands for itself, whatever the merges give.
const WHOLE_WORDS: [&str; 4] = ["llama-bpe", "llama3", "llama-v3", "tekken"];

/// Makes the tokenizer of `gguf`: it adds no token of its own, cuts and pads nothing.
///
/// # Errors
/// [`Error::Model`] when the file has none, or one of a kind that is not read, or its parts contradict each other.
pub(super) fn read(gguf: &Gguf) -> Result<Tokenizer> {
    let parts = Parts::of(gguf)?;
    match gguf.text("tokenizer.ggml.model") {
        Some("gpt2") => byte_level(gguf, &parts),
        Some("llama") => sentence_piece(gguf, &parts),
        _ => {
            let fault = gguf.fault("tokenizer.ggml.model", gguf.shown("tokenizer.ggml.model"));
            Err(Error::Model(vec![fault.accepts("gpt2, llama").help(HELP)]))
        }
    }
}

/// What a GGUF file says of its texts beside the tokenizer.
pub(super) struct Frame {
    /// The token that begins a text, if there is one.
    pub(super) bos: Option<String>,
    /// The token that ends a text, if there is one.
    pub(super) eos: Option<String>,
    /// Whether a text begins with `bos`.
    pub(super) adds_bos: bool,
    /// The chat template, in Jinja.
    pub(super) chat_template: Option<String>,
}

/// Reads what stands around texts, also of a file whose tokenizer is not read.
///
/// # Errors
/// [`Error::Model`] when a token that it names is not in its vocabulary.
pub(super) fn frame(gguf: &Gguf) -> Result<Frame> {
    let parts = Parts::of(gguf)?;
    // Where the file does not say so, these begin texts with BOS.
    let sentence_piece = gguf.text("tokenizer.ggml.model") == Some("llama");
    let begins = sentence_piece || gguf.text("tokenizer.ggml.pre").is_some_and(|pre| WHOLE_WORDS.contains(&pre));
    Ok(Frame {
        bos: parts.named(gguf, "tokenizer.ggml.bos_token_id")?,
        eos: parts.named(gguf, "tokenizer.ggml.eos_token_id")?,
        adds_bos: gguf.flag("tokenizer.ggml.add_bos_token").unwrap_or(begins),
        chat_template: gguf.text("tokenizer.chat_template").map(str::to_owned),
    })
}

/// The vocabulary as the file has it.
struct Parts {
    tokens: Vec<String>,
    /// `token_type` of each token; empty when the file does not say.
    kinds: Vec<f64>,
    scores: Vec<f64>,
}

impl Parts {
    fn of(gguf: &Gguf) -> Result<Self> {
        let Some(tokens) = gguf.texts("tokenizer.ggml.tokens").filter(|tokens| !tokens.is_empty()) else {
            let fault = gguf.fault("tokenizer.ggml.tokens", gguf.shown("tokenizer.ggml.tokens"));
            return Err(Error::Model(vec![fault.accepts("a list of texts").help(HELP)]));
        };
        let list = |key: &str| {
            let values = gguf.numbers(key).unwrap_or_default();
            if values.len() == tokens.len() || !gguf.has(key) {
                return Ok(values);
            }
            let fault = gguf.fault(key, gguf.shown(key)).accepts(format!("{} numbers, one a token", tokens.len()));
            Err(Error::Model(vec![fault.help(HELP)]))
        };
        let (kinds, scores) = (list("tokenizer.ggml.token_type")?, list("tokenizer.ggml.scores")?);
        // llama.cpp's converter writes the tokens that are runs of spaces as such.
        let respelled = |token: &str| {
            let spaces = token.len() > 1 && token.bytes().all(|byte| byte == b' ');
            if spaces { SPACE.repeat(token.len()) } else { token.to_owned() }
        };
        let piece = gguf.text("tokenizer.ggml.model") == Some("llama");
        let spelled = |token: &&str| if piece { respelled(token) } else { (*token).to_owned() };
        Ok(Self { tokens: tokens.iter().map(spelled).collect(), kinds, scores })
    }

    fn vocabulary(&self) -> Vocab {
        self.tokens.iter().cloned().zip(0..).collect()
    }

    /// The token whose id stands under `key`.
    fn named(&self, gguf: &Gguf, key: &str) -> Result<Option<String>> {
        if !gguf.has(key) {
            return Ok(None);
        }
        let token = gguf.whole(key).and_then(|id| self.tokens.get(usize::try_from(id).ok()?));
        token.cloned().map(Some).ok_or_else(|| {
            let fault = gguf.fault(key, gguf.shown(key)).accepts(format!("a token id below {}", self.tokens.len()));
            Error::Model(vec![fault.help(HELP)])
        })
    }

    /// Adds the tokens that are found whole in a text, whatever their surroundings.
    fn add(&self, gguf: &Gguf, tokenizer: &mut Tokenizer) -> Result<()> {
        let of = |wanted: &'static [f64], special: bool| {
            let typed = self.tokens.iter().zip(&self.kinds).filter(move |(_, kind)| wanted.contains(kind));
            typed.map(move |(token, _)| AddedToken::from(token.clone(), special).normalized(false))
        };
        tokenizer
            .add_special_tokens(of(&[CONTROL, UNKNOWN], true))
            .and_then(|_| tokenizer.add_tokens(of(&[USER_DEFINED], false)))
            .map(|_| ())
            .map_err(|error| refused(gguf, &error))
    }
}

/// Byte-level BPE.
fn byte_level(gguf: &Gguf, parts: &Parts) -> Result<Tokenizer> {
    let split = |pattern: &str| {
        Split::new(SplitPattern::Regex(pattern.to_owned()), SplitDelimiterBehavior::Isolated, false)
            .map_err(|error| refused(gguf, &error))
    };
    let bytes = ByteLevel::new(false, true, false);
    let first: Vec<PreTokenizerWrapper> = match gguf.text("tokenizer.ggml.pre") {
        Some("gpt-2" | "default") => vec![ByteLevel::new(false, true, true).into()],
        Some("smollm") => vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()],
        Some("llama-bpe" | "llama3" | "llama-v3") => vec![split(LLAMA3)?.into(), bytes.into()],
        Some("qwen2" | "deepseek-r1-qwen") => vec![split(QWEN2)?.into(), bytes.into()],
        Some("tekken") => vec![split(TEKKEN)?.into(), bytes.into()],
        _ => {
            let fault = gguf.fault("tokenizer.ggml.pre", gguf.shown("tokenizer.ggml.pre"));
            let accepted = "gpt-2, default, smollm, llama-bpe, llama3, llama-v3, qwen2, deepseek-r1-qwen, tekken";
            return Err(Error::Model(vec![fault.accepts(accepted).help(HELP)]));
        }
    };
    let whole_words = gguf.text("tokenizer.ggml.pre").is_some_and(|pre| WHOLE_WORDS.contains(&pre));
    let model = BPE::builder()
        .vocab_and_merges(parts.vocabulary(), listed_merges(gguf, &parts.vocabulary())?)
        .ignore_merges(whole_words)
        .build()
        .map_err(|error| refused(gguf, &error))?;
    let mut tokenizer = Tokenizer::new(model);
    if gguf.text("tokenizer.ggml.pre").is_some_and(|pre| pre.contains("qwen")) {
        tokenizer.with_normalizer(Some(NFC)).map_err(|error| refused(gguf, &error))?;
    }
    tokenizer.with_pre_tokenizer(Some(Sequence::new(first))).with_decoder(Some(ByteLevel::default()));
    parts.add(gguf, &mut tokenizer)?;
    Ok(tokenizer)
}

/// The merges of the file, each checked against the vocabulary.
fn listed_merges(gguf: &Gguf, vocabulary: &Vocab) -> Result<Merges> {
    let key = "tokenizer.ggml.merges";
    let Some(listed) = gguf.texts(key) else {
        let fault = gguf.fault(key, gguf.shown(key)).accepts("a list of texts, two tokens each").help(HELP);
        return Err(Error::Model(vec![fault]));
    };
    let mut merges = Merges::with_capacity(listed.len());
    for (index, text) in listed.into_iter().enumerate() {
        let known = |(left, right): &(&str, &str)| {
            [*left, *right, &[*left, *right].concat()].iter().all(|token| vocabulary.contains_key(*token))
        };
        let Some((left, right)) = text.split_once(' ').filter(known) else {
            let fault = gguf.fault(key, format!("entry {index} is {}", quote(text)));
            let fault = fault.accepts("two tokens of the vocabulary whose joined text is one too");
            return Err(Error::Model(vec![fault.help(HELP)]));
        };
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok(merges)
}

/// SentencePiece's BPE, and that its texts begin with the first token where the file does not say.
fn sentence_piece(gguf: &Gguf, parts: &Parts) -> Result<Tokenizer> {
    let vocabulary = parts.vocabulary();
    // Gemma's scores do not follow the order of its merges; the order of its tokens does.
    let merges = if gguf.family == Family::Gemma3 {
        let positions: Vec<f64> = (0..parts.tokens.len()).map(|position| -(position as f64)).collect();
        implied_merges(&parts.tokens, &positions, &vocabulary)
    } else if gguf.has("tokenizer.ggml.merges") {
        listed_merges(gguf, &vocabulary)?
    } else if parts.scores.is_empty() {
        let fault = gguf.fault("tokenizer.ggml.scores", "missing").accepts("a number for each token");
        return Err(Error::Model(vec![fault.help(HELP)]));
    } else {
        implied_merges(&parts.tokens, &parts.scores, &vocabulary)
    };
    let mut model = BPE::builder().vocab_and_merges(vocabulary, merges).fuse_unk(true).byte_fallback(true);
    if let Some(unknown) = parts.named(gguf, "tokenizer.ggml.unknown_token_id")? {
        model = model.unk_token(unknown);
    }
    let mut tokenizer = Tokenizer::new(model.build().map_err(|error| refused(gguf, &error))?);
    let replace = |from: &str, to: &str| Replace::new(from, to).map_err(|error| refused(gguf, &error));
    let mut normalizers: Vec<NormalizerWrapper> = Vec::new();
    if gguf.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true) {
        normalizers.push(Prepend::new(SPACE.to_owned()).into());
    }
    normalizers.push(replace(" ", SPACE)?.into());
    tokenizer.with_normalizer(Some(Normalizers::new(normalizers))).map_err(|error| refused(gguf, &error))?;
    let decoders: [DecoderWrapper; 3] = [replace(SPACE, " ")?.into(), ByteFallback::new().into(), Fuse::new().into()];
    tokenizer.with_decoder(Some(tokenizers::decoders::sequence::Sequence::new(decoders.to_vec())));
    parts.add(gguf, &mut tokenizer)?;
    Ok(tokenizer)
}

/// Every way to join two tokens to a third, best score first: SentencePiece joins the pair whose whole has the best
/// score, which is what BPE does with merges in this order. Ties go to the longer left part, then to the longer whole,
/// as in transformers' converter.
fn implied_merges(tokens: &[String], scores: &[f64], vocabulary: &Vocab) -> Merges {
    let mut merges = Vec::new();
    for (token, &score) in tokens.iter().zip(scores) {
        let length = token.chars().count();
        for (characters, (cut, _)) in token.char_indices().enumerate().skip(1) {
            let (left, right) = token.split_at(cut);
            if vocabulary.contains_key(left) && vocabulary.contains_key(right) {
                merges.push((score, characters, length - characters, left, right));
            }
        }
    }
    merges.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| (right.1, right.2).cmp(&(left.1, left.2))));
    merges.into_iter().map(|(_, _, _, left, right)| (left.to_owned(), right.to_owned())).collect()
}

fn refused(gguf: &Gguf, error: &tokenizers::Error) -> Error {
    let fault = Fault::new(gguf.path.display(), format!("the tokenizer library refuses the file's tokenizer: {error}"));
    Error::Model(vec![fault.help(HELP)])
}
