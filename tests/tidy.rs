//! The house rules that a machine can check: module docs, import levels, sizes, documentation that names every room.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under `folder` with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("listed") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("read");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The module a file under `src` belongs to.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("under src");
    let first = inside.components().next().expect("a part").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The level of each module: it may use modules of lower levels, and at its own level only itself.
fn levels() -> BTreeMap<&'static str, u32> {
    let levels: [(u32, &[&str]); 16] = [
        (0, &["error", "files", "logistic", "progress", "random"]),
        (1, &["config", "conversation"]),
        (2, &["data"]),
        (3, &["backbone"]),
        (4, &["features"]),
        (5, &["head"]),
        (6, &["calibrate", "normalize", "combine"]),
        (7, &["registry"]),
        (8, &["ensemble"]),
        (9, &["export"]),
        (9, &["evaluate"]),
        (9, &["weights"]),
        (10, &["report"]),
        (11, &["assess"]),
        (12, &["train_all"]),
        (12, &["serve"]),
    ];
    let modules = levels.into_iter().flat_map(|(level, names)| names.iter().map(move |name| (*name, level)));
    modules.chain([("cli", 13), ("lib", 14), ("main", 14)]).collect()
}

/// Exceptions to "every lower level": what a module must not see although it stands to its left.
const WALLS: [(&str, &[&str]); 9] = [
    ("backbone", &["data"]),
    ("head", &["data", "backbone"]),
    ("calibrate", &["data", "backbone", "features", "head"]),
    ("normalize", &["data", "backbone", "features", "head"]),
    ("combine", &["data", "backbone", "features", "head"]),
    ("registry", &["data", "backbone", "features", "head"]),
    ("evaluate", &["data", "backbone", "features", "head", "registry", "ensemble"]),
    ("weights", &["data", "backbone", "features", "head", "registry", "ensemble"]),
    ("report", &["data", "backbone", "features", "head", "registry", "ensemble"]),
];

#[test]
fn modules_import_only_leftwards() {
    let levels = levels();
    for (path, text) in sources("src") {
        let name = module(&path);
        let own = levels.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no level: add it to the table"));
        let production = text.split("#[cfg(test)]").next().unwrap_or_default();
        for used in production.match_indices("crate::").map(|(index, _)| &production[index + 7..]) {
            let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let Some(level) = levels.get(used.as_str()) else { continue };
            let allowed = *level < *own && *level > 0 || *level == 0 || used == name;
            assert!(allowed, "{}: {name} uses {used}", path.display());
            let walls = WALLS.iter().find(|(from, _)| *from == name).map_or(&[][..], |(_, walls)| walls);
            assert!(!walls.contains(&used.as_str()), "{}: {name} must not see {used}", path.display());
        }
    }
}

#[test]
fn heavy_crates_stay_in_their_rooms() {
    let rooms: [(&str, &[&str]); 12] = [
        ("candle_core", &["backbone", "head"]),
        ("candle_nn", &["backbone", "head"]),
        ("candle_transformers", &["backbone"]),
        ("polars::", &["data", "features", "report"]),
        ("clap", &["cli"]),
        ("indicatif", &["cli"]),
        ("plotters", &["report"]),
        ("axum", &["serve"]),
        ("hyper", &["serve"]),
        ("tokio", &["serve", "cli"]),
        ("prometheus_client", &["serve"]),
        ("std::fs", &["files"]),
    ];
    for (path, text) in sources("src") {
        let production = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in production.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for (name, allowed) in rooms {
                let outside = line.contains(name) && !allowed.contains(&module(&path).as_str());
                assert!(!outside, "{}: {name} in {line:?}", path.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_stays_small() {
    for folder in ["src", "tests"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{} does not begin with //!", path.display());
            let lines = text.lines().count();
            assert!(lines <= 450, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn functions_stay_within_60_lines() {
    for (path, text) in sources("src") {
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let code = ["pub(super) ", "pub(crate) ", "pub ", "const "]
                .iter()
                .fold(line.trim_start(), |code, word| code.trim_start_matches(word));
            if !code.starts_with("fn ") || line.trim_end().ends_with([';', '}']) {
                continue;
            }
            let closing = format!("{}}}", " ".repeat(indent));
            let length =
                lines[start..].iter().position(|line| *line == closing).expect("a function ends at its own indent");
            assert!(length <= 60, "{}:{}: {length} lines", path.display(), start + 1);
        }
    }
}

/// The kernels of single instruction sets, and where they are chosen.
const UNSAFE: [&str; 5] = ["avx2.rs", "avx512.rs", "choice.rs", "neon.rs", "tile.rs"];

#[test]
fn only_kernels_are_unsafe() {
    let kernels = root().join("src/backbone/packed/kernels");
    for (path, text) in sources("src") {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let unsafe_code = code.filter(|line| line.contains("unsafe")).count() > 0;
        let named = UNSAFE.iter().any(|name| kernels.join(name) == path);
        assert_eq!(unsafe_code, named, "{}", path.display());
        assert!(!named || text.contains("SAFETY"), "{} says why it is sound", path.display());
    }
}

#[test]
fn main_is_small_enough_to_read_at_a_glance() {
    assert!(std::fs::read_to_string(root().join("src/main.rs")).expect("read").lines().count() <= 40);
}

#[test]
fn architecture_names_every_room() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("read");
    for module in levels().keys().filter(|name| !["lib", "main"].contains(name)) {
        assert!(text.contains(&format!("`{module}`")), "ARCHITECTURE.md does not name `{module}`");
    }
}

#[test]
fn readme_names_every_command() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("read");
    for command in [
        "init",
        "validate",
        "doctor",
        "train-all",
        "report",
        "score",
        "best-of-n",
        "serve",
        "eval",
        "weights",
        "registry",
        "schema",
        "completions",
    ] {
        assert!(text.contains(&format!("`{command}`")), "README.md does not name `{command}`");
    }
}

#[test]
fn fonts_need_no_system_library() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("read");
    for name in ["font-kit", "fontconfig", "freetype-sys", "openssl-sys", "onig_sys"] {
        assert!(!lock.contains(&format!("name = \"{name}\"")), "{name} is in the lock file");
    }
}
