//! `drift`: the gauges rise above their threshold for texts unlike the reference, and only for those.

use clap::{Args, ValueEnum};
use ensemble::error::{Error, Fault, Result};
use ensemble::random::Random;
use std::path::PathBuf;

use crate::server::Server;
use crate::setup::Setup;
use crate::texts::{Text, body, read};
use crate::verdict::{Verdict, figure};

/// Texts of a trial: as many as the server's window holds.
const STREAM: usize = 512;
const BATCH: usize = 32;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The texts on which the registry's normalizers were fitted; those of --texts if left out
    #[arg(long)]
    reference_texts: Option<PathBuf>,
    /// What is done to every answer of a shifted stream
    #[arg(long, value_enum, default_value = "first-words")]
    shift: Shift,
    /// Streams of each kind, each with a server of its own
    #[arg(long, default_value_t = 20)]
    trials: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shift {
    /// Only the first three words are left
    FirstWords,
    /// It is said three times
    Repeated,
    /// Its words come in alphabetical order
    Sorted,
}

impl Shift {
    fn of(self, answer: &str) -> String {
        let mut words: Vec<&str> = answer.split_whitespace().collect();
        match self {
            Self::FirstWords => words.truncate(3),
            Self::Repeated => words = words.repeat(3),
            Self::Sorted => words.sort_unstable(),
        }
        words.join(" ")
    }
}

/// What the gauges of a server say after a stream.
struct Reading {
    /// Objective labels and drift.
    gauges: Vec<(String, f64)>,
    threshold: f64,
    alarms: f64,
}

impl Reading {
    fn most(&self) -> f64 {
        self.gauges.iter().map(|(_, drift)| *drift).fold(f64::NAN, f64::max)
    }

    fn shown(&self) -> String {
        let gauges: Vec<String> = self.gauges.iter().map(|(labels, drift)| format!("{labels} {drift:.3}")).collect();
        format!("{}; threshold {}, alarms {}", gauges.join(", "), self.threshold, self.alarms)
    }
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<Verdict> {
    let own = read(options.reference_texts.as_ref().unwrap_or(&setup.texts))?;
    let shifted: Vec<Text> = own.iter().map(|text| text.answered(|answer| options.shift.of(answer))).collect();
    let mut verdict = Verdict::default();
    figure(&format!("{} reference texts, streams of {STREAM}, shift {:?}", own.len(), options.shift));
    let mut random = Random::new(setup.seed);
    let (mut highest, mut lowest) = (f64::NAN, f64::NAN);
    for trial in 0..options.trials {
        let same = stream(setup, &own, &mut random).await?;
        let quiet = same.most() <= same.threshold && same.alarms == 0.0;
        verdict.check(quiet, &format!("trial {trial}, own texts: {}", same.shown()));
        let other = stream(setup, &shifted, &mut random).await?;
        let alarmed = other.most() > other.threshold && other.alarms > 0.0;
        verdict.check(alarmed, &format!("trial {trial}, shifted texts: {}", other.shown()));
        highest = f64::max(highest, same.most());
        lowest = f64::min(lowest, other.most());
    }
    figure(&format!("highest gauge with own texts {highest:.3}, lowest of the highest with shifted texts {lowest:.3}"));
    Ok(verdict)
}

/// A new server that is asked for texts drawn with replacement.
async fn stream(setup: &Setup, texts: &[Text], random: &mut Random) -> Result<Reading> {
    let server = Server::start(setup, &[])?;
    for _ in 0..STREAM / BATCH {
        let batch: Vec<&Text> = (0..BATCH).map(|_| &texts[(random.uniform() * texts.len() as f64) as usize]).collect();
        let reply = server.score(&body(batch)).await?;
        if reply.status != 200 {
            let found = String::from_utf8_lossy(&reply.body).into_owned();
            return Err(Error::Data(vec![Fault::new("the reference texts", format!("{}: {found}", reply.status))]));
        }
    }
    let metrics = server.metrics().await?;
    let gauges = metrics.all("ensemble_drift").map(|(labels, drift)| (labels.to_owned(), drift));
    let mut gauges: Vec<(String, f64)> = gauges.collect();
    gauges.sort_by(|left, right| left.0.cmp(&right.0));
    let alarms = metrics.sum("ensemble_drift_alarm", &[]);
    Ok(Reading { gauges, threshold: metrics.value("ensemble_drift_threshold"), alarms })
}
