//! The table of a sweep over weights.

use std::path::Path;

use polars::prelude::{Column, DataFrame, PolarsResult};

use super::{parquet, refused};
use crate::error::Result;
use crate::files;
use crate::weights::{Sweep, SweepPoint};

/// Writes a sweep as Parquet, one row per vector of weights in the sweep's order: `weight_NAME` and `accuracy_NAME` for
/// every objective (null without pairs labelled for it), `holistic_accuracy`, `flip_share`, `pareto`.
///
/// # Errors
/// [`crate::error::Error::Io`] when the file cannot be written.
pub fn write_sweep(path: &Path, names: &[String], sweep: &Sweep) -> Result<()> {
    let mut frame = frame(names, &sweep.points).map_err(|error| refused(&error))?;
    files::write_atomic(path, &parquet(&mut frame)?)
}

fn frame(names: &[String], points: &[SweepPoint]) -> PolarsResult<DataFrame> {
    let number = |name: String, value: &dyn Fn(&SweepPoint) -> Option<f64>| {
        Column::new(name.into(), points.iter().map(value).collect::<Vec<Option<f64>>>())
    };
    let named = || names.iter().enumerate();
    let mut table: Vec<Column> =
        named().map(|(k, name)| number(format!("weight_{name}"), &|point| Some(point.weights[k]))).collect();
    table.extend(named().map(|(k, name)| number(format!("accuracy_{name}"), &|point| point.accuracies[k])));
    table.push(number("holistic_accuracy".to_owned(), &|point| point.holistic));
    table.push(number("flip_share".to_owned(), &|point| Some(point.flip_share)));
    table.push(Column::new("pareto".into(), points.iter().map(|point| point.pareto).collect::<Vec<bool>>()));
    DataFrame::new_infer_height(table)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{ParquetReader, SerReader};

    use super::*;
    use crate::weights::{Comparison, SweepInput};

    #[test]
    fn the_written_table_holds_the_sweep() {
        let one = Comparison { difference: vec![1.0, -2.0], preference: 1.0, prompt: 0 };
        let input = SweepInput {
            current: vec![1.0, 1.0],
            differences: vec![one.difference.clone()],
            objectives: vec![vec![one], vec![]],
            holistic: vec![],
        };
        let sweep = crate::weights::sweep(&input, 4).expect("five points");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("sweep.parquet");
        write_sweep(&path, &["helpfulness".to_owned(), "safety".to_owned()], &sweep).expect("written");
        let frame = ParquetReader::new(std::io::Cursor::new(files::read(&path, "the table").expect("read")))
            .finish()
            .expect("Parquet");
        let names: Vec<&str> = frame.columns().iter().map(|column| column.name().as_str()).collect();
        assert_eq!(
            names,
            [
                "weight_helpfulness",
                "weight_safety",
                "accuracy_helpfulness",
                "accuracy_safety",
                "holistic_accuracy",
                "flip_share",
                "pareto"
            ]
        );
        let column = |name: &str| -> Vec<Option<f64>> {
            frame.column(name).and_then(|column| column.f64()).expect("numbers").iter().collect()
        };
        // The margin 1·w − 2·(1 − w) is positive for w above 2/3: at 3/4 and 1, where the current weights' answer turns.
        let quarters = [0.0, 0.25, 0.5, 0.75, 1.0].map(Some);
        assert_eq!(column("weight_helpfulness"), quarters);
        assert_eq!(column("weight_safety"), quarters.into_iter().rev().collect::<Vec<_>>());
        assert_eq!(column("accuracy_helpfulness"), [0.0, 0.0, 0.0, 1.0, 1.0].map(Some));
        assert_eq!(column("flip_share"), [0.0, 0.0, 0.0, 1.0, 1.0].map(Some));
        assert_eq!(column("accuracy_safety"), [None; 5]);
        assert_eq!(column("holistic_accuracy"), [None; 5]);
        let pareto = frame.column("pareto").and_then(|column| column.bool()).expect("flags");
        assert_eq!(pareto.iter().flatten().collect::<Vec<bool>>(), [false, false, false, true, true]);
    }
}
