//! The only printer: data to standard output, everything else to standard error.
//!
//! A listener that leaves must not end a run, so a lost line of progress is no error; lost data is.
//! Progress is a bar on a terminal, plain lines otherwise, JSON lines with `--json`, nothing with `--quiet`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::machine::Global;
use crate::error::{Error, Fault, Result};
use crate::progress::Progress;

/// How this process talks.
pub(super) struct Ui {
    pub(super) json: bool,
    quiet: bool,
    stage: Mutex<Option<Stage>>,
}

struct Stage {
    name: String,
    total: u64,
    done: u64,
    started: Instant,
    last_line: Instant,
    bar: ProgressBar,
}

impl Ui {
    pub(super) fn new(global: &Global) -> Self {
        Self { json: global.json, quiet: global.quiet, stage: Mutex::new(None) }
    }

    /// A line for people, on standard error.
    pub(super) fn note(&self, line: &str) {
        if !self.quiet && !self.json {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// A line of data, on standard output.
    ///
    /// # Errors
    /// [`Error::Io`] when standard output is closed or full.
    #[expect(clippy::unused_self, reason = "printing goes through the one printer")]
    pub(super) fn data(&self, line: &str) -> Result<()> {
        writeln!(std::io::stdout().lock(), "{line}").map_err(|error| stdout_error(&error))
    }

    /// The closing error: text, or one JSON object with `--json`.
    pub(super) fn error(&self, error: &Error) {
        if !self.json {
            let _ = writeln!(std::io::stderr(), "{error}");
            return;
        }
        let fault = |fault: &Fault| json!({ "place": fault.place, "found": fault.found, "accepted": fault.accepted, "help": fault.help });
        let faults: Vec<_> = error.faults().iter().map(fault).collect();
        let _ = writeln!(
            std::io::stdout(),
            "{}",
            json!({ "event": "error", "exit_code": error.exit_code(), "faults": faults })
        );
    }

    fn event(&self, event: &serde_json::Value) {
        if self.json && !self.quiet {
            let _ = writeln!(std::io::stdout(), "{event}");
        }
    }

    fn with_stage(&self, work: impl FnOnce(&mut Option<Stage>)) {
        work(&mut self.stage.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

/// What is found when the reader of standard output has had enough, as `head` has.
pub(super) const READER_LEFT: &str = "the reader closed the pipe";

/// The error for a failed write to standard output.
pub(super) fn stdout_error(error: &std::io::Error) -> Error {
    let found = match error.kind() {
        std::io::ErrorKind::BrokenPipe => READER_LEFT.to_owned(),
        _ => format!("cannot write: {error}"),
    };
    Error::Io(vec![Fault::new("standard output", found)])
}

impl Progress for Ui {
    fn start(&self, stage: &str, total: u64) {
        let visible = !self.quiet && !self.json && std::io::stderr().is_terminal();
        let target = if visible && std::env::var_os("ENSEMBLE_NO_PROGRESS").is_none() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template("{msg:>14} {wide_bar} {pos}/{len} {per_sec} {eta} left") {
            bar.set_style(style);
        }
        bar.set_message(stage.to_owned());
        self.event(&json!({ "event": "start", "stage": stage, "rows": total }));
        let now = Instant::now();
        let stage = Stage { name: stage.to_owned(), total, done: 0, started: now, last_line: now, bar };
        self.with_stage(|slot| *slot = Some(stage));
    }

    fn advance(&self, rows: u64) {
        self.with_stage(|slot| {
            let Some(stage) = slot else { return };
            stage.done += rows;
            stage.bar.inc(rows);
            if stage.last_line.elapsed() < Duration::from_secs(10) {
                return;
            }
            stage.last_line = Instant::now();
            let rate = stage.done as f64 / stage.started.elapsed().as_secs_f64().max(1e-9);
            let left = stage.total.saturating_sub(stage.done) as f64 / rate.max(1e-9);
            if stage.bar.is_hidden() {
                let (name, done, total) = (&stage.name, stage.done, stage.total);
                self.note(&format!("{name:>14}  {done}/{total} rows, {rate:.0} rows/s, {left:.0} s left"));
            }
            self.event(&json!({ "event": "progress", "stage": stage.name, "done": stage.done, "rows": stage.total,
                "rows_per_second": rate, "seconds_left": left }));
        });
    }

    fn finish(&self, note: &str) {
        self.with_stage(|slot| {
            let Some(stage) = slot.take() else { return };
            stage.bar.finish_and_clear();
            let seconds = stage.started.elapsed().as_secs_f64();
            self.note(&format!("{:>14}  {note} ({seconds:.2} s)", stage.name));
            self.event(&json!({ "event": "finish", "stage": stage.name, "note": note, "seconds": seconds }));
        });
    }
}

/// Prints clap's own message (help, version, a usage fault) and gives its exit code.
pub(super) fn clap_exit(error: &clap::Error) -> ExitCode {
    // A closed standard output must not turn `--help | head` into a failure.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Lays rows out in columns; the first row is the heading. Cells that are numbers are aligned to the right.
pub(super) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let numeric = |cell: &str| cell.starts_with(|character: char| character.is_ascii_digit() || character == '-');
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            let right = column > 0 && rows.iter().skip(1).filter_map(|row| row.get(column)).all(|cell| numeric(cell));
            if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<String>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
