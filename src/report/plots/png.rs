//! Pixels to PNG bytes, in memory, so that [`crate::files`] can write them atomically and every run writes the same.
//!
//! Only what the report needs: 8-bit RGB, one image, no metadata (PNG specification, third edition, sections 5 and 11).

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// The PNG file of `width` × `height` RGB pixels, three bytes each, row by row.
pub(super) fn encode(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::with_capacity(13);
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    // Bit depth 8, colour type 2 (RGB), the only compression and filter method, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut file, *b"IHDR", &header);
    chunk(&mut file, *b"IDAT", &compress(pixels, width as usize * 3));
    chunk(&mut file, *b"IEND", &[]);
    file
}

/// Rows with filter type 0 (plots are flat colours, which compress well as they are), as one zlib stream.
fn compress(pixels: &[u8], row: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    for line in pixels.chunks_exact(row.max(1)) {
        // Writing to a vector cannot fail.
        let _ = encoder.write_all(&[0]).and_then(|()| encoder.write_all(line));
    }
    encoder.finish().unwrap_or_default()
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let mut checksum = Crc::new();
    checksum.update(&kind);
    checksum.update(data);
    file.extend((data.len() as u32).to_be_bytes());
    file.extend(kind);
    file.extend(data);
    file.extend(checksum.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_red_pixel_has_the_known_frame() {
        let file = encode(&[255, 0, 0], 1, 1);
        assert!(file.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90\x77\x53\xde"));
        // The checksum of an empty IEND chunk, as in every PNG file.
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
    }
}
