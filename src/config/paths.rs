//! Paths in a configuration: `~/` and `${NAME}`, relative to what, how they are shown, and what may have been meant.
//!
//! Whether a path must exist is decided in [`super::check`].

use std::path::{Component, Path, PathBuf};

use crate::error::{did_you_mean, quote};
use crate::files;

/// Replaces a leading `~/` by `HOME` and every `${NAME}` by the variable's value, which is never read again.
///
/// # Errors
/// What is wrong, when a variable is not set, is empty, or its braces do not close.
fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let value = |name: &str| match variable(name) {
        None => Err(format!("the environment variable {name} is not set")),
        Some(value) if value.is_empty() => Err(format!("the environment variable {name} is empty")),
        Some(value) => Ok(value),
    };
    let (mut expanded, mut rest) = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => (value("HOME")?, rest),
        _ => (String::new(), text),
    };
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}').filter(|(name, _)| is_variable(name)) else {
            return Err(format!("{} holds ${{ without a name and a closing }}", quote(text)));
        };
        expanded.push_str(before);
        expanded.push_str(&value(name)?);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// The path that `text` means when it is written in a file of `folder`, as messages show it.
///
/// # Errors
/// As [`expand`].
pub(super) fn resolve(folder: &Path, text: &str) -> Result<PathBuf, String> {
    expand(text, &|name| std::env::var(name).ok()).map(|expanded| shown(folder, &expanded))
}

/// `path` seen from `folder`, as a person would write it: `configs/../data` is `data`; relative stays relative.
fn shown(folder: &Path, path: &str) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in folder.join(path).components() {
        match (part, whole.components().next_back()) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                whole.pop();
            }
            _ => whole.push(part),
        }
    }
    if whole.as_os_str().is_empty() { PathBuf::from(".") } else { whole }
}

/// The name that was probably meant by the first part of `path` that does not exist.
pub(super) fn similar(path: &Path) -> Option<String> {
    let path = files::absolute(path);
    let missing = path.ancestors().take_while(|part| !part.exists()).last()?;
    let name = missing.file_name()?.to_string_lossy();
    let siblings: Vec<String> = files::parent(missing)
        .read_dir()
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    let siblings: Vec<&str> = siblings.iter().map(String::as_str).collect();
    did_you_mean(&name, &siblings).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        expand(text, &|name| match name {
            "HOME" => Some("/home/ada".to_owned()),
            "DATA" => Some("x, y: [*a ${HOME}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn home_and_variables_are_replaced_once() {
        assert_eq!(expanded("~/a"), Ok("/home/ada/a".to_owned()));
        assert_eq!(expanded("~"), Ok("/home/ada".to_owned()));
        assert_eq!(expanded("~b/a"), Ok("~b/a".to_owned()));
        assert_eq!(expanded("a/${DATA}/~/b"), Ok("a/x, y: [*a ${HOME}/~/b".to_owned()));
        assert_eq!(expanded("$DATA"), Ok("$DATA".to_owned()));
        assert_eq!(expanded("${GONE}/a"), Err("the environment variable GONE is not set".to_owned()));
        assert_eq!(expanded("${EMPTY}/a"), Err("the environment variable EMPTY is empty".to_owned()));
        for broken in ["${DATA", "${}", "${1A}", "${A B}"] {
            assert!(expanded(broken).is_err_and(|message| message.contains("closing")), "{broken}");
        }
    }

    #[test]
    fn paths_are_shown_as_a_person_writes_them() {
        let shown = |folder: &str, path: &str| super::shown(Path::new(folder), path).to_string_lossy().into_owned();
        assert_eq!(shown("configs", "../objectives/a.yaml"), "objectives/a.yaml");
        assert_eq!(shown(".", "../objectives/a.yaml"), "../objectives/a.yaml");
        assert_eq!(shown("../x", "../../a"), "../../a");
        assert_eq!(shown("/x/y", "../../../a"), "/a");
        assert_eq!(shown("configs", "/data/a"), "/data/a");
        assert_eq!(shown("configs", ".."), ".");
    }

    #[test]
    fn the_first_missing_part_gets_the_suggestion() -> crate::error::Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        files::write_atomic(&folder.path().join("quickstart/rated.jsonl"), b"{}")?;
        let meant = |path: &str| similar(&folder.path().join(path));
        assert_eq!(meant("quickstart/ratd.jsonl"), Some("rated.jsonl".to_owned()));
        assert_eq!(meant("qiuckstart/rated.jsonl"), Some("quickstart".to_owned()));
        assert_eq!(meant("quickstart/other.csv"), None);
        assert_eq!(meant("quickstart/rated.jsonl"), None);
        Ok(())
    }
}
