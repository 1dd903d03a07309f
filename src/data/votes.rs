//! How several labelers voted on one pair.

use std::cmp::Ordering;

/// How many labelers preferred which answer of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Votes {
    /// Votes for the pair's chosen answer.
    pub chosen: u32,
    /// Votes for the pair's rejected answer.
    pub rejected: u32,
    /// Votes for neither.
    pub tied: u32,
}

impl Votes {
    /// The same votes with the two answers the other way round.
    #[must_use]
    pub fn turned(self) -> Self {
        Self { chosen: self.rejected, rejected: self.chosen, ..self }
    }

    /// The share of votes for the chosen answer, ties half; 0 without votes.
    pub(super) fn share(self) -> f64 {
        let [chosen, rejected, tied] = [self.chosen, self.rejected, self.tied].map(f64::from);
        (chosen + tied / 2.0) / (chosen + rejected + tied).max(1.0)
    }

    /// One vote for each two scores of the answers: for the answer that one of them rates higher.
    pub(super) fn of_scores<'a>(scores: impl Iterator<Item = (&'a f64, &'a f64)>) -> Self {
        let mut votes = Self::default();
        for (chosen, rejected) in scores {
            let count = match chosen.total_cmp(rejected) {
                Ordering::Greater => &mut votes.chosen,
                Ordering::Equal => &mut votes.tied,
                Ordering::Less => &mut votes.rejected,
            };
            *count = count.saturating_add(1);
        }
        votes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_ties_as_half_and_turn_round() {
        let votes = Votes::of_scores([(2.0, 1.0), (1.0, 1.0), (3.0, -1.0), (0.0, 5.0)].iter().map(|(a, b)| (a, b)));
        assert_eq!(votes, Votes { chosen: 2, rejected: 1, tied: 1 });
        assert_eq!((votes.share(), votes.turned().share()), (0.625, 0.375));
        assert_eq!(votes.turned().turned(), votes);
        assert_eq!(Votes::default().share(), 0.0);
    }
}
