//! Names on the hub: what may be a repository and what may be a revision, before either becomes part of a path.

use std::fmt;

use crate::error::{Error, Fault, Result, quote};

/// A model's name on the hub: `org/name`, or `name` for the oldest ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryId(String);

impl RepositoryId {
    /// Reads `org/name` or `name` by the hub's own rules.
    ///
    /// # Errors
    /// [`Error::Model`] when it is a path, an address, or holds what the hub does not allow in a name.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() <= 2 && parts.iter().all(|part| valid_name(part)) && text.strip_suffix(".git").is_none() {
            return Ok(Self(text.to_owned()));
        }
        let fault = Fault::new("backbone.hub", format!("{} is not the name of a model on the hub", quote(text)))
            .accepts("org/name or name: letters, digits, - _ and ., no spaces, no -- and no ..");
        let help = match text.split_once("://").map(|(_, address)| address.split('/').collect::<Vec<_>>()) {
            Some(address) if address.len() > 2 => {
                format!("write the model's name only: {}", quote(&format!("{}/{}", address[1], address[2])))
            }
            _ if text.starts_with(['.', '/', '~']) || text.contains('\\') || parts.len() > 2 => {
                "for a folder on this disk use backbone.path instead of backbone.hub".to_owned()
            }
            _ => "copy the name from the head of the model's page".to_owned(),
        };
        Err(Error::Model(vec![fault.help(help)]))
    }

    /// The name as the hub writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The repository's folder in the cache.
    pub(super) fn folder(&self) -> String {
        format!("models--{}", self.0.replace('/', "--"))
    }
}

impl fmt::Display for RepositoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn valid_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let ends = name.bytes().next().is_some_and(word) && name.bytes().last().is_some_and(word);
    let inside = name.bytes().all(|byte| word(byte) || byte == b'-' || byte == b'.');
    ends && inside && name.len() <= 96 && !name.contains("--") && !name.contains("..")
}

/// Whether `text` is a full commit: 40 hexadecimal digits.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Refuses what git does not allow in a branch or tag, before it becomes part of a path.
pub(super) fn check_revision(revision: &str) -> Result<()> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.strip_suffix(".lock").is_some();
    let bad_whole = revision.contains(odd) || revision.contains("..") || revision.contains("@{");
    if revision.len() <= 200 && !bad_whole && !revision.split('/').any(bad_part) && !revision.ends_with('.') {
        return Ok(());
    }
    Err(Error::Model(vec![
        Fault::new("backbone.revision", format!("{} cannot be a revision", quote(revision)))
            .accepts("a branch, a tag or a commit, for example main")
            .help("copy it from the list of files on the model's page, or leave it out for main"),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_name_or_a_revision_is_refused() {
        for good in ["gpt2", "a/b", "Qwen/Qwen2.5-0.5B_x", &"a".repeat(96)] {
            assert!(RepositoryId::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(97);
        for bad in ["", "/", "a/", "/a", "a/b/c", "../a", "a/..", "a b", "a--b", "-a", "a.git", "a\\b", "é/a", &long] {
            assert!(RepositoryId::parse(bad).is_err(), "{bad}");
        }
        let help = |text| RepositoryId::parse(text).expect_err("no name").to_string();
        assert!(help("https://huggingface.co/org/name/tree/main").contains("only: \"org/name\""));
        assert!(help("./models/x").contains("backbone.path"));
        for good in ["main", "v1.0", "refs/pr/1", &"a1".repeat(20)] {
            assert!(check_revision(good).is_ok(), "{good}");
        }
        for bad in ["", "..", "a/../b", "/etc/passwd", "a//b", "a b", ".x", "a\n", "a.lock", "c:\\x", "a?b"] {
            assert!(check_revision(bad).is_err(), "{bad}");
        }
    }
}
