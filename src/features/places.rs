//! Where the row of a key goes: the wanted keys, sorted, each with its place.

use crate::files::Digest;

/// The places of keys, found by key: at most 56 bytes a key, whatever the width of its row.
pub struct Places {
    sorted: Vec<(Digest, usize)>,
    /// Where the keys of each group of leading bits begin in `sorted`, and the end. Keys are digests, so that about two
    /// share a group: a key is found by looking at these, not by a search over all.
    starts: Vec<usize>,
}

impl Places {
    /// The place of a key is its position in `keys`; a key that comes twice has two places.
    pub fn new(keys: impl IntoIterator<Item = Digest>) -> Self {
        let mut sorted: Vec<(Digest, usize)> = keys.into_iter().zip(0..).collect();
        sorted.sort_unstable_by(|left, right| leading(&left.0).cmp(&leading(&right.0)).then_with(|| left.cmp(right)));
        let groups = (sorted.len() / 2).next_power_of_two();
        let mut starts = vec![0; groups + 1];
        sorted.iter().for_each(|(key, _)| starts[group(key, groups) + 1] += 1);
        for index in 0..groups {
            starts[index + 1] += starts[index];
        }
        Self { sorted, starts }
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
    pub fn of<'a>(&'a self, key: &'a Digest) -> impl Iterator<Item = usize> + 'a {
        let group = group(key, self.starts.len() - 1);
        let near = &self.sorted[self.starts[group]..self.starts[group + 1]];
        near.iter().filter(move |(known, _)| known == key).map(|(_, place)| *place)
    }

    /// The places whose key has an earlier place as well.
    pub fn repeated(&self) -> impl Iterator<Item = usize> {
        self.sorted.chunk_by(|left, right| left.0 == right.0).flat_map(|same| &same[1..]).map(|(_, place)| *place)
    }
}

/// The first eight bytes of a digest as a number, in the digests' own order.
fn leading(key: &Digest) -> u64 {
    key.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Which of `groups` (a power of two) a key belongs to.
fn group(key: &Digest, groups: usize) -> usize {
    leading(key).checked_shr(64 - groups.ilog2()).unwrap_or(0) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_the_positions_of_the_key(seeds in prop::collection::vec(0u16..50, 0..120)) {
            let key = |seed: u16| Digest::of(&seed.to_le_bytes());
            let places = Places::new(seeds.iter().map(|seed| key(*seed)));
            prop_assert_eq!((places.len(), places.is_empty()), (seeds.len(), seeds.is_empty()));
            let positions = |seed: u16| -> Vec<usize> {
                (0..seeds.len()).filter(|&index| seeds[index] == seed).collect()
            };
            for seed in 0..60 {
                prop_assert_eq!(places.of(&key(seed)).collect::<Vec<_>>(), positions(seed));
            }
            let mut repeated: Vec<usize> = places.repeated().collect();
            repeated.sort_unstable();
            let later = (0..seeds.len()).filter(|&index| seeds[..index].contains(&seeds[index]));
            prop_assert_eq!(repeated, later.collect::<Vec<usize>>());
        }
    }

    #[test]
    fn keys_that_begin_alike_are_told_apart() {
        let key = |last: u8| {
            let mut bytes = [7; 32];
            bytes[31] = last;
            Digest(bytes)
        };
        let places = Places::new((0..100).map(|index| key(index % 90)));
        for seed in 0..100 {
            let expected: Vec<usize> = (0..100).filter(|index| index % 90 == usize::from(seed)).collect();
            assert_eq!(places.of(&key(seed)).collect::<Vec<_>>(), expected);
        }
        assert_eq!(places.repeated().collect::<Vec<_>>(), (90..100).collect::<Vec<_>>());
    }
}
