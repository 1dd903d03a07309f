//! `ensemble score`: rows of any container in, JSONL out, in order and in bounded memory.

use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value};

use super::arguments::ScoreOptions;
use super::machine::Machine;
use super::ui::{Ui, stdout_error};
use crate::data::{Item, Record, Rows, domain, parse_item, plain};
use crate::ensemble::{Request, Scoring, write_score};
use crate::error::{Error, Fault, Result, quote};

/// What the input is read for.
const PURPOSE: &str = "the responses to score";

pub(super) fn run(options: &ScoreOptions, machine: Machine, ui: &Ui) -> Result<u8> {
    let ensemble = machine.open(&options.registry)?.with_weights(&options.weights)?;
    if options.domain_field.is_some() && ensemble.domains().is_empty() {
        return Err(without_domains(options));
    }
    let rows = open_input(&options.input, PURPOSE)?;
    let mut stream = Stream {
        options,
        scoring: ensemble.scoring()?,
        names: ensemble.names(),
        batch: Vec::with_capacity(options.batch_size),
        output: BufWriter::new(Box::new(std::io::stdout().lock())),
        scored: 0,
        bad: 0,
        any_domain: false,
    };
    stream.score_all(rows)?;
    if let Some(field) = options.domain_field.as_ref().filter(|_| !stream.any_domain) {
        ui.note(&format!("no row has the field {}: all scores are on the overall scale", quote(field)));
    }
    let (scored, bad) = (stream.scored, stream.bad);
    ui.note(&if bad == 0 { format!("{scored} rows scored") } else { format!("{scored} rows scored, {bad} skipped") });
    Ok(0)
}

fn without_domains(options: &ScoreOptions) -> Error {
    Error::Usage(vec![
        Fault::new("--domain-field", format!("{} has no normalizers by domain", options.registry.display()))
            .accepts("a registry trained with `domain_field` on a source or on the reference")
            .help("leave the option out: all scores are on the overall scale"),
    ])
}

/// The rows of a file, or of standard input.
pub(super) fn open_input(input: &Path, purpose: &'static str) -> Result<Rows> {
    if input == Path::new("-") {
        return Rows::from_reader("standard input", purpose, Box::new(std::io::stdin()));
    }
    if !input.is_file() {
        let found = match (input.is_dir(), input.exists()) {
            (true, _) => "this is a folder",
            (false, true) => "this is not a regular file",
            (false, false) => "this file does not exist",
        };
        return Err(Error::Usage(vec![
            Fault::new(input.display(), found)
                .accepts("a file of JSON lines, JSON, CSV or Parquet, or - for standard input")
                .help("check the path, or give the rows to standard input: ensemble score -r REGISTRY < FILE"),
        ]));
    }
    Rows::open(input, purpose)
}

/// One pass over the input.
struct Stream<'a> {
    options: &'a ScoreOptions,
    scoring: Scoring<'a>,
    names: &'a [String],
    batch: Vec<Asked>,
    output: BufWriter<Box<dyn Write + 'a>>,
    scored: u64,
    bad: u64,
    /// Whether a row named its domain.
    any_domain: bool,
}

/// A row to score.
struct Asked {
    /// The fields to keep.
    kept: Map<String, Value>,
    item: Item,
    domain: Option<String>,
}

impl Stream<'_> {
    fn score_all(&mut self, mut rows: Rows) -> Result<()> {
        while let Some(record) = rows.next() {
            match record.and_then(|record| self.parse(&record)) {
                Ok(row) => self.batch.push(row),
                Err(Error::Data(_)) if self.options.skip_bad && !rows.is_finished() => self.bad += 1,
                Err(error) => {
                    // The rows before the broken one are scored and written, so that the output says how far it came.
                    self.flush()?;
                    return Err(if rows.is_finished() { error } else { with_hint(error) });
                }
            }
            if self.batch.len() == self.options.batch_size {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn parse(&self, record: &Record) -> Result<Asked> {
        let object = plain(record)?;
        let item = parse_item(&object, &record.place)?;
        let kept = self.options.keep.iter().filter_map(|field| Some((field.clone(), object.get(field)?.clone())));
        let field = self.options.domain_field.as_deref();
        let domain = field.map_or(Ok(None), |field| domain(&object, field, &record.place))?;
        Ok(Asked { kept: kept.collect(), item, domain })
    }

    fn flush(&mut self) -> Result<()> {
        let (mut kept, mut items, mut domains) = (Vec::new(), Vec::new(), Vec::new());
        for row in self.batch.drain(..) {
            self.any_domain |= row.domain.is_some();
            kept.push(row.kept);
            items.push(row.item);
            domains.push(row.domain);
        }
        let scores = self.scoring.score_for(&items, &Request { domains: &domains, combiner: None })?;
        for ((mut row, domain), score) in kept.into_iter().zip(domains).zip(scores) {
            write_score(&mut row, self.names, &score, domain.as_deref());
            writeln!(self.output, "{}", Value::Object(row)).map_err(|error| stdout_error(&error))?;
            self.scored += 1;
        }
        self.output.flush().map_err(|error| stdout_error(&error))
    }
}

fn with_hint(error: Error) -> Error {
    match error {
        Error::Data(mut faults) => {
            if let Some(fault) = faults.last_mut() {
                let help = fault.help.take().unwrap_or_else(|| "mend the row".to_owned());
                fault.help = Some(format!("{help}; or count and skip such rows with --skip-bad"));
            }
            Error::Data(faults)
        }
        other => other,
    }
}
