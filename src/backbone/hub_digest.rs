//! Checks a downloaded file against its etag: sha256 for large files, the git blob's sha1 for small ones.
//!
//! Sha1 is here because git names its blobs so (FIPS 180-4, section 6.1.2); it finds damage, not forgery.

use std::io::Read;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Fault, Result};
use crate::files;

/// Why the file is not the one that `etag` names; `None` when it is. An etag that is neither a sha256 nor a sha1 says
/// nothing about the content, so then only `size` is checked.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read.
pub(super) fn differs(path: &Path, etag: &str, size: Option<u64>) -> Result<Option<String>> {
    let found = path.metadata().map_or(0, |metadata| metadata.len());
    if let Some(size) = size.filter(|size| *size != found) {
        return Ok(Some(format!("it has {found} bytes, announced were {size}")));
    }
    let hexadecimal = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (kind, digests) = match etag.len() {
        64 if hexadecimal => {
            let mut hasher = Sha256::new();
            stream(path, |bytes| hasher.update(bytes))?;
            ("sha256", vec![hex(&hasher.finalize())])
        }
        40 if hexadecimal => {
            // Git counts its own heading in; mirrors that are no git take the sha1 of the bytes alone.
            let (mut blob, mut plain) = (Sha1::new(), Sha1::new());
            blob.update(format!("blob {found}\0").as_bytes());
            stream(path, |bytes| {
                blob.update(bytes);
                plain.update(bytes);
            })?;
            ("sha1", vec![hex(&blob.finish()), hex(&plain.finish())])
        }
        _ => return Ok(None),
    };
    let same = digests.iter().any(|digest| digest.eq_ignore_ascii_case(etag));
    Ok((!same).then(|| format!("its {kind} is {}, announced was {etag}", digests[0])))
}

fn stream(path: &Path, mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut file = files::open(path, "the downloaded file")?;
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Io(vec![Fault::new(path.display(), error)])),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Sha1 {
    state: [u32; 5],
    block: Vec<u8>,
    length: u64,
}

impl Sha1 {
    fn new() -> Self {
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
        Self { state, block: Vec::with_capacity(64), length: 0 }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(bytes.len().min(64 - self.block.len()));
            self.block.extend_from_slice(taken);
            bytes = rest;
            if self.block.len() == 64 {
                self.mix();
                self.block.clear();
            }
        }
    }

    #[expect(clippy::many_single_char_names, reason = "the letters are those of the standard")]
    fn mix(&mut self) {
        let mut words = [0u32; 80];
        for (word, bytes) in words.iter_mut().zip(self.block.chunks_exact(4)) {
            *word = bytes.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        }
        for index in 16..80 {
            let mixed = words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16];
            words[index] = mixed.rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = self.state;
        for (index, word) in words.into_iter().enumerate() {
            let (choice, constant) = match index / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6u32),
            };
            let next = a.rotate_left(5).wrapping_add(choice).wrapping_add(e).wrapping_add(constant).wrapping_add(word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (state, word) in self.state.iter_mut().zip([a, b, c, d, e]) {
            *state = state.wrapping_add(word);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let bits = self.length.wrapping_mul(8);
        self.update(&[0x80]);
        while self.block.len() != 56 {
            self.update(&[0]);
        }
        self.update(&bits.to_be_bytes());
        self.state.iter().flat_map(|word| word.to_be_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha1(parts: &[&[u8]]) -> String {
        let mut hasher = Sha1::new();
        parts.iter().for_each(|part| hasher.update(part));
        hex(&hasher.finish())
    }

    /// The examples of FIPS 180 and the borders of the padding, the latter as `sha1sum` gives them.
    #[test]
    fn sha1_gives_the_published_digests() {
        assert_eq!(sha1(&[]), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(sha1(&[b"a", b"bc"]), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sha1(&[[b'a'; 1000].as_slice(); 1000]), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
        for (length, expected) in SHA1_OF_A {
            assert_eq!(sha1(&[&vec![b'a'; length]]), expected, "{length}");
        }
    }

    /// The file is "hello\n"; its blob's name is what `git hash-object` gives.
    #[test]
    fn a_file_is_known_by_any_of_its_etags() -> Result<()> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "hello\n").expect("written");
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        for etag in
            ["ce013625030ba8dba906f756967f9e9ca394464a", "f572d396fae9206628714fb2ce00f72e94f2258f", sha256, "v1"]
        {
            assert_eq!(differs(file.path(), etag, Some(6))?, None, "{etag}");
            assert!(differs(file.path(), etag, Some(7))?.is_some_and(|why| why.contains("6 bytes")));
        }
        for etag in ["0".repeat(40), "0".repeat(64)] {
            assert!(differs(file.path(), &etag, None)?.is_some_and(|why| why.contains(&etag)));
        }
        Ok(())
    }

    const SHA1_OF_A: [(usize, &str); 5] = [
        (55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
        (56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"),
        (63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"),
        (64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
        (65, "11655326c708d70319be2610e8a57d9a5b959d3b"),
    ];
}
