//! The files a source's `path` means: one file, every data file of a folder, or what a pattern matches.
//!
//! Knows names; what is in the files is looked at when they are read.

use std::path::{Path, PathBuf};

use super::diagnostic::{Origin, Problem};
use super::paths;
use crate::error::quote;
use crate::files;

/// Names that end so are read from a folder; `.gz` or `.zst` may follow all but `.parquet`.
const EXTENSIONS: [&str; 6] = ["jsonl", "ndjson", "json", "csv", "tsv", "parquet"];
const COMPRESSED: [&str; 2] = ["gz", "zst"];
/// What a source may name.
const ACCEPTED: &str = "a file, a folder of data files, or a pattern such as \"data/*.jsonl.gz\"";
/// At most this many names are listed in a message.
const SHOWN: usize = 8;

/// The files of one source.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inputs {
    /// What the source names: a file, a folder or a pattern; absolute.
    pub path: PathBuf,
    /// The files to read, each once, in the order of their names.
    pub files: Vec<PathBuf>,
    /// Names in a folder that are not read because nothing is known to end so.
    pub skipped: Vec<String>,
}

/// The part of a data file's name that says what it holds: `jsonl` of `rows.JSONL.gz`, in lower case.
pub fn data_extension(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let stem = COMPRESSED.iter().find_map(|word| name.strip_suffix(&format!(".{word}"))).unwrap_or(&name);
    let (_, extension) = stem.rsplit_once('.')?;
    Some(extension.to_owned())
}

/// The files that `shown`, the resolved path under the key `key`, means.
///
/// # Errors
/// One problem when that is no file at all.
pub(super) fn find(shown: &Path, origin: Origin, key: &str) -> Result<Inputs, Problem> {
    let path = files::absolute(shown);
    let named = format!("{key} names {}", quote(&shown.to_string_lossy()));
    if path.is_file() {
        return Ok(Inputs { files: vec![path.clone()], path, skipped: Vec::new() });
    }
    if path.is_dir() {
        return folder(path, &named, origin);
    }
    if path.exists() {
        return Err(Problem::new(origin, format!("{named}, which is neither a file nor a folder")).accepts(ACCEPTED));
    }
    if path.to_string_lossy().contains(['*', '?', '[']) {
        return pattern(path, &named, origin);
    }
    let problem = Problem::new(origin, format!("{named}, which does not exist")).accepts(ACCEPTED);
    Err(problem.suggest(paths::similar(&path).as_deref()))
}

fn folder(path: PathBuf, named: &str, origin: Origin) -> Result<Inputs, Problem> {
    let listed = files::list(&path).map_err(|error| {
        Problem::new(origin, format!("{named}, a folder that cannot be listed")).help(error.to_string())
    })?;
    let (files, others): (Vec<PathBuf>, Vec<PathBuf>) = listed.into_iter().partition(|file| {
        !is_hidden(file) && data_extension(file).is_some_and(|word| EXTENSIONS.contains(&word.as_str()))
    });
    let skipped: Vec<String> = others.iter().map(|file| name_of(file)).collect();
    if !files.is_empty() {
        return Ok(Inputs { path, files, skipped });
    }
    let there = if skipped.is_empty() { "holds no file".to_owned() } else { format!("holds only {}", list(&skipped)) };
    let endings: Vec<String> = EXTENSIONS.iter().map(|word| format!(".{word}")).collect();
    let problem = Problem::new(origin, format!("{named}, a folder that {there}"));
    let accepted = format!("files that end in {}, or these with .gz or .zst", endings.join(", "));
    Err(problem
        .accepts(accepted)
        .help("folders inside it are not searched; a pattern such as \"data/**/*.jsonl\" does that"))
}

fn pattern(path: PathBuf, named: &str, origin: Origin) -> Result<Inputs, Problem> {
    let options =
        glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let matches = glob::glob_with(&path.to_string_lossy(), options).map_err(|error| {
        let problem = Problem::new(origin, format!("{named}, which is no pattern: {}", error.msg));
        problem.accepts("* for any text, ? for one character, [ab] for one of them, ** for any folders")
    })?;
    let mut files: Vec<PathBuf> = matches.filter_map(Result::ok).filter(|file| file.is_file()).collect();
    files.sort();
    files.dedup();
    if !files.is_empty() {
        return Ok(Inputs { path, files, skipped: Vec::new() });
    }
    let problem = Problem::new(origin, format!("{named}, a pattern that matches no file")).accepts(ACCEPTED);
    let names: Vec<String> =
        files::list(files::parent(&path)).unwrap_or_default().iter().map(|file| name_of(file)).collect();
    Err(if names.is_empty() { problem } else { problem.help(format!("the folder holds {}", list(&names))) })
}

fn is_hidden(path: &Path) -> bool {
    name_of(path).starts_with('.')
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| quote(name)).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin::Place { document: 0, line: 1, column: 1 };

    fn project(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in names {
            files::write_atomic(&folder.path().join(name), b"{}").expect("written");
        }
        folder
    }

    fn found(folder: &tempfile::TempDir, path: &str) -> Result<(Vec<String>, Vec<String>), Problem> {
        let inputs = find(&folder.path().join(path), ORIGIN, "data.0.path")?;
        Ok((inputs.files.iter().map(|file| name_of(file)).collect(), inputs.skipped))
    }

    #[test]
    fn a_folder_gives_its_data_files_by_name_and_names_the_rest() {
        let folder =
            project(&["b.csv", "a.jsonl.gz", "C.JSON.zst", "README.md", ".hidden.jsonl", "deep/x.jsonl", "d.txt.gz"]);
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (files, skipped) = found(&folder, ".").expect("a folder of data");
        assert_eq!(files, names(&["C.JSON.zst", "a.jsonl.gz", "b.csv"]));
        assert_eq!(skipped, names(&[".hidden.jsonl", "README.md", "d.txt.gz"]));
    }

    #[test]
    fn a_pattern_gives_what_it_matches() {
        let folder = project(&["b.csv", "a.csv", "a[1].csv", "deep/er/c.csv", ".d.csv", "odd"]);
        let files = |pattern: &str| found(&folder, pattern).map(|(files, _)| files.join(" ")).expect("matches");
        assert_eq!(files("*.csv"), "a.csv a[1].csv b.csv");
        assert_eq!(files("**/*.csv"), "a.csv a[1].csv b.csv c.csv");
        assert_eq!(files("[ab].csv"), "a.csv b.csv");
        assert_eq!(files("o?d"), "odd", "a pattern names files itself, whatever they end in");
        assert_eq!(files("a[1].csv"), "a[1].csv", "a file of that name comes before the pattern");
    }

    #[test]
    fn what_gives_no_file_is_told_with_what_is_there() {
        let folder = project(&["README.md", "b.csv", "empty/deep/x.csv", "text/a.txt"]);
        for (path, expected) in [
            ("*.parquet", "a pattern that matches no file"),
            ("*.parquet", "the folder holds \"README.md\", \"b.csv\""),
            ("a***b", "which is no pattern"),
            ("empty", "a folder that holds no file"),
            ("text", "a folder that holds only \"a.txt\""),
            ("text", ".jsonl, .ndjson, .json, .csv, .tsv, .parquet"),
            ("c.csv", "which does not exist"),
            ("c.csv", "did you mean \"b.csv\"?"),
        ] {
            let problem = found(&folder, path).expect_err("no file");
            let message = format!("{} {:?} {:?}", problem.found, problem.accepted, problem.help).replace('\\', "");
            assert!(message.contains(expected), "{path} gave {message}");
        }
    }

    #[test]
    fn the_extension_is_what_stands_before_the_compression() {
        let extension = |name: &str| data_extension(Path::new(name)).unwrap_or_default();
        for (name, expected) in [
            ("a.jsonl.gz", "jsonl"),
            ("A.CSV", "csv"),
            ("a.gz", ""),
            ("a", ""),
            ("x/a.b.json.zst", "json"),
            ("a.zst.csv", "csv"),
        ] {
            assert_eq!(extension(name), expected, "{name}");
        }
    }
}
