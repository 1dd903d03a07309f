//! What a download needs: a file that grows, is locked, renamed when whole, and linked.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{create_folder, io_error, parent, relative, sync_folder};
use crate::error::Result;

/// A file that is written piece by piece under the name it is to be continued by.
pub struct Growing {
    file: fs::File,
    path: PathBuf,
}

/// Opens a file to write on from byte `from`; what stood behind it is cut off.
///
/// # Errors
/// [`crate::error::Error::Io`] when it cannot be written.
pub fn grow(path: &Path, from: u64) -> Result<Growing> {
    let opened = fs::OpenOptions::new().create(true).append(true).open(path);
    let file = opened.and_then(|file| file.set_len(from).map(|()| file));
    let file = file.map_err(|error| io_error(path, "write", "the file", &error))?;
    Ok(Growing { file, path: path.to_owned() })
}

impl Growing {
    /// Writes at the end.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`]; what was written before stays.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| io_error(&self.path, "write", "the file", &error))
    }

    /// Makes sure that everything is on the disk.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] when it is not.
    pub fn close(self) -> Result<()> {
        self.file.sync_all().map_err(|error| io_error(&self.path, "write", "the file", &error))
    }
}

/// Gives a whole file its final name in the same folder.
///
/// # Errors
/// [`crate::error::Error::Io`] when it cannot.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| io_error(to, "write", "the file", &error))?;
    sync_folder(parent(to))
}

/// Makes `path` a relative link to `target`, or a copy of it where links cannot be made; replaces what is there.
///
/// # Errors
/// [`crate::error::Error::Io`] when neither can be made.
pub fn link_or_copy(target: &Path, path: &Path) -> Result<()> {
    let folder = parent(path);
    create_folder(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".tmp-{}-{name}", std::process::id()));
    let made = link(&relative(folder, target), &temporary)
        .or_else(|_| fs::copy(target, &temporary).map(|_| ()))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = made {
        let _ = fs::remove_file(&temporary);
        return Err(io_error(path, "write", "the file", &error));
    }
    sync_folder(folder)
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(not(any(unix, windows)))]
fn link(_target: &Path, _path: &Path) -> std::io::Result<()> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

/// Keeps other processes waiting at the same file until it is dropped.
pub struct Lock(#[expect(dead_code, reason = "dropping it opens the lock")] fs::File);

/// Waits for the lock of `path` and takes it; on a disk without locks nobody waits.
///
/// # Errors
/// [`crate::error::Error::Io`] when the file cannot be made.
pub fn lock(path: &Path) -> Result<Lock> {
    create_folder(parent(path))?;
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(|error| io_error(path, "lock", "the file", &error))?;
    match file.lock() {
        Err(error) if error.kind() != std::io::ErrorKind::Unsupported => {
            Err(io_error(path, "lock", "the file", &error))
        }
        _ => Ok(Lock(file)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{list, read_text};
    use super::*;

    #[test]
    fn a_growing_file_goes_on_where_it_is_told() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        for (from, piece, whole) in [(0, "one", "one"), (3, "two", "onetwo"), (2, "x", "onx"), (0, "new", "new")] {
            let mut growing = grow(&path, from)?;
            growing.write(piece.as_bytes())?;
            growing.close()?;
            assert_eq!(read_text(&path, "test")?, whole);
        }
        link_or_copy(&path, &folder.path().join("deep/link"))?;
        link_or_copy(&path, &folder.path().join("deep/link"))?;
        assert_eq!(list(&folder.path().join("deep"))?.len(), 1);
        assert_eq!(read_text(&folder.path().join("deep/link"), "test")?, "new");
        Ok(())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told_with_its_remedy() {
        let full = fs::OpenOptions::new().append(true).open("/dev/full").expect("the device that is always full");
        let mut growing = Growing { file: full, path: PathBuf::from("weights") };
        let text = growing.write(b"byte").expect_err("no room").to_string();
        assert!(text.contains("weights: cannot write") && text.contains("free some space"), "{text}");
    }
}
