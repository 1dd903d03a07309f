//! The only user of `std::fs`: reads that name the path and its purpose, writes that are atomic, digests.
//!
//! Writes go temp file → write → fsync → rename → fsync directory, so a reader sees the old file or the new one and
//! a kill leaves at most a `.tmp-*` file behind, which no reader looks at.

mod growing;
mod scratch;
mod stream;

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Fault, Result};
pub use growing::{Growing, Lock, grow, link_or_copy, lock, rename};
pub use scratch::Scratch;
pub use stream::Stream;

/// A blake3 digest (32 bytes); shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Digest of one byte string.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Digest of several byte strings, each preceded by its length so that no two lists collide by concatenation.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The first 12 hexadecimal digits, for file names and messages.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    /// The 64 hexadecimal digits, as ASCII.
    pub fn hexadecimal(&self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0u8; 64];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        digits
    }

    /// Reads 64 hexadecimal digits back.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let (mut bytes, mut seen) = ([0u8; 32], 0);
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = pair.map(|digit| DIGIT_VALUES[usize::from(digit)]);
            *byte = high << 4 | low;
            seen |= high | low;
        }
        (seen < 16).then_some(Self(bytes))
    }
}

/// The values of the bytes that are hexadecimal digits; 16 for others.
const DIGIT_VALUES: [u8; 256] = {
    let mut values = [16; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value];
        values[digit as usize] = value as u8;
        values[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    values
};

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hexadecimal()).unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn fault(path: &Path, doing: &str, purpose: &str, error: &std::io::Error) -> Fault {
    let fault = Fault::new(path.display(), format!("cannot {doing} {purpose}: {error}"));
    match error.kind() {
        std::io::ErrorKind::NotFound => fault.help("check the path"),
        std::io::ErrorKind::PermissionDenied => fault.help("give this user the right to it, or choose another path"),
        std::io::ErrorKind::StorageFull => fault.help("free some space or choose another output folder"),
        _ => fault,
    }
}

fn io_error(path: &Path, doing: &str, purpose: &str, error: &std::io::Error) -> Error {
    Error::Io(vec![fault(path, doing, purpose, error)])
}

/// Opens a regular file for reading. `purpose` completes the sentence "cannot read …".
///
/// # Errors
/// [`Error::Io`] when it is missing, unreadable or not a regular file (a folder, a pipe, a device).
pub fn open(path: &Path, purpose: &str) -> Result<fs::File> {
    let metadata = fs::metadata(path).map_err(|error| io_error(path, "read", purpose, &error))?;
    if !metadata.is_file() {
        let kind = if metadata.is_dir() { "a folder" } else { "not a regular file" };
        return Err(Error::Io(vec![
            Fault::new(path.display(), format!("cannot read {purpose}: it is {kind}")).accepts("a regular file"),
        ]));
    }
    fs::File::open(path).map_err(|error| io_error(path, "read", purpose, &error))
}

/// Reads a whole file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path, purpose: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, purpose)?.read_to_end(&mut bytes).map_err(|error| io_error(path, "read", purpose, &error))?;
    Ok(bytes)
}

/// Reads a whole UTF-8 file.
///
/// # Errors
/// As [`open`], and when the bytes are not UTF-8.
pub fn read_text(path: &Path, purpose: &str) -> Result<String> {
    String::from_utf8(read(path, purpose)?).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Error::Io(vec![
            Fault::new(path.display(), format!("{purpose} is not UTF-8: first bad byte at offset {offset}"))
                .help("save the file as UTF-8"),
        ])
    })
}

/// Writes a whole file atomically, making its folder where needed.
///
/// # Errors
/// [`Error::Io`]; the previous file, if any, is then still whole and the temporary one is removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = parent(path);
    create_folder(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".tmp-{}-{name}", std::process::id()));
    let written = write_and_sync(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(io_error(path, "write", "the file", &error));
    }
    sync_folder(folder)
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(folder: &Path) -> Result<()> {
    fs::File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|error| io_error(folder, "sync", "the folder", &error))
}

/// The folder a path stands in; `.` for a bare file name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Makes a folder and those above it.
///
/// # Errors
/// [`Error::Io`] when a file is in the way or the right is missing.
pub fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| io_error(folder, "create", "the folder", &error))
}

/// Proves that `folder` can be written before long work starts, by writing and removing a small file there.
///
/// # Errors
/// [`Error::Io`] when it cannot.
pub fn probe_writable(folder: &Path) -> Result<()> {
    // Its own name, so that runs which share a cache do not take each other's probe away.
    let probe = folder.join(format!(".tmp-probe-{}", std::process::id()));
    write_atomic(&probe, b"probe")?;
    remove(&probe)
}

/// Removes one file.
///
/// # Errors
/// [`Error::Io`] when it is missing or the right is.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|error| io_error(path, "remove", "the file", &error))
}

/// The files of a folder in name order; empty when the folder does not exist. Temporary files are not listed.
///
/// # Errors
/// [`Error::Io`] when the folder exists but cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = |error: std::io::Error| io_error(folder, "list", "the folder", &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let temporary = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp-"));
        if path.is_file() && !temporary {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The folders in a folder, in name order; empty when it does not exist.
///
/// # Errors
/// [`Error::Io`] when the folder exists but cannot be read.
pub fn list_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = |error: std::io::Error| io_error(folder, "list", "the folder", &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// `path` made absolute without asking the disk about links: `..` and `.` are resolved by name.
pub fn absolute(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            std::path::Component::ParentDir => {
                whole.pop();
            }
            std::path::Component::CurDir => {}
            other => whole.push(other),
        }
    }
    whole
}

/// A path as a person would write it here: relative to the current folder where it lies inside, absolute elsewhere.
pub fn shown(path: &Path) -> String {
    let (whole, here) = (absolute(path), absolute(Path::new(".")));
    match whole.strip_prefix(&here) {
        Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
        Ok(inside) => inside.display().to_string(),
        Err(_) => whole.display().to_string(),
    }
}

/// A path for what is written down and passed on: relative to the current folder where it lies inside or nearby (at most
/// two folders up), `~/…` below the home folder, absolute elsewhere. So a report hardly ever names its user.
pub fn discreet(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.parent().is_some());
    discreet_from(&absolute(path), &absolute(Path::new(".")), home.as_deref())
}

fn discreet_from(whole: &Path, here: &Path, home: Option<&Path>) -> String {
    let near = relative(here, whole);
    let ups = near.components().filter(|part| *part == std::path::Component::ParentDir).count();
    // From a folder near the root everything is near, which would make a riddle of a plain absolute path.
    if ups == 0 || ups <= UPS && here.components().count() > ups + 1 {
        return near.display().to_string();
    }
    match home.and_then(|home| whole.strip_prefix(home).ok()) {
        Some(inside) => Path::new("~").join(inside).display().to_string(),
        None => whole.display().to_string(),
    }
}

/// So many folders up a relative path still reads well.
const UPS: usize = 2;

/// The way from the folder `from` to `to`, with `..` where needed, so that a folder tree can be moved as a whole.
pub fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to) = (absolute(from), absolute(to));
    let shared = from.components().zip(to.components()).take_while(|(left, right)| left == right).count();
    let up = from.components().skip(shared).map(|_| std::path::Component::ParentDir);
    let relative: PathBuf = up.chain(to.components().skip(shared)).collect();
    if relative.as_os_str().is_empty() { PathBuf::from(".") } else { relative }
}

/// How many files this process may have open at once; `None` where the system does not say.
pub fn most_open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_to_pass_on_are_near_at_home_or_whole() {
        let shown =
            |whole: &str| discreet_from(Path::new(whole), Path::new("/srv/work/project"), Some(Path::new("/home/ada")));
        for (whole, expected) in [
            ("/srv/work/project", "."),
            ("/srv/work/project/data/a.jsonl", "data/a.jsonl"),
            ("/srv/work/other/a.jsonl", "../other/a.jsonl"),
            ("/home/ada/models/mini", "~/models/mini"),
            ("/home/bob/models/mini", "/home/bob/models/mini"),
            ("/mnt/data", "/mnt/data"),
        ] {
            assert_eq!(shown(whole), expected);
        }
    }

    #[test]
    fn atomic_write_replaces_and_leaves_no_temporary() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("deep/er/file");
        write_atomic(&path, b"one")?;
        write_atomic(&path, b"two")?;
        assert_eq!(read(&path, "test")?, b"two");
        assert_eq!(fs::read_dir(parent(&path)).expect("readable").count(), 1);
        Ok(())
    }

    #[test]
    fn parts_do_not_collide_by_concatenation() {
        let left = Digest::of_parts([b"ab".as_slice(), b"c"]);
        assert_ne!(left, Digest::of_parts([b"a".as_slice(), b"bc"]));
        assert_eq!(Digest::parse(&left.to_string()), Some(left));
        assert_eq!(Digest::parse(&left.to_string().to_uppercase()), Some(left));
        assert_eq!(left.to_string(), left.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let spoiled = |bad: &str| Digest::parse(&format!("{bad}{}", &left.to_string()[bad.len()..]));
        assert_eq!([Digest::parse("zz"), spoiled("g"), spoiled("+"), spoiled("é")], [None; 4]);
    }

    #[test]
    fn relative_paths_lead_back() {
        assert_eq!(relative(Path::new("/a/b/c"), Path::new("/a/d/e")), Path::new("../../d/e"));
        assert_eq!(relative(Path::new("/a/b"), Path::new("/a/b")), Path::new("."));
        assert_eq!(absolute(Path::new("/a/../b/./c")), Path::new("/b/c"));
    }

    #[test]
    fn shown_paths_are_short_inside_the_current_folder() {
        assert_eq!(shown(&absolute(Path::new("some/../file"))), "file");
        assert_eq!(shown(Path::new(".")), ".");
        assert_eq!(shown(Path::new("/nowhere/file")), "/nowhere/file");
    }
}
