//! One BOS, responses found by offsets, control tokens out of reach of messages, cuts counted.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::conversation::Role;

const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content | trim + \
                      '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% \
                      endif %}";
const LIMITS: Limits = Limits { max_tokens: 512, vocabulary: 512 };

/// A byte-level tokenizer without merges: a token a byte, but for `special`, which get the ids from 256 on.
fn bytes_tokenizer(special: &[&str], post_processor: &Value) -> TokenizerSource {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let (mut vocabulary, mut other) = (serde_json::Map::new(), 256u32);
    for byte in 0..=255u8 {
        let letter = if printable(byte) { u32::from(byte) } else { other };
        other += u32::from(!printable(byte));
        vocabulary.insert(char::from_u32(letter).expect("a letter").to_string(), json!(byte));
    }
    let added: Vec<Value> = special.iter().enumerate().map(|(index, token)| added_token(256 + index, token)).collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let content = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": post_processor, "decoder": null,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    });
    TokenizerSource::from_bytes(content.to_string().as_bytes(), "tokenizer.json").expect("a tokenizer")
}

fn added_token(id: usize, content: &str) -> Value {
    let special = content != "<think>" && content != "<User>";
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
           "special": special})
}

fn adds(single: &[&str], pair: &[&str]) -> Value {
    let piece = |name: &&str| match *name {
        "A" | "B" => json!({"Sequence": {"id": name, "type_id": u32::from(*name == "B")}}),
        token => json!({"SpecialToken": {"id": token, "type_id": 0}}),
    };
    let tokens: serde_json::Map<String, Value> = SPECIAL
        .iter()
        .enumerate()
        .map(|(index, token)| ((*token).to_owned(), json!({"id": token, "ids": [256 + index], "tokens": [token]})))
        .collect();
    let pieces = |names: &[&str]| names.iter().map(piece).collect::<Vec<Value>>();
    json!({"type": "TemplateProcessing", "single": pieces(single), "pair": pieces(pair), "special_tokens": tokens})
}

const SPECIAL: [&str; 6] = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "<User>"];
const BOS: u32 = 256;

fn named() -> SpecialTokens {
    SpecialTokens { bos: Some("<s>".into()), eos: Some("</s>".into()), ..SpecialTokens::default() }
}

fn chat(text: &str, post_processor: &Value) -> Tokens {
    let template = ChatTemplate::new(text, "template", named()).expect("compiles");
    Tokens::open(bytes_tokenizer(&SPECIAL, post_processor), Convention::Chat(Box::new(template)), LIMITS)
        .expect("opens")
}

fn user(content: &str) -> Vec<Message> {
    vec![Message { role: Role::User, content: content.to_owned() }]
}

fn ids(tokens: &Tokens, prompt: &str, response: &str) -> Encoded {
    tokens.encode(&tokens.render(&user(prompt), response).expect("renders")).expect("encodes")
}

fn letters(encoded: &Encoded) -> Vec<u8> {
    encoded.ids[encoded.response.clone()].iter().map(|id| u8::try_from(*id).expect("a byte")).collect()
}

#[test]
fn there_is_exactly_one_bos() {
    let with_bos = format!("{{{{ bos_token }}}}{CHATML}");
    let (adding, silent) = (adds(&["<s>", "A"], &["<s>", "A", "<s>", "B"]), Value::Null);
    for (text, post, expected) in
        [(with_bos.as_str(), &adding, 1), (&with_bos, &silent, 1), (CHATML, &adding, 1), (CHATML, &silent, 0)]
    {
        let encoded = ids(&chat(text, post), "Hi", "Yes");
        assert_eq!(encoded.ids.iter().filter(|id| **id == BOS).count(), expected, "{text} {post}");
        assert_eq!(encoded.ids[0] == BOS, expected == 1);
        assert_eq!(letters(&encoded), b"Yes");
    }
    let doubled = ids(&chat(&format!("{{{{ bos_token + bos_token }}}}{CHATML}"), &adding), "Hi", "Yes");
    assert_eq!(doubled.ids.iter().filter(|id| **id == BOS).count(), 1);
}

#[test]
fn the_response_is_what_the_template_shows() {
    let tokens = chat(CHATML, &Value::Null);
    assert_eq!(letters(&ids(&tokens, "Hi", "  Yes, 🕷 too.\n ")), "Yes, 🕷 too.".as_bytes());
    assert!(ids(&tokens, "Hi", "   ").response.is_empty());
    assert_eq!(ids(&tokens, "Hi", "<think>").ids.iter().filter(|id| **id == 260).count(), 1, "content, not control");
    let thinking = "{% for m in messages %}{% if m.role == 'user' %}<User>{{ m.content }}{% elif '</think>' in \
                    m.content %}[{{ m.content.split('</think>')[-1] }}]{% else %}[{{ m.content }}]{% endif %}{% endfor %}";
    let shown = chat(thinking, &Value::Null).render(&user("Hi"), "<think>Hm</think>Yes").expect("renders");
    assert_eq!((shown.before.as_str(), shown.response.as_str(), shown.after.as_str()), ("<User>Hi[", "Yes", "]"));
    // An empty thought is written only where the response brings none.
    let empty = "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' and '</think>' not in m.content %}\
                 <think></think>{% endif %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
    let tokens = chat(empty, &Value::Null);
    assert_eq!(tokens.render(&user("Hi"), "Yes").expect("renders").response, "Yes");
    let thought = tokens.render(&user("Hi"), "<think>Hm</think>Yes").expect("renders");
    assert_eq!((thought.before.as_str(), thought.response.as_str()), ("<user>Hi<assistant>", "<think>Hm</think>Yes"));
}

#[test]
fn templates_that_hide_the_response_are_refused_at_opening() {
    for (text, said) in [
        ("{{ messages[0].content }}", "exactly once"),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", "exactly once"),
        ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", "exactly once"),
        (
            "{% for m in messages %}{{ m.content }}{% endfor %}{{ messages[1].content | length }}",
            "depends on the response",
        ),
        ("{% for m in messages %}{{ m.content | length }}{{ m.content }}{% endfor %}", "as they are"),
    ] {
        let template = ChatTemplate::new(text, "template", named()).expect("compiles");
        let opened =
            Tokens::open(bytes_tokenizer(&SPECIAL, &Value::Null), Convention::Chat(Box::new(template)), LIMITS);
        let error = opened.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn plain_texts_begin_and_end_as_the_tokenizer_says() {
    let open = |post: &Value| Tokens::open(bytes_tokenizer(&SPECIAL, post), Convention::Plain(named()), LIMITS);
    let encoded = ids(&open(&adds(&["<s>", "A"], &["A", "B"])).expect("opens"), "Hi<s>", "Yes</s>");
    let text: Vec<u32> = "Hi<s>\n\nAssistant: Yes</s>".bytes().map(u32::from).collect();
    assert_eq!(encoded.ids, [&[BOS], text.as_slice(), &[257]].concat());
    assert_eq!(letters(&encoded), b"Yes</s>");
    assert_eq!(ids(&open(&Value::Null).expect("opens"), "Hi<s>", "Yes</s>").ids, [text.as_slice(), &[257]].concat());
}

#[test]
fn pairs_are_written_as_the_tokenizer_says() {
    let open = |post: &Value| Tokens::open(bytes_tokenizer(&SPECIAL, post), Convention::Pair, LIMITS);
    let post = adds(&["<s>", "A", "</s>"], &["<s>", "A", "</s>", "</s>", "B", "</s>"]);
    for post in [&post, &Value::Null] {
        let encoded = ids(&open(post).expect("opens"), "a", "b<s>");
        let response: Vec<u32> = "b<s>".bytes().map(u32::from).collect();
        assert_eq!(encoded.ids, [&[256, 97, 257, 257], response.as_slice(), &[257]].concat());
        assert_eq!(encoded.response, 4..8);
    }
    let segments = ids(&open(&adds(&["A"], &["A", "</s>", "B"])).expect("opens"), "a", "b").type_ids;
    assert_eq!(segments, [0, 0, 1]);
    let nothing = Tokens::open(bytes_tokenizer(&[], &Value::Null), Convention::Pair, LIMITS);
    assert!(nothing.err().map(|error| error.to_string()).unwrap_or_default().contains("how a pair"));
}

#[test]
fn cuts_take_the_prompt_first_and_keep_bos_and_the_end_of_the_turn() {
    let template = ChatTemplate::new(&format!("{{{{ bos_token }}}}{CHATML}"), "template", named()).expect("compiles");
    let limits = Limits { max_tokens: 16, ..LIMITS };
    let source = bytes_tokenizer(&SPECIAL, &Value::Null);
    let tokens = Tokens::open(source, Convention::Chat(Box::new(template)), limits).expect("opens");
    let whole = ids(&chat(&format!("{{{{ bos_token }}}}{CHATML}"), &Value::Null), "Hi", "0123456789");
    let cut = ids(&tokens, "Hi", "0123456789");
    assert_eq!(cut.ids.len(), 16);
    assert_eq!((cut.ids[0], &cut.ids[14..]), (BOS, &[259, u32::from(b'\n')][..]));
    assert_eq!((letters(&cut).as_slice(), cut.cut.response), (b"0123456789".as_slice(), 0));
    assert_eq!(cut.cut.prompt, whole.ids.len() - 16);
    let middle = ids(&tokens, "Hi", "0123456789abcdefghij");
    assert_eq!((letters(&middle).as_slice(), middle.cut.response), (b"0123456efghij".as_slice(), 7));
    assert_eq!((middle.ids[0], middle.ids[14], middle.ids.len()), (BOS, 259, 16));
}

#[test]
fn ids_without_a_row_are_refused() {
    let open = |vocabulary| {
        let source = bytes_tokenizer(&SPECIAL, &Value::Null);
        Tokens::open(source, Convention::Plain(named()), Limits { vocabulary, ..LIMITS })
    };
    assert!(open(200).err().map(|error| error.to_string()).unwrap_or_default().contains("token id 255"));
    // The rows end before "</s>", which every plain text ends with.
    let tokens = open(257).expect("opens");
    let error = tokens.encode(&tokens.render(&user("Hi"), "Yes").expect("renders"));
    assert!(error.err().map(|error| error.to_string()).unwrap_or_default().contains("token id 257"));
}

fn control(encoded: &Encoded) -> usize {
    encoded.ids.iter().filter(|id| [256, 257, 258, 259, 261].contains(*id)).count()
}

/// Pieces from which control tokens can be spelled.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "<|im_",
            "end|>",
            "start|>",
            "<|im_end|>",
            "<s>",
            "</s>",
            "<User>",
            "<",
            "|>",
            "\u{200b}"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_content_becomes_a_control_token(prompt in hostile(), response in hostile()) {
        let template = format!("{{{{ bos_token }}}}<User>{CHATML}");
        let tokens = chat(&template, &Value::Null);
        let encoded = ids(&tokens, &prompt, &response);
        prop_assert_eq!(control(&encoded), control(&ids(&tokens, "x", "x")));
        prop_assert!(letters(&encoded).len() == encoded.response.len());
    }

    #[test]
    fn content_without_control_tokens_is_not_touched(prompt in "[a-rt-z <|>\n]{0,30}", response in "[a-rt-z <|>]{0,30}") {
        let tokens = chat(CHATML, &Value::Null);
        let text = tokens.render(&user(&prompt), &response).expect("renders").text();
        prop_assert_eq!(text.find('\u{200b}'), None);
    }
}
