//! Bodies that were damaged in many ways: every parser answers or refuses, and none panics.
//!
//! `ENSEMBLE_FUZZ=1000000 cargo test --release --lib fuzz` runs a million executions of each parser.

#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use axum::http::{HeaderMap, HeaderValue};

use super::fake::NAMES;
use crate::ensemble::{ObjectiveScore, Score};
use crate::random::Random;
use crate::serve::dialects::{ROUTES, Route, triton};
use crate::serve::request::{Answers, Incoming, Reading, Reply, Scored};

const EXECUTIONS: usize = 20_000;

/// Pieces that parsers stumble over.
const PIECES: [&str; 40] = [
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "1e308",
    "18446744073709551616",
    "\"\"",
    "\"a\"",
    "[]",
    "[[]]",
    "{}",
    "[null]",
    "[1]",
    "[\"a\",1]",
    "\\u0000",
    "\\ud800",
    "\\udc00\\ud800",
    "\u{feff}",
    "\u{202e}",
    "𝕏",
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "\\n\\nHuman:",
    "\\n\\nAssistant:",
    "<start_of_turn>",
    "</s>",
    "<bos>",
    "\"items\":",
    "\"text\":",
    "\"prompt\":",
    "\"messages\":",
    "\"parameters\":{\"binary_data_size\":4294967295}",
    "\"shape\":[18446744073709551615,2]",
    "\"datatype\":\"INT64\"",
    "\"encoding_format\":\"base64\"",
];

/// One damaged body.
fn damage(random: &mut Random, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut body = seed.to_vec();
    for _ in 0..=random.bits() % 4 {
        let place = (random.bits() as usize) % (body.len() + 1);
        let end = (place + (random.bits() as usize) % 12).min(body.len());
        match random.bits() % 8 {
            0 => body.truncate(place),
            1 if place < body.len() => body[place] ^= 1 << (random.bits() % 8),
            2 => drop(body.drain(place..end)),
            3 => drop(body.splice(place..place, seed[..end.min(seed.len())].to_vec())),
            4 => {
                let from = (random.bits() as usize) % (other.len() + 1);
                drop(body.splice(place..end, other[from..].to_vec()));
            }
            5 => body.insert(place, (random.bits() % 256) as u8),
            _ => {
                let piece = PIECES[(random.bits() as usize) % PIECES.len()];
                drop(body.splice(place..end, piece.bytes()));
            }
        }
        body.truncate(4096);
    }
    body
}

/// A body of binary tensors and the length of its JSON.
fn tensors() -> (Vec<u8>, usize) {
    let head = r#"{"inputs":[{"name":"sentences","shape":[2,1],"datatype":"BYTES","parameters":{"binary_data_size":13}}],"outputs":[{"name":"rewards","parameters":{"binary_data":true}}]}"#;
    let mut body = head.as_bytes().to_vec();
    for text in ["one", "ab"] {
        body.extend((text.len() as u32).to_le_bytes());
        body.extend(text.as_bytes());
    }
    (body, head.len())
}

/// Some score of an item.
fn scored(index: usize) -> Scored {
    let raw = index as f64 - 1.5;
    let objective = ObjectiveScore { raw, raw_error: None, normalized: raw, error: None, in_domain: false };
    let score = Score { objectives: vec![objective; NAMES.len()], combined: raw, novelty: None, tokens: 1, cut: 0 };
    Scored { score, reading: Reading::of("plain"), domain: None }
}

/// Parses one body, reads its policy's texts, and writes the reply. Whether it was taken.
fn execute(route: &Route, body: &[u8], headers: &HeaderMap, names: &[String]) -> bool {
    let incoming = Incoming { body, headers, query: "extra_logs=true", names, max_items: 64 };
    match (route.parse)(&incoming) {
        Err(failure) => {
            assert!(failure.status.is_client_error() && !failure.message.is_empty(), "{failure:?}");
            let text = failure.to_json(route.style, "id").to_string();
            assert!(text.len() < 40_000, "{}", text.len());
            false
        }
        Ok(call) => {
            for asked in &call.ask.items {
                drop(crate::serve::reading::read(asked, true));
            }
            let scored: Vec<Scored> = (0..call.ask.items.len()).map(scored).collect();
            let answers =
                Answers { id: "id", created: 0, digest: "d", model: "m", names, scored: &scored, group: None };
            if let Reply::Json(value) = (call.reply)(&answers) {
                assert!(!value.is_null());
            }
            true
        }
    }
}

#[test]
fn no_damaged_body_makes_a_parser_panic() {
    let executions = std::env::var("ENSEMBLE_FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(EXECUTIONS);
    let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let (framed, json_length) = tensors();
    let mut binary = HeaderMap::new();
    binary.insert(triton::JSON_LENGTH, HeaderValue::from(json_length));
    let seeds: Vec<&[u8]> = ROUTES.iter().map(|route| route.example.as_bytes()).chain([framed.as_slice()]).collect();
    let fuzz = |index: usize| {
        let mut random = Random::new(11 + index as u64);
        let route = &ROUTES[index.min(ROUTES.len() - 1)];
        let headers = if index < ROUTES.len() { HeaderMap::new() } else { binary.clone() };
        assert!(execute(route, seeds[index], &headers, &names), "{} does not take its example", route.name);
        let mut taken = 0;
        for _ in 0..executions {
            let other = seeds[(random.bits() as usize) % seeds.len()];
            taken += usize::from(execute(route, &damage(&mut random, seeds[index], other), &headers, &names));
        }
        println!("{}: {executions} executions, {taken} taken", route.name);
        // Bodies that are all refused at the first byte would test nothing.
        assert!(taken > executions / 1000, "{}: {taken}", route.name);
    };
    std::thread::scope(|scope| {
        for first in 0..2 {
            let (fuzz, count) = (&fuzz, seeds.len());
            scope.spawn(move || (first..count).step_by(2).for_each(fuzz));
        }
    });
}
