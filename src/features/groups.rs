//! Which texts go through the forward pass together.

/// Cuts `texts` into groups of neighbours that cost at most `budget` together; a text that costs more is alone.
/// Neighbours that are `alike` stay in one group where all of them fit into one.
pub(super) fn groups<T>(
    texts: &[T],
    alike: impl Fn(&T, &T) -> bool,
    cost: impl Fn(&T) -> usize,
    budget: usize,
) -> Vec<&[T]> {
    let (mut groups, mut start, mut end, mut spent) = (Vec::new(), 0, 0, 0usize);
    for family in texts.chunk_by(alike) {
        let together: usize = family.iter().map(&cost).sum();
        // One that fits into no group is cut like texts that are not alike.
        let parts = if together <= budget { vec![(family.len(), together)] } else { singles(family, &cost) };
        for (count, part) in parts {
            if start < end && spent.saturating_add(part) > budget {
                groups.push(&texts[start..end]);
                (start, spent) = (end, 0);
            }
            (end, spent) = (end + count, spent.saturating_add(part));
        }
    }
    if start < end {
        groups.push(&texts[start..end]);
    }
    groups
}

/// Each text with its cost.
fn singles<T>(texts: &[T], cost: impl Fn(&T) -> usize) -> Vec<(usize, usize)> {
    texts.iter().map(|text| (1, cost(text))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_has_one_group_within_the_budget(
            texts in prop::collection::vec((0u8..6, 1usize..40), 0..60),
            budget in 1usize..100,
        ) {
            let cut = groups(&texts, |left, right| left.0 == right.0, |text| text.1, budget);
            let cost = |texts: &[(u8, usize)]| texts.iter().map(|text| text.1).sum::<usize>();
            prop_assert_eq!(cut.concat(), texts.clone());
            for group in &cut {
                prop_assert!(!group.is_empty() && (cost(group) <= budget || group.len() == 1));
            }
            // Texts that are alike are apart only where they fit into no group.
            let mut borders = vec![0];
            borders.extend(cut.iter().scan(0, |end, group| { *end += group.len(); Some(*end) }));
            let mut start = 0;
            for family in texts.chunk_by(|left, right| left.0 == right.0) {
                let inside = borders.iter().filter(|border| (start + 1..start + family.len()).contains(*border)).count();
                prop_assert!(inside == 0 || cost(family) > budget, "{:?} is cut by {:?}", family, borders);
                start += family.len();
            }
        }
    }

    #[test]
    fn groups_are_filled() {
        let cut = |texts: &[(char, usize)]| -> Vec<String> {
            let cut = groups(texts, |left, right| left.0 == right.0, |text| text.1, 10);
            cut.iter().map(|group| group.iter().map(|text| text.0).collect()).collect()
        };
        assert_eq!(cut(&[('a', 4), ('b', 3), ('b', 3), ('c', 1)]), ["abb", "c"]);
        assert_eq!(cut(&[('a', 5), ('b', 3), ('b', 3), ('c', 1)]), ["a", "bbc"]);
        // Six b are too many for any group: the room beside a is used.
        assert_eq!(cut(&[('a', 4), ('b', 3), ('b', 3), ('b', 3), ('b', 3), ('c', 12)]), ["abb", "bb", "c"]);
        assert_eq!(cut(&[]), Vec::<String>::new());
    }
}
