//! Where the row of a key goes: the wanted keys, sorted, each with its place.

use crate::files::Digest;

/// The places of keys, found by key: about 40 bytes a key, whatever the width of its row.
pub struct Places {
    sorted: Vec<(Digest, usize)>,
}

impl Places {
    /// The place of a key is its position in `keys`; a key that comes twice has two places.
    pub fn new(keys: impl IntoIterator<Item = Digest>) -> Self {
        let mut sorted: Vec<(Digest, usize)> = keys.into_iter().zip(0..).collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    /// Places.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The places of one key, ascending; none when it is not wanted.
    pub fn of<'a>(&'a self, key: &Digest) -> impl Iterator<Item = usize> + use<'a> {
        let first = self.sorted.partition_point(|(known, _)| known < key);
        let key = *key;
        self.sorted[first..].iter().take_while(move |(known, _)| *known == key).map(|(_, place)| *place)
    }

    /// The places whose key has an earlier place as well.
    pub fn repeated(&self) -> impl Iterator<Item = usize> {
        self.sorted.chunk_by(|left, right| left.0 == right.0).flat_map(|same| &same[1..]).map(|(_, place)| *place)
    }
}
