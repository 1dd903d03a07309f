//! Published decoders foresee a stored paragraph as well here as in transformers.
//!
//! Needs the GGUF files that `fixtures/make_perplexity.py` names, in the folder `ENSEMBLE_MODELS` or below it; without
//! it nothing is tested.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::path::{Path, PathBuf};

use ensemble::backbone::token_losses;
use serde_json::Value;

/// The file `name` in `folder` or one folder below it.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let below = entries.filter(|path| path.is_dir()).map(|path| path.join(name));
    std::iter::once(folder.join(name)).chain(below).find(|path| path.is_file())
}

#[test]
fn perplexity_of_a_paragraph_equals_transformers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/perplexity/figures.json");
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("fixture")).expect("fixture");
    let models = stored.as_array().expect("an entry a model");
    assert!(models.len() >= 2);
    let Some(folder) = std::env::var_os("ENSEMBLE_MODELS").map(PathBuf::from) else {
        println!("ENSEMBLE_MODELS is not set");
        return;
    };
    let mut found = 0;
    for figures in models {
        let name = figures["file"].as_str().expect("a name");
        let Some(model) = find(&folder, name) else { continue };
        found += 1;
        let ids: Vec<u32> = serde_json::from_value(figures["ids"].clone()).expect("ids");
        let losses = token_losses(&model, &ids).expect("losses");
        let perplexity = (losses.iter().sum::<f64>() / losses.len() as f64).exp();
        let expected = figures["perplexity"].as_f64().expect("a number");
        println!("{name}: perplexity {perplexity:.6}, of transformers {expected:.6}, {} tokens", ids.len());
        assert!((perplexity / expected - 1.0).abs() < 1e-3, "{name}: {perplexity} is not {expected}");
        assert!(token_losses(&model, &vec![0; 100_000]).expect_err("too long").to_string().contains("100000 tokens"));
    }
    assert!(found > 0, "none of the models is in {}", folder.display());
}

#[test]
fn an_encoder_has_no_perplexity() {
    let mini = Path::new(env!("CARGO_MANIFEST_DIR")).join("backbones/mini");
    let error = token_losses(&mini, &[1, 2]).expect_err("no decoder").to_string();
    assert!(error.contains("perplexity is for decoders"), "{error}");
}
