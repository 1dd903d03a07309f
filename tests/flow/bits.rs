//! The same bits: heads over runs, threads, row order and cache state; scores over batch sizes and order.

use std::path::Path;

use crate::project::{Project, rows_to_score, trained};

/// Reverses every other row to the end: another order of the same rows.
fn shuffle(path: &Path) {
    let text = std::fs::read_to_string(path).expect("data");
    let lines: Vec<&str> = text.lines().collect();
    let (even, odd): (Vec<_>, Vec<_>) = lines.iter().enumerate().partition(|(index, _)| index % 2 == 0);
    let order = odd.iter().rev().chain(&even).map(|(_, line)| **line);
    let shuffled: Vec<&str> = order.collect();
    assert!(shuffled != lines);
    std::fs::write(path, shuffled.join("\n")).expect("written");
}

#[test]
fn heads_are_byte_identical_over_runs_threads_row_order_and_cache() {
    // Trained on a cold cache with a thread per core.
    let heads = trained().files("registry/quickstart/heads");
    assert_eq!(heads.len(), 4, "three heads and the distribution of the training texts");
    let warm = Project::warm();
    for threads in ["1", "2"] {
        warm.train(&["--threads", threads, "--quiet"]);
        assert!(warm.files("registry/quickstart/heads") == heads, "warm cache, {threads} threads");
    }

    let second = Project::new();
    for name in ["rated", "helpfulness.pairs", "safety.pairs", "conciseness.pairs", "holistic"] {
        shuffle(&second.path(&format!("data/quickstart/{name}.jsonl")));
    }
    second.train(&["--threads", "1", "--quiet"]);
    assert!(second.files("registry/quickstart/heads") == heads, "cold cache, one thread, shuffled rows");
}

#[test]
fn scores_of_500_texts_do_not_depend_on_batch_size_or_order() {
    let rows = rows_to_score(500);
    let score = |rows: &[String], batch: &str, threads: &str| -> Vec<String> {
        let output = trained().score(&rows.join("\n"), &["--batch-size", batch, "--threads", threads]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
    };
    let scores = score(&rows, "64", "2");
    assert_eq!(scores.len(), 500);
    for batch in ["1", "2", "7", "32"] {
        assert!(score(&rows, batch, "2") == scores, "batch size {batch}");
    }
    let reversed: Vec<String> = rows.iter().rev().cloned().collect();
    let mut backwards = score(&reversed, "32", "1");
    backwards.reverse();
    assert!(backwards == scores, "reversed order on one thread");
}
