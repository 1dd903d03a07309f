//! Finds a model in the local Hugging Face cache: repository id and revision in, snapshot folder out.
//!
//! The cache is the one that huggingface_hub keeps: `models--org--name/refs/<revision>` holds a commit, and
//! `snapshots/<commit>/` holds the files, as links into `blobs/` or, where links cannot be made, as files.

use std::path::{Path, PathBuf};

use super::hub_files::{self, Lacking};
pub use super::hub_name::RepositoryId;
use super::hub_name::{check_revision, is_commit};
use crate::error::{Error, Fault, Result, did_you_mean, quote};
use crate::files;
use crate::progress::Progress;

/// Looks an environment variable up; handed in, so that tests need not change the process's own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One commit of a model on this disk, with all files a backbone needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The folder that holds config.json, tokenizer.json and the weights.
    pub folder: PathBuf,
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
}

/// Finds a model in the cache and, where the feature `hub` is built in and the cache lacks it, fetches it.
///
/// A revision that is in the cache is taken from there without asking the hub, so a branch stays where it was first
/// fetched. `revision` is a branch, a tag or a commit (full, or at least its first 5 digits).
///
/// # Errors
/// [`Error::Model`] when the model is neither in the cache nor to be had, [`Error::Io`] when reading, writing or the
/// network fails.
pub fn resolve(repository: &RepositoryId, revision: &str, progress: &dyn Progress) -> Result<Snapshot> {
    resolve_in(repository, revision, &|name| std::env::var(name).ok(), progress)
}

/// As [`resolve`], with the environment handed in.
///
/// # Errors
/// As [`resolve`].
#[cfg(feature = "hub")]
pub fn resolve_in(
    repository: &RepositoryId,
    revision: &str,
    environment: Environment<'_>,
    progress: &dyn Progress,
) -> Result<Snapshot> {
    check_revision(revision)?;
    let cache = cache_folder(environment)?;
    match look(&cache, repository, revision)? {
        Ok(snapshot) => Ok(snapshot),
        Err(faults) if is_true(environment, "HF_HUB_OFFLINE") || is_true(environment, "TRANSFORMERS_OFFLINE") => {
            let help = "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) forbids the network: unset it to fetch the model";
            Err(Error::Model(faults.into_iter().map(|fault| fault.help(help)).collect()))
        }
        Err(_) => super::hub_download::download(&cache, repository, revision, environment, progress),
    }
}

/// As [`resolve`], with the environment handed in.
///
/// # Errors
/// As [`resolve`].
#[cfg(not(feature = "hub"))]
pub fn resolve_in(
    repository: &RepositoryId,
    revision: &str,
    environment: Environment<'_>,
    _progress: &dyn Progress,
) -> Result<Snapshot> {
    find(repository, revision, environment)
}

/// Finds the snapshot of a revision in the cache, without any network.
///
/// # Errors
/// [`Error::Model`] when the model, the revision or a file of it is not there; [`Error::Io`] when the cache cannot be
/// read.
pub fn find(repository: &RepositoryId, revision: &str, environment: Environment<'_>) -> Result<Snapshot> {
    check_revision(revision)?;
    look(&cache_folder(environment)?, repository, revision)?.map_err(Error::Model)
}

/// What the cache holds of a revision: the whole snapshot, or what is lacking.
fn look(cache: &Path, repository: &RepositoryId, revision: &str) -> Result<Result<Snapshot, Vec<Fault>>> {
    let folder = cache.join(repository.folder());
    let fetch = how_to_fetch(repository, revision);
    if !folder.is_dir() {
        return Ok(Err(vec![not_cached(cache, repository, &fetch)?]));
    }
    let commit = match commit_of(&folder, revision)? {
        Ok(commit) => commit,
        Err(fault) => return Ok(Err(vec![fault.help(fetch)])),
    };
    let snapshot = Snapshot { folder: folder.join("snapshots").join(&commit), commit };
    if !snapshot.folder.is_dir() {
        let found = format!("commit {} of {repository} has no snapshot in the cache", snapshot.commit);
        return Ok(Err(vec![Fault::new(snapshot.folder.display(), found).help(fetch)]));
    }
    let roots = [cache, folder.as_path()];
    let lacking = hub_files::lacking(&snapshot.folder, &roots)?;
    if lacking.is_empty() {
        return Ok(Ok(snapshot));
    }
    let interrupted = files::list(&folder.join("blobs"))?
        .iter()
        .any(|path| path.extension().is_some_and(|extension| extension == "incomplete"));
    let again = if interrupted { "a download was interrupted: " } else { "" };
    let faults = lacking.into_iter().map(|Lacking { place, found, help }| {
        Fault::new(place, found).help(help.unwrap_or_else(|| format!("{again}{fetch}")))
    });
    Ok(Err(faults.collect()))
}

fn how_to_fetch(repository: &RepositoryId, revision: &str) -> String {
    let revision = if revision == "main" { String::new() } else { format!(" --revision {revision}") };
    let built = if cfg!(feature = "hub") { "" } else { ", or build this program with `--features hub`" };
    format!("fetch it with `hf download {repository}{revision}`{built}")
}

fn not_cached(cache: &Path, repository: &RepositoryId, fetch: &str) -> Result<Fault> {
    let models: Vec<String> = files::list_folders(cache)?
        .iter()
        .filter_map(|path| path.file_name()?.to_str()?.strip_prefix("models--").map(|name| name.replacen("--", "/", 1)))
        .collect();
    let names: Vec<&str> = models.iter().map(String::as_str).collect();
    let bare = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let similar = did_you_mean(repository.as_str(), &names)
        .or_else(|| names.iter().copied().find(|name| bare(name) == bare(repository.as_str())));
    let found = format!("{repository} is not in the Hugging Face cache {}", files::shown(cache));
    let fault = match names.len() {
        0 if cache.is_dir() => Fault::new("backbone.hub", found + ", which holds no model"),
        0 => Fault::new("backbone.hub", found + ", which does not exist"),
        count => Fault::new("backbone.hub", found).accepts(format!(
            "a model that is there: {}{}",
            names[..count.min(10)].join(", "),
            if count > 10 { format!(" and {} more", count - 10) } else { String::new() }
        )),
    };
    let meant = similar.map_or(String::new(), |name| format!("did you mean {name}? Otherwise "));
    Ok(fault.help(format!("{meant}{fetch}; HF_HUB_CACHE or HF_HOME name another cache")))
}

/// The commit a revision stands for, in the order huggingface_hub looks: a full commit, a ref, a shortened commit.
fn commit_of(folder: &Path, revision: &str) -> Result<Result<String, Fault>> {
    if is_commit(revision) {
        return Ok(Ok(revision.to_ascii_lowercase()));
    }
    let reference = folder.join("refs").join(revision);
    if reference.is_file() {
        let text = files::read_text(&reference, "the revision")?;
        let commit = text.trim();
        return Ok(if is_commit(commit) {
            Ok(commit.to_owned())
        } else {
            let found = format!("this revision's file holds {}", quote(commit));
            Err(Fault::new(reference.display(), found).accepts("a commit of 40 hexadecimal digits"))
        });
    }
    let commits: Vec<String> = files::list_folders(&folder.join("snapshots"))?
        .iter()
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .filter(|name| is_commit(name))
        .collect();
    let short = revision.len() >= 5 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    let matching: Vec<&String> =
        commits.iter().filter(|commit| short && commit.starts_with(&revision.to_ascii_lowercase())).collect();
    if let [commit] = matching[..] {
        return Ok(Ok(commit.clone()));
    }
    let mut known = references(&folder.join("refs"), "", 0)?;
    known.extend(commits.iter().cloned());
    let (found, accepted) = if matching.is_empty() {
        ("this revision is not in the cache", format!("one that is there: {}", known.join(", ")))
    } else {
        let matching: Vec<&str> = matching.into_iter().map(String::as_str).collect();
        ("several commits begin so", matching.join(" or "))
    };
    let fault = Fault::new("backbone.revision", format!("{}: {found}, {}", quote(revision), files::shown(folder)));
    Ok(Err(if accepted.ends_with(": ") { fault } else { fault.accepts(accepted) }))
}

/// The names under `refs/`; a branch with a slash is a folder in it.
fn references(folder: &Path, prefix: &str, depth: usize) -> Result<Vec<String>> {
    let name = |path: &PathBuf| path.file_name().map(|name| format!("{prefix}{}", name.to_string_lossy()));
    let mut names: Vec<String> = files::list(folder)?.iter().filter_map(name).collect();
    for inner in files::list_folders(folder)?.iter().filter(|_| depth < 4) {
        names.extend(references(inner, &format!("{}/", name(inner).unwrap_or_default()), depth + 1)?);
    }
    Ok(names)
}

/// The cache's folder, by the variables that huggingface_hub reads, in its order. An empty variable counts as unset.
///
/// # Errors
/// [`Error::Model`] when no variable names it and there is no home folder.
pub(super) fn cache_folder(environment: Environment<'_>) -> Result<PathBuf> {
    for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"] {
        if let Some(folder) = variable(environment, name) {
            return Ok(expand(&folder, environment));
        }
    }
    Ok(home_folder(environment)?.join("hub"))
}

/// The folder of cache, token and settings: `HF_HOME`, else `huggingface` in the user's cache folder.
pub(super) fn home_folder(environment: Environment<'_>) -> Result<PathBuf> {
    if let Some(folder) = variable(environment, "HF_HOME") {
        return Ok(expand(&folder, environment));
    }
    if let Some(folder) = variable(environment, "XDG_CACHE_HOME") {
        return Ok(expand(&folder, environment).join("huggingface"));
    }
    let home = user_home(environment).ok_or_else(|| {
        Error::Model(vec![
            Fault::new("backbone.hub", "there is no home folder to look for the Hugging Face cache in")
                .help("set HF_HOME or HF_HUB_CACHE to the cache's folder"),
        ])
    })?;
    Ok(Path::new(&home).join(".cache").join("huggingface"))
}

fn user_home(environment: Environment<'_>) -> Option<String> {
    variable(environment, "HOME").or_else(|| variable(environment, "USERPROFILE"))
}

pub(super) fn variable(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

/// Whether a variable is switched on, by the words huggingface_hub takes.
#[cfg(feature = "hub")]
pub(super) fn is_true(environment: Environment<'_>, name: &str) -> bool {
    environment(name).is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()))
}

/// Puts the home folder for a leading `~` and values for `$NAME` and `${NAME}`; unknown names stay as they are.
pub(super) fn expand(text: &str, environment: Environment<'_>) -> PathBuf {
    let text = match (text.strip_prefix('~'), user_home(environment)) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => text.to_owned(),
    };
    let mut pieces = text.split('$');
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = match piece.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None => piece.split_at(piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(piece.len())),
        };
        match environment(name).filter(|_| !name.is_empty()) {
            Some(value) => whole.extend([value.as_str(), rest]),
            None => whole.extend(["$", piece]),
        }
    }
    PathBuf::from(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    const OTHER: &str = "0123499999abcdef0123456789abcdef01234567";

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// A cache with one whole model, `org/small`, laid out as huggingface_hub does it.
    fn cache() -> tempfile::TempDir {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let folder = cache.path().join("models--org--small");
        write(&folder.join("refs/main"), COMMIT);
        write(&folder.join("refs/refs/pr/1"), OTHER);
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            let blob = folder.join("blobs").join(format!("blob-{name}"));
            write(&blob, "content");
            let link = folder.join("snapshots").join(COMMIT).join(name);
            fs::create_dir_all(link.parent().expect("a folder")).expect("made");
            link_or_copy(&format!("../../blobs/blob-{name}"), &blob, &link);
        }
        cache
    }

    #[cfg(unix)]
    fn link_or_copy(target: &str, _blob: &Path, link: &Path) {
        std::os::unix::fs::symlink(target, link).expect("linked");
    }

    #[cfg(not(unix))]
    fn link_or_copy(_target: &str, blob: &Path, link: &Path) {
        fs::copy(blob, link).expect("copied");
    }

    fn find_in(cache: &Path, repository: &str, revision: &str) -> Result<Snapshot> {
        let value = cache.to_string_lossy().into_owned();
        let environment = |name: &str| (name == "HF_HUB_CACHE").then(|| value.clone());
        find(&RepositoryId::parse(repository)?, revision, &environment)
    }

    fn said(result: Result<Snapshot>) -> String {
        result.expect_err("a fault").to_string()
    }

    #[test]
    fn branch_full_commit_and_short_commit_lead_to_the_same_snapshot() -> Result<()> {
        let cache = cache();
        for revision in ["main", COMMIT, "01234567", &COMMIT.to_uppercase()] {
            let snapshot = find_in(cache.path(), "org/small", revision)?;
            assert_eq!(snapshot.commit, COMMIT);
            assert_eq!(fs::read_to_string(snapshot.folder.join("config.json")).expect("read"), "content");
        }
        Ok(())
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        // Each row: variables, and the folder that huggingface_hub 2.4's `constants.HF_HUB_CACHE` gives for them
        // (`tests/fixtures/hub_interop.py` asks it again).
        let rows: [(&[(&str, &str)], &str); 8] = [
            (&[], "/home/me/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], "/h/hub"),
            (&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
            (&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")], "/new"),
            (&[("HF_HOME", "~/h")], "/home/me/h/hub"),
            (&[("HF_HUB_CACHE", "$SCRATCH/${USER}_hub/$UNSET"), ("SCRATCH", "/s"), ("USER", "me")], "/s/me_hub/$UNSET"),
            (&[("HF_HUB_CACHE", "~other/hub")], "~other/hub"),
        ];
        for (variables, expected) in rows {
            let environment = |name: &str| {
                let all = variables.iter().chain(&[("HOME", "/home/me")]);
                all.copied().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
            };
            assert_eq!(cache_folder(&environment).expect("a folder"), Path::new(expected), "{variables:?}");
        }
        assert!(cache_folder(&|_| None).expect_err("no home").to_string().contains("HF_HOME"));
    }

    #[test]
    fn a_model_that_is_not_there_names_those_that_are() {
        let cache = cache();
        let text = said(find_in(cache.path(), "org/smal", "main"));
        assert!(text.contains("did you mean org/small?") && text.contains("hf download org/smal"), "{text}");
        assert!(text.contains(&*cache.path().to_string_lossy()) && text.contains("is there: org/small"), "{text}");
        assert!(said(find_in(cache.path(), "small", "main")).contains("did you mean org/small?"));
        assert!(!said(find_in(cache.path(), "else/thing", "main")).contains("did you mean"));
        let nowhere = cache.path().join("nowhere");
        assert!(said(find_in(&nowhere, "org/small", "main")).contains("which does not exist"));
    }

    #[test]
    fn a_revision_that_is_not_there_names_those_that_are() {
        let cache = cache();
        let text = said(find_in(cache.path(), "org/small", "v2"));
        assert!(text.contains(&format!("one that is there: main, refs/pr/1, {COMMIT}")), "{text}");
        assert!(text.contains("hf download org/small --revision v2"), "{text}");
        let folder = cache.path().join("models--org--small");
        write(&folder.join("snapshots").join(OTHER).join("config.json"), "content");
        assert!(said(find_in(cache.path(), "org/small", "01234")).contains("several commits begin so"));
        assert!(said(find_in(cache.path(), "org/small", OTHER)).contains("tokenizer.json: this file is missing"));
        assert!(said(find_in(cache.path(), "org/small", &"a".repeat(40))).contains("has no snapshot"));
        write(&folder.join("refs/bad"), "../../../etc");
        assert!(said(find_in(cache.path(), "org/small", "bad")).contains("40 hexadecimal digits"));
    }

    #[test]
    fn every_lacking_file_is_named_at_once() {
        let cache = cache();
        let folder = cache.path().join("models--org--small");
        let snapshot = folder.join("snapshots").join(COMMIT);
        for name in ["tokenizer.json", "model.safetensors"] {
            fs::remove_file(snapshot.join(name)).expect("removed");
        }
        write(&snapshot.join("pytorch_model.bin"), "pickle");
        let text = said(find_in(cache.path(), "org/small", "main"));
        assert!(text.contains("tokenizer.json: this file is missing") && text.contains("is a pickle"), "{text}");
        write(&folder.join("blobs/abc.incomplete"), "con");
        assert!(said(find_in(cache.path(), "org/small", "main")).contains("a download was interrupted"));
    }

    #[test]
    #[cfg(unix)]
    fn links_that_lead_nowhere_or_out_of_the_cache_are_faults() {
        let cache = cache();
        let folder = cache.path().join("models--org--small");
        fs::remove_file(folder.join("blobs/blob-config.json")).expect("removed");
        let elsewhere = tempfile::NamedTempFile::new().expect("a file");
        let link = folder.join("snapshots").join(COMMIT).join("tokenizer.json");
        fs::remove_file(&link).expect("removed");
        std::os::unix::fs::symlink(elsewhere.path(), &link).expect("linked");
        let text = said(find_in(cache.path(), "org/small", "main"));
        assert!(text.contains("config.json: this file's link leads nowhere"), "{text}");
        assert!(text.contains("tokenizer.json: this file's link leads out of the cache"), "{text}");
    }

    #[test]
    fn sharded_weights_are_whole_only_with_every_shard() -> Result<()> {
        let cache = cache();
        let snapshot = cache.path().join("models--org--small/snapshots").join(COMMIT);
        fs::remove_file(snapshot.join("model.safetensors")).expect("removed");
        let index = r#"{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}"#;
        write(&snapshot.join("model.safetensors.index.json"), index);
        write(&snapshot.join("model-1-of-2.safetensors"), "content");
        let text = said(find_in(cache.path(), "org/small", "main"));
        assert!(text.contains("model-2-of-2") && !text.contains("model-1-of-2"), "{text}");
        write(&snapshot.join("model-2-of-2.safetensors"), "content");
        find_in(cache.path(), "org/small", "main")?;
        for bad in ["{", "{}", r#"{"weight_map": {"a": "../../x.safetensors"}}"#, r#"{"weight_map": {"a": "x.bin"}}"#] {
            write(&snapshot.join("model.safetensors.index.json"), bad);
            assert!(said(find_in(cache.path(), "org/small", "main")).contains("index.json: "), "{bad}");
        }
        Ok(())
    }
}
