//! `ensemble score`: rows of any container in, JSONL out, in order and in bounded memory.

use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::arguments::ScoreOptions;
use super::ui::{Ui, stdout_error};
use crate::data::{Item, Record, Rows, domain, parse_item, plain};
use crate::ensemble::{Ensemble, ObjectiveScore, Request, Score, Scoring};
use crate::error::{Error, Fault, Result, quote};

/// What the input is read for.
const PURPOSE: &str = "the responses to score";

pub(super) fn run(options: &ScoreOptions, threads: usize, ui: &Ui) -> Result<u8> {
    let ensemble = Ensemble::open(&options.registry)?.with_threads(threads).with_weights(&options.weights)?;
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
            describe(&mut row, self.names, &score, domain.as_deref());
            writeln!(self.output, "{}", Value::Object(row)).map_err(|error| stdout_error(&error))?;
            self.scored += 1;
        }
        self.output.flush().map_err(|error| stdout_error(&error))
    }
}

/// Adds `combined`, `scores` with their standard errors, `ood` and `tokens` (and `cut_tokens` where something was cut) to an
/// output row. A score on the scale of its domain says so.
fn describe(row: &mut Map<String, Value>, names: &[String], score: &Score, domain: Option<&str>) {
    let objective = |(name, score): (&String, &ObjectiveScore)| {
        let mut object = json!({ "raw": score.raw, "normalized": score.normalized });
        if let (Some(raw_error), Some(error)) = (score.raw_error, score.error) {
            object["se"] = json!(raw_error);
            object["normalized_se"] = json!(error);
        }
        if let Some(domain) = domain.filter(|_| score.in_domain) {
            object["domain"] = json!(domain);
        }
        (name.clone(), object)
    };
    let scores: Map<String, Value> = names.iter().zip(&score.objectives).map(objective).collect();
    row.insert("combined".into(), json!(score.combined));
    row.insert("scores".into(), Value::Object(scores));
    if let Some(novelty) = score.novelty {
        row.insert("ood".into(), json!({ "distance": novelty.distance, "p": novelty.p_value }));
    }
    row.insert("tokens".into(), json!(score.tokens));
    if score.cut > 0 {
        row.insert("cut_tokens".into(), json!(score.cut));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::combine::{Combination, Combiner, Term};
    use crate::config::NormalizerKind;
    use crate::ensemble::{Scorer, Uncertainty};
    use crate::features::Features;
    use crate::head::{Comparison, FitSettings, Head, LinearHead, Posterior, fit};
    use crate::normalize::Normalizer;

    /// A posterior for two columns, as any fit gives one.
    fn posterior() -> Posterior {
        let mut features = Features::new(2);
        [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5], [0.0, -1.0]].iter().for_each(|row| features.push(row));
        let pairs = [Comparison::hard(0, 1), Comparison::hard(3, 2)];
        fit(&features, &pairs, &FitSettings::with_l2(1.0)).expect("convex").posterior
    }

    /// Every number of a JSON value, and whether something is null.
    fn numbers(value: &Value, found: &mut Vec<f64>) -> bool {
        match value {
            Value::Null => false,
            Value::Number(number) => {
                found.extend(number.as_f64());
                true
            }
            Value::Array(values) => values.iter().all(|value| numbers(value, found)),
            Value::Object(values) => values.values().all(|value| numbers(value, found)),
            Value::Bool(_) | Value::String(_) => true,
        }
    }

    fn amount() -> impl Strategy<Value = f64> {
        let extremes =
            prop::sample::select(vec![0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e300, -1e300, f64::MAX, f64::MIN]);
        prop_oneof![-3.0..3.0, extremes]
    }

    fn feature() -> impl Strategy<Value = f32> {
        let extremes = prop::sample::select(vec![0.0, -0.0, 1e-45, -1e-45, f32::MAX, f32::MIN]);
        prop_oneof![-3f32..3.0, extremes]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_is_written_is_finite_without_negative_zeros_and_reads_back_to_the_bit(
            head in (amount(), amount(), amount()),
            features in (feature(), feature()),
            temperature in prop::sample::select(vec![1e-3, 0.7, 1e3]),
            reference in prop::collection::vec(-3.0..3.0, 5..9),
            kind in prop::sample::select(vec![
                NormalizerKind::Zscore, NormalizerKind::Robust, NormalizerKind::Quantile, NormalizerKind::Minmax,
                NormalizerKind::Sigmoid, NormalizerKind::WinRate, NormalizerKind::Identity,
            ]),
            weight in prop::sample::select(vec![-2.0, 0.5]),
        ) {
            let Ok(normalizer) = Normalizer::fit(kind, &reference) else { return Ok(()) };
            let head = Head::Linear(LinearHead { weights: vec![head.0, head.1], bias: head.2 });
            let uncertainty = Uncertainty { posterior: posterior(), origin: vec![0.1, -0.0] };
            let scorer = Scorer::new(head, temperature, normalizer, BTreeMap::new(), Some(uncertainty));
            let objective = scorer.score(&[features.0, features.1], None);
            let names = ["safety".to_owned()];
            let combiner = Combiner::new(vec![(names[0].clone(), weight)], Combination::default()).expect("one weight");
            let combined = combiner.combine(&[Term { score: objective.normalized, error: objective.error.unwrap_or(0.0) }]);
            let score = Score { objectives: vec![objective], combined, novelty: None, tokens: 3, cut: 0 };
            // What is not finite is an error of scoring and is never written.
            prop_assume!(score.is_finite());
            let mut row = Map::new();
            describe(&mut row, &names, &score, None);
            let text = Value::Object(row).to_string();
            let mut found = Vec::new();
            prop_assert!(numbers(&serde_json::from_str(&text).expect("JSON"), &mut found), "null in {text}");
            prop_assert!(found.iter().all(|number| number.is_finite() && !(*number == 0.0 && number.is_sign_negative())));
            prop_assert!(!text.contains("-0.0,") && !text.contains("-0.0}"), "{text}");
            let ObjectiveScore { raw, raw_error, normalized, error, .. } = objective;
            let back: Value = serde_json::from_str(&text).expect("JSON");
            let one = &back["scores"]["safety"];
            for (number, name) in [(Some(raw), "raw"), (raw_error, "se"), (Some(normalized), "normalized"), (error, "normalized_se")] {
                prop_assert_eq!(one[name].as_f64().map(f64::to_bits), number.map(f64::to_bits), "{}", name);
            }
            prop_assert_eq!(back["combined"].as_f64().map(f64::to_bits), Some(combined.to_bits()));
        }
    }

    #[test]
    fn a_negative_zero_of_the_head_is_written_as_a_plain_one() {
        // What a head fitted on labels that cancel out looks like.
        let head = || Head::Linear(LinearHead { weights: vec![0.0, -0.0], bias: -0.0 });
        assert!(head().score(&[-1.0, 1.0]).is_sign_negative());
        let scorer = Scorer::new(head(), 1.5, Normalizer::Identity, BTreeMap::new(), None);
        let objectives = vec![scorer.score(&[-1.0, 1.0], None)];
        let mut row = Map::new();
        describe(
            &mut row,
            &["a".to_owned()],
            &Score { objectives, combined: 0.0, novelty: None, tokens: 1, cut: 0 },
            None,
        );
        assert_eq!(Value::Object(row)["scores"].to_string(), r#"{"a":{"normalized":0.0,"raw":0.0}}"#);
        let difference = scorer.difference(&[-1.0, 1.0], &[1.0, -1.0]);
        assert_eq!(difference.raw.to_bits(), 0, "no sign either");
    }

    #[test]
    fn a_score_that_is_not_finite_is_known_as_such() {
        let objective = |raw: f64, raw_error: Option<f64>, normalized: f64, error: Option<f64>| {
            vec![ObjectiveScore { raw, raw_error, normalized, error, in_domain: false }]
        };
        let finite = |objectives: Vec<ObjectiveScore>, combined: f64| {
            Score { objectives, combined, novelty: None, tokens: 0, cut: 0 }.is_finite()
        };
        assert!(finite(objective(1.0, Some(0.1), 0.5, Some(0.1)), 1.0) && finite(objective(1.0, None, 0.5, None), 1.0));
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!finite(objective(odd, None, 0.0, None), 1.0) && !finite(objective(1.0, None, odd, None), 1.0));
            assert!(!finite(objective(1.0, Some(odd), 0.0, Some(0.1)), 1.0));
            assert!(!finite(objective(1.0, Some(0.1), 0.0, Some(odd)), 1.0));
            assert!(!finite(objective(1.0, None, 0.0, None), odd));
        }
    }
}
