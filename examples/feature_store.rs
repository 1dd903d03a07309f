//! How fast the feature store reads back, beside plain reading of the same files.
//!
//! ```text
//! cargo run --release --example feature_store -- 1000000 [FOLDER]
//! ```
//!
//! Writes as many rows of 384 numbers as asked for, shard by shard as `features` does, into a temporary folder (in
//! `FOLDER`, if one is named) and reads them back: the files alone, the files with their digests, every shard
//! (`Store::visit`), and the matrix that heads are fitted on. Rates count the vectors' bytes, in all lines. The files were written a moment ago, so that they come
//! from the system's memory and not from the disk, if it is large enough.

use std::io::Write;
use std::time::Instant;

use ensemble::error::{Error, Fault, Result};
use ensemble::features::{Places, Row, Store};
use ensemble::files::{self, Digest};
use ensemble::random::Random;

/// Texts per shard, as `features` writes them.
const SHARD_ROWS: usize = 2048;
const WIDTH: usize = 384;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(rows) = arguments.next().and_then(|rows| rows.parse().ok()) else {
        return Err(Error::Usage(vec![Fault::new("arguments", "a number is needed").accepts("ROWS [FOLDER]")]));
    };
    let folder = arguments.next().map_or_else(tempfile::tempdir, tempfile::tempdir_in);
    let folder = folder.map_err(|error| Error::Io(vec![Fault::new("a temporary folder", error)]))?;
    let store = Store::new(folder.path(), Digest::of(b"feature_store"), WIDTH);
    timed("write", rows, || write(&store, rows))?;
    let keys: Vec<Digest> = (0..rows).map(key).collect();
    for _ in 0..2 {
        timed("plain reading", rows, || each_file(&store, |_| ()))?;
        timed("with digests", rows, || each_file(&store, |bytes| _ = std::hint::black_box(Digest::of(&bytes))))?;
        timed("every shard", rows, || every_shard(&store, rows))?;
        timed("matrix", rows, || matrix(&store, &keys))?;
    }
    Ok(())
}

fn key(row: usize) -> Digest {
    Digest::of(&row.to_le_bytes())
}

/// The rows of one shard, made anew with the same numbers for every shard: making them shall not be what is measured.
fn write(store: &Store, rows: usize) -> Result<()> {
    let mut random = Random::new(1);
    let vector = || (0..WIDTH).map(|_| random.normal() as f32).collect();
    let vectors: Vec<Vec<f32>> = std::iter::repeat_with(vector).take(SHARD_ROWS).collect();
    for first in (0..rows).step_by(SHARD_ROWS) {
        let row = |(index, vector): (usize, &Vec<f32>)| Row {
            key: key(first + index),
            tokens: index as u32,
            cut_prompt: 0,
            cut_response: 0,
            vector: vector.clone(),
        };
        store.append(&vectors.iter().take(rows - first).enumerate().map(row).collect::<Vec<Row>>())?;
    }
    Ok(())
}

fn each_file(store: &Store, mut look: impl FnMut(Vec<u8>)) -> Result<()> {
    for path in files::list(store.folder())? {
        look(files::read(&path, "a feature shard")?);
    }
    Ok(())
}

fn every_shard(store: &Store, rows: usize) -> Result<()> {
    let mut seen = 0;
    let damaged = store.visit(|shard| {
        seen += shard.keys.len();
        Ok(())
    })?;
    whole(seen == rows && damaged == 0)
}

fn matrix(store: &Store, keys: &[Digest]) -> Result<()> {
    let features = store.matrix(&Places::new(keys.iter().copied()))?;
    whole(features.rows() == keys.len())
}

fn whole(whole: bool) -> Result<()> {
    let lost = || Error::Io(vec![Fault::new("the store", "rows were lost")]);
    if whole { Ok(()) } else { Err(lost()) }
}

fn timed(name: &str, rows: usize, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    work()?;
    let seconds = start.elapsed().as_secs_f64();
    let rate = (rows * WIDTH * size_of::<f32>()) as f64 / seconds / 1e9;
    let _ = writeln!(std::io::stdout(), "{name:<16} {seconds:8.3} s {rate:7.2} GB/s");
    Ok(())
}
