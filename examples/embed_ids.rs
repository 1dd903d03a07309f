//! Our side of `benches/peers`: reads token ids, and embeds them all for every line on its standard input.
//!
//! Answers in JSON lines. The work is the forward pass through all layers and the mean over all tokens; tokenization is
//! not part of it, because every contender is given the same ids.

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ensemble::backbone::{Backbone, Cut, Encoded};
use ensemble::config::{BackboneConfig, ModelPlace, Pooling};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Options {
    backbone: PathBuf,
    ids: PathBuf,
    dtype: String,
    threads: usize,
    budget: usize,
    kernel: Option<String>,
}

const USAGE: &str =
    "embed_ids --backbone FOLDER --ids FILE [--dtype f32|bf16|int8] [--threads N] [--budget TOKENS] [--kernel NAME]";

fn options() -> Outcome<Options> {
    let mut options = Options {
        backbone: PathBuf::new(),
        ids: PathBuf::new(),
        dtype: "f32".to_owned(),
        threads: 2,
        budget: 512,
        kernel: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--backbone" => options.backbone = value.into(),
            "--ids" => options.ids = value.into(),
            "--dtype" => options.dtype = value,
            "--threads" => options.threads = value.parse()?,
            "--budget" => options.budget = value.parse()?,
            "--kernel" => options.kernel = Some(value),
            _ => return Err(format!("unknown option {name}\n{USAGE}").into()),
        }
    }
    Ok(options)
}

/// One text a line: `{"ids": [101, …]}`.
fn read_ids(path: &Path) -> Outcome<Vec<Encoded>> {
    let text = std::fs::read_to_string(path)?;
    let encoded = |line: &str| {
        let line: Value = serde_json::from_str(line)?;
        let ids: Vec<u32> = serde_json::from_value(line["ids"].clone())?;
        let (type_ids, response) = (vec![0; ids.len()], 0..ids.len());
        Ok(Encoded { ids, type_ids, response, cut: Cut::default() })
    };
    text.lines().map(encoded).collect()
}

/// Texts in groups of at most `budget` tokens, neighbours of the file together, long groups first.
fn groups(texts: &[Encoded], budget: usize) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut tokens = usize::MAX;
    for (index, text) in texts.iter().enumerate() {
        tokens = tokens.saturating_add(text.ids.len());
        if tokens > budget {
            groups.push(Vec::new());
            tokens = text.ids.len();
        }
        groups.last_mut().into_iter().for_each(|group| group.push(index));
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.iter().map(|index| texts[*index].ids.len()).sum::<usize>()));
    groups
}

/// Every text's vector, in the order of the file.
fn embed(backbone: &Backbone, texts: &[Encoded], options: &Options) -> Vec<Vec<f32>> {
    let groups = groups(texts, options.budget);
    let (next, vectors) = (AtomicUsize::new(0), Mutex::new(vec![Vec::new(); texts.len()]));
    let worker = || {
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            let members: Vec<&Encoded> = group.iter().map(|index| &texts[*index]).collect();
            let found = backbone.features(&members).expect("the forward pass runs");
            let mut vectors = vectors.lock().expect("no worker panics");
            group.iter().zip(found).for_each(|(index, mut readouts)| vectors[*index] = readouts.remove(0));
        }
    };
    std::thread::scope(|scope| (0..options.threads).for_each(|_| drop(scope.spawn(worker))));
    vectors.into_inner().expect("no worker panics")
}

fn main() -> Outcome<()> {
    let options = options()?;
    let config = BackboneConfig {
        place: ModelPlace::Disk(options.backbone.clone()),
        max_tokens: 512,
        pooling: Some(Pooling::MeanAll),
        layers: Some(vec![-1]),
        dtype: serde_json::from_value(Value::String(options.dtype.clone()))?,
        device: ensemble::config::Device::Cpu,
        score_head: false,
    };
    let backbone = match &options.kernel {
        Some(kernel) => Backbone::open_on_kernel(&config, kernel)?,
        None => Backbone::open(&config)?,
    };
    let texts = read_ids(&options.ids)?;
    let tokens: usize = texts.iter().map(|text| text.ids.len()).sum();
    let mut out = std::io::stdout().lock();
    let name = format!("ensemble {}", options.dtype);
    writeln!(
        out,
        "{}",
        json!({ "ready": true, "name": name, "kernel": backbone.kernel(), "threads": options.threads })
    )?;
    out.flush()?;
    let mut vectors = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if let Some(path) = line.strip_prefix("save ") {
            if vectors.is_empty() {
                vectors = embed(&backbone, &texts, &options);
            }
            let bytes: Vec<u8> = vectors.iter().flatten().flat_map(|value: &f32| value.to_le_bytes()).collect();
            std::fs::write(path, bytes)?;
            writeln!(out, "{}", json!({ "saved": path }))?;
        } else {
            let started = Instant::now();
            vectors = embed(&backbone, &texts, &options);
            let seconds = started.elapsed().as_secs_f64();
            writeln!(out, "{}", json!({ "seconds": seconds, "tokens": tokens, "texts": texts.len() }))?;
        }
        out.flush()?;
    }
    Ok(())
}
