//! A feature run over a million texts: how fast, and how much memory.
//!
//! ```text
//! ENSEMBLE_DATA=/path/to/preference/data cargo run --release --example million_texts -- 1000000
//! ```
//!
//! Real responses (`chosen` and `rejected` of the `*.jsonl.gz` files in `ENSEMBLE_DATA`) are cut into distinct snippets
//! of seven words; two snippets of one response, behind the first seven words of its prompt, are a pair. The pairs are
//! written to a temporary folder and run as `ensemble features` runs a config: the built-in backbone, 32 tokens at most,
//! one worker per core. The listener of the run prints the resident memory of the process, now and at its highest, as
//! the texts are loaded and embedded: what the run adds after its start must not grow with the texts. `CANDLE_NUM_THREADS`
//! is best set to 1, as the command sets it for itself.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use ensemble::config;
use ensemble::ensemble::default_threads;
use ensemble::error::{Error, Fault, Result};
use ensemble::files::{self, Digest};
use ensemble::progress::Progress;
use ensemble::train_all::embed_all;
use serde_json::{Value, json};

/// Words of a snippet, and of what is kept of a prompt.
const WORDS: usize = 7;

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let count = std::env::args().nth(1).and_then(|count| count.parse::<usize>().ok());
    let (Some(count), Some(data)) = (count, std::env::var_os("ENSEMBLE_DATA")) else {
        let accepts = "a number of texts, and ENSEMBLE_DATA, a folder of preference pairs";
        return Err(Error::Usage(vec![Fault::new("arguments", "something is missing").accepts(accepts)]));
    };
    let folder = tempfile::tempdir().map_err(|error| Error::Io(vec![Fault::new("a temporary folder", error)]))?;
    let pairs = write_pairs(Path::new(&data), folder.path(), count / 2)?;
    if pairs < count / 2 {
        return Err(Error::Usage(vec![Fault::new("ENSEMBLE_DATA", format!("gives {} texts only", 2 * pairs))]));
    }
    let config = config::load(&folder.path().join("run.yaml"), &[])?;
    say("before the run");
    let (_, counts) = embed_all(&config, default_threads(), &Listener::default())?;
    say("after the run");
    // A second run finds everything: it reads the store, and embeds nothing.
    let start = Instant::now();
    let (_, again) = embed_all(&config, default_threads(), &Listener::default())?;
    say(&format!("a second run, {} of {} cached, {:.1} s", again.cached, counts.texts, start.elapsed().as_secs_f64()));
    Ok(())
}

/// Writes the config of a run and up to `most` pairs; how many there were.
fn write_pairs(data: &Path, folder: &Path, most: usize) -> Result<usize> {
    let unwritable = |error| Error::Io(vec![Fault::new(folder.display(), error)]);
    let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join("pairs.jsonl")).map_err(unwritable)?);
    let (mut seen, mut written) = (BTreeSet::new(), 0);
    let sources = files::list(data)?;
    for path in sources.iter().filter(|path| path.to_string_lossy().ends_with(".jsonl.gz")) {
        let lines = BufReader::new(flate2::read::GzDecoder::new(files::open(path, "preference data")?)).lines();
        for row in lines.map_while(|line| serde_json::from_str::<Value>(&line.ok()?).ok()) {
            let Some(prompt) = row["prompt"].as_str() else { continue };
            let prompt = prompt.split_whitespace().take(WORDS).collect::<Vec<_>>().join(" ");
            for side in ["chosen", "rejected"] {
                let words: Vec<&str> = row[side].as_str().unwrap_or_default().split_whitespace().collect();
                let snippets = words.chunks_exact(WORDS).map(|words| words.join(" "));
                let mut new = snippets.filter(|snippet| seen.insert(Digest::of(snippet.as_bytes())));
                while let (Some(chosen), Some(rejected), true) = (new.next(), new.next(), written < most) {
                    let pair = json!({ "prompt": prompt, "chosen": chosen, "rejected": rejected });
                    writeln!(file, "{pair}").map_err(unwritable)?;
                    written += 1;
                }
            }
        }
    }
    file.flush().map_err(unwritable)?;
    let backbone = concat!(env!("CARGO_MANIFEST_DIR"), "/backbones/mini");
    let run = json!({
        "name": "million_texts",
        "backbone": { "path": backbone, "max_tokens": 32, "pooling": "mean_response", "layers": [-1] },
        "objectives": [{ "file": "objective.yaml" }],
        "output": { "cache": "features" },
    });
    let objective = json!({ "name": "snippets", "question": "Which snippet stands first?", "labels": "rule",
        "data": [{ "path": "pairs.jsonl", "format": "pairs" }] });
    // JSON is YAML.
    files::write_atomic(&folder.join("objective.yaml"), objective.to_string().as_bytes())?;
    files::write_atomic(&folder.join("run.yaml"), run.to_string().as_bytes())?;
    Ok(written)
}

/// Prints memory and speed at the start of each stage, at every tenth of it and at its end.
#[derive(Default)]
struct Listener(Mutex<Option<Stage>>);

struct Stage {
    name: String,
    total: u64,
    done: u64,
    start: Instant,
}

impl Progress for Listener {
    fn start(&self, stage: &str, total: u64) {
        say(&format!("{stage}: start"));
        let stage = Stage { name: stage.to_owned(), total, done: 0, start: Instant::now() };
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(stage);
    }

    fn advance(&self, rows: u64) {
        let mut stage = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(stage) = stage.as_mut().filter(|stage| stage.total >= 10) else { return };
        let tenth = |done: u64| done * 10 / stage.total;
        let (before, now) = (tenth(stage.done), tenth(stage.done + rows));
        stage.done += rows;
        if before < now {
            let rate = stage.done as f64 / stage.start.elapsed().as_secs_f64();
            say(&format!("{}: {}%, {rate:.0} texts/s", stage.name, 10 * now));
        }
    }

    fn finish(&self, note: &str) {
        say(note);
    }
}

/// A line with the resident memory of this process, now and at its highest, as Linux tells it.
fn say(line: &str) {
    let status = files::read_text("/proc/self/status".as_ref(), "the process's state").unwrap_or_default();
    let megabytes = |name: &str| -> f64 {
        let value =
            status.lines().find_map(|line| line.strip_prefix(name)).and_then(|rest| rest.split_whitespace().next());
        value.and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
    };
    let (now, most) = (megabytes("VmRSS:"), megabytes("VmHWM:"));
    let _ = writeln!(std::io::stdout(), "{line:<50} {now:7.0} MB, highest {most:7.0} MB");
}
