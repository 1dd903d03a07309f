//! What every load needs to know: the program under test, its registry, the texts, a seed.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use ensemble::error::Result;

use crate::texts::{Text, read};

/// Options of all loads.
#[derive(Args, Clone, Debug)]
pub(crate) struct Setup {
    /// The program under test
    #[arg(long, global = true, default_value = "target/release/ensemble")]
    pub(crate) binary: PathBuf,
    /// The registry to serve
    #[arg(long, global = true, default_value = "registry/quickstart")]
    pub(crate) registry: PathBuf,
    /// JSON lines of answers (prompt and response, or messages) or pairs (prompt, chosen, rejected)
    #[arg(long, global = true, default_value = "data/quickstart/rated.jsonl")]
    pub(crate) texts: PathBuf,
    /// Threads of the program under test; its own choice if left out
    #[arg(long, global = true)]
    pub(crate) threads: Option<usize>,
    /// The same seed asks the same questions
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Take the expected scores from this file, which `ensemble score` wrote for the texts in their order, instead of
    /// asking the program itself (a wrong file shows that the checks can fail)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,
}

impl Setup {
    /// The program under test with one of its commands and the registry.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.binary);
        if let Some(threads) = self.threads {
            command.arg("--threads").arg(threads.to_string());
        }
        command.arg(name).arg("--registry").arg(&self.registry);
        command
    }

    /// `count` distinct texts: those of the file and, where these are too few, numbered copies of them.
    pub(crate) fn distinct(&self, count: usize) -> Result<Vec<Text>> {
        let texts = read(&self.texts)?;
        let copy = |index: usize| {
            let text = &texts[index % texts.len()];
            if index < texts.len() { text.clone() } else { text.numbered(index) }
        };
        Ok((0..count).map(copy).collect())
    }
}
