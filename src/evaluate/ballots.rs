//! How far several labelers of the same pairs agree, with each other and with a head.

use std::collections::BTreeMap;

use super::intervals::{Spread, clustered_mean};
use super::statistic::{Statistic, Undefined};

/// What several labelers said of one pair.
///
/// For chance-corrected measures `first` must not be chosen by these votes. If it always names the majority's answer,
/// one verdict is the most frequent by construction, agreement looks like chance, and α and κ come out far too low.
/// The order of the items' keys, for instance, knows nothing of votes; [`Ballot::turned`] changes sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ballot {
    /// Votes for the first answer.
    pub first: u32,
    /// Votes for the second answer.
    pub second: u32,
    /// Votes for neither.
    pub tied: u32,
    /// The prompt's index, by which intervals are clustered.
    pub cluster: usize,
}

impl Ballot {
    /// The same votes with the two answers the other way round.
    #[must_use]
    pub fn turned(self) -> Self {
        Self { first: self.second, second: self.first, ..self }
    }

    fn counts(&self) -> [f64; 3] {
        [self.first, self.second, self.tied].map(f64::from)
    }

    fn votes(&self) -> u64 {
        u64::from(self.first) + u64::from(self.second) + u64::from(self.tied)
    }
}

/// Krippendorff's α = 1 − D_o/D_e for the nominal verdicts first, second and tied (Krippendorff, Content Analysis,
/// 2004): 1 where all labelers of every pair agree, 0 where they agree as often as by chance. Pairs with fewer than
/// two votes are left out; `n` is how many pairs were used. The 95% interval is a jackknife over prompts.
pub fn krippendorff_alpha(ballots: &[Ballot]) -> Statistic {
    let pairable: Vec<Ballot> = ballots.iter().copied().filter(|ballot| ballot.votes() > 1).collect();
    beyond_chance(&pairable, !ballots.is_empty(), |sums| {
        let n: f64 = sums.counts.iter().sum();
        // D_o = Σ disagreement / n and D_e = (n² − Σ n_c²) / (n (n − 1)).
        (sums.disagreement * (n - 1.0), n * n - sums.counts.iter().map(|count| count * count).sum::<f64>())
    })
}

/// Fleiss' κ = (P̄ − P̄_e) / (1 − P̄_e) for the verdicts first, second and tied (Fleiss, Psychological Bulletin 1971).
/// It needs equally many votes for every pair: only pairs with the most frequent number of votes from two upwards are
/// used (the larger number when two are equally frequent); `n` is how many. The 95% interval is a jackknife over
/// prompts.
pub fn fleiss_kappa(ballots: &[Ballot]) -> Statistic {
    let mut frequency: BTreeMap<u64, usize> = BTreeMap::new();
    for ballot in ballots.iter().filter(|ballot| ballot.votes() > 1) {
        *frequency.entry(ballot.votes()).or_insert(0) += 1;
    }
    let votes = frequency.iter().max_by_key(|(votes, pairs)| (**pairs, **votes)).map_or(0, |(votes, _)| *votes);
    let equal: Vec<Ballot> = ballots.iter().copied().filter(|ballot| votes > 1 && ballot.votes() == votes).collect();
    beyond_chance(&equal, !ballots.is_empty(), |sums| {
        // 1 − P̄ = Σ disagreement / n and 1 − P̄_e = 1 − Σ (n_c/n)², both times n².
        let n: f64 = sums.counts.iter().sum();
        (sums.disagreement * n, n * n - sums.counts.iter().map(|count| count * count).sum::<f64>())
    })
}

/// The sums that both chance-corrected measures are functions of.
#[derive(Clone, Copy, Default)]
struct Sums {
    /// Votes for first, second and tied.
    counts: [f64; 3],
    /// Over pairs: ordered couples of unlike votes, divided by the other votes each vote meets.
    disagreement: f64,
}

impl Sums {
    fn add(&mut self, other: &Self, sign: f64) {
        for (count, added) in self.counts.iter_mut().zip(other.counts) {
            *count += sign * added;
        }
        self.disagreement += sign * other.disagreement;
    }

    fn of(ballot: &Ballot) -> Self {
        let counts = ballot.counts();
        let votes: f64 = counts.iter().sum();
        let alike: f64 = counts.iter().map(|count| count * count).sum();
        Self { counts, disagreement: (votes * votes - alike) / (votes - 1.0) }
    }

    /// Whether at most one verdict was ever given; counts are whole numbers, so this is exact.
    fn one_class(&self) -> bool {
        self.counts.iter().filter(|count| **count > 0.0).count() < 2
    }
}

/// 1 − observed/expected over the ballots, with a jackknife over clusters; `ratio` gives the two of the sums.
fn beyond_chance(ballots: &[Ballot], any: bool, ratio: impl Fn(&Sums) -> (f64, f64)) -> Statistic {
    if ballots.is_empty() {
        return Statistic::Unknown { undefined: if any { Undefined::TooFewLabelers } else { Undefined::NoValues } };
    }
    let mut all = Sums::default();
    let mut clusters: BTreeMap<usize, Sums> = BTreeMap::new();
    for ballot in ballots {
        let sums = Sums::of(ballot);
        all.add(&sums, 1.0);
        clusters.entry(ballot.cluster).or_default().add(&sums, 1.0);
    }
    let value = |sums: &Sums| {
        let (observed, expected) = ratio(sums);
        (!sums.one_class()).then_some(1.0 - observed / expected)
    };
    let Some(agreement) = value(&all) else { return Statistic::Unknown { undefined: Undefined::OneClass } };
    let without = |sums: &Sums| {
        let mut rest = all;
        rest.add(sums, -1.0);
        value(&rest)
    };
    let deletes: Vec<Option<f64>> = clusters.values().map(without).collect();
    Statistic::Known(Spread::of_deletes(&deletes, ballots.len()).around(agreement, (-1.0, 1.0)))
}

/// How often two random labelers of one pair say the same, as a mean over the pairs with at least two votes, with a 95%
/// interval clustered by prompt.
///
/// The counterpart of [`agreement_with_labelers`]: one of the two labelers stands in for the head. A head's margin of
/// zero and a labeler's tie earn ½ there, so a couple of votes with a tie in it earns ½ here, two ties also: whoever
/// does not decide gets what a coin would. For a comparison give both the same ballots, those with at least two votes.
/// A head can be better than this, because it may side with the majority, and a random labeler may not be of it.
pub fn labeler_agreement(ballots: &[Ballot]) -> Statistic {
    let agreement = |ballot: &Ballot| {
        let [first, second, tied] = ballot.counts();
        let votes = first + second + tied;
        let same = first * (first - 1.0) + second * (second - 1.0);
        let with_tie = tied * (2.0 * (first + second) + tied - 1.0);
        (votes > 1.0).then(|| ((same + with_tie / 2.0) / (votes * (votes - 1.0)), ballot.cluster))
    };
    let rows: Vec<(f64, usize)> = ballots.iter().filter_map(agreement).collect();
    let none = if ballots.is_empty() { Undefined::NoValues } else { Undefined::TooFewLabelers };
    clustered_mean(&rows, (0.0, 1.0)).ok_or(none).into()
}

/// How often a head agrees with a random labeler: the share of each pair's votes on the side of the head's margin
/// (first less second), as a mean over the pairs with a vote, with a 95% interval clustered by prompt. A tied vote
/// counts one half, and so does every vote on a margin of zero.
pub fn agreement_with_labelers(margins: &[f64], ballots: &[Ballot]) -> Statistic {
    if margins.len() != ballots.len() {
        return Statistic::Unknown { undefined: Undefined::UnequalLengths };
    }
    if margins.iter().any(|margin| !margin.is_finite()) {
        return Statistic::Unknown { undefined: Undefined::NotFinite };
    }
    let agreement = |(margin, ballot): (&f64, &Ballot)| {
        let [first, second, tied] = ballot.counts();
        let votes = first + second + tied;
        let with_head = match *margin {
            0.0 => f64::midpoint(first, second),
            margin if margin > 0.0 => first,
            _ => second,
        };
        (votes > 0.0).then(|| ((with_head + tied / 2.0) / votes, ballot.cluster))
    };
    let rows: Vec<(f64, usize)> = margins.iter().zip(ballots).filter_map(agreement).collect();
    clustered_mean(&rows, (0.0, 1.0)).ok_or(Undefined::NoValues).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn ballot(first: u32, second: u32, tied: u32, cluster: usize) -> Ballot {
        Ballot { first, second, tied, cluster }
    }

    /// Agreement of couples of labelers by going through them.
    fn by_couples(ballot: &Ballot) -> f64 {
        let votes: Vec<i32> = [(ballot.first, 1), (ballot.second, -1), (ballot.tied, 0)]
            .into_iter()
            .flat_map(|(count, vote)| vec![vote; count as usize])
            .collect();
        let (mut sum, mut couples) = (0.0, 0.0);
        for (index, left) in votes.iter().enumerate() {
            for right in &votes[..index] {
                sum += f64::from(left * right + 1) / 2.0;
                couples += 1.0;
            }
        }
        sum / couples
    }

    #[test]
    fn agreement_of_labelers_is_that_of_all_couples() {
        for (first, second, tied) in [(3, 0, 0), (2, 1, 0), (1, 1, 1), (0, 0, 4), (5, 2, 3), (0, 1, 1)] {
            let ballot = ballot(first, second, tied, 0);
            let found = labeler_agreement(&[ballot]).value().expect("two votes");
            assert!((found - by_couples(&ballot)).abs() < 1e-12, "{ballot:?}");
            assert_eq!(labeler_agreement(&[ballot.turned()]).value(), Some(found));
        }
        assert_eq!(labeler_agreement(&[ballot(1, 0, 0, 0)]).undefined(), Some(Undefined::TooFewLabelers));
        assert_eq!(labeler_agreement(&[]).undefined(), Some(Undefined::NoValues));
    }

    #[test]
    fn a_head_meets_random_labelers() {
        let ballots =
            [ballot(3, 1, 0, 0), ballot(1, 1, 2, 1), ballot(0, 2, 0, 2), ballot(0, 0, 0, 3), ballot(2, 0, 1, 4)];
        // 3/4, 1/2, 1, no vote, and a margin of zero
        let found = agreement_with_labelers(&[0.1, -2.0, -3.0, 9.0, -0.0], &ballots).known().expect("votes");
        assert_eq!((found.value, found.n, found.clusters), ((0.75 + 0.5 + 1.0 + 0.5) / 4.0, 4, 4));
        assert_eq!(agreement_with_labelers(&[0.1], &ballots).undefined(), Some(Undefined::UnequalLengths));
        assert_eq!(agreement_with_labelers(&[], &[]).undefined(), Some(Undefined::NoValues));
        let nan = agreement_with_labelers(&[f64::NAN], &ballots[..1]);
        assert_eq!(nan.undefined(), Some(Undefined::NotFinite));
    }

    #[test]
    fn fleiss_takes_the_most_frequent_number_of_votes() {
        let three = [ballot(3, 0, 0, 0), ballot(1, 2, 0, 1), ballot(0, 2, 1, 2)];
        let five = [ballot(5, 0, 0, 3), ballot(1, 4, 0, 4), ballot(2, 2, 1, 5)];
        let one = vec![ballot(1, 0, 0, 6); 9];
        let mixed = [&one[..], &five[..], &three[..]].concat();
        assert_eq!(fleiss_kappa(&mixed).known(), fleiss_kappa(&five).known());
        assert_eq!(fleiss_kappa(&mixed[..mixed.len() - 1]).known().map(|kappa| kappa.n), Some(3));
        assert_eq!(fleiss_kappa(&mixed[10..]).known(), fleiss_kappa(&three).known());
        assert_eq!(fleiss_kappa(&one).undefined(), Some(Undefined::TooFewLabelers));
        assert_eq!(fleiss_kappa(&[ballot(3, 0, 0, 0); 4]).undefined(), Some(Undefined::OneClass));
    }

    #[test]
    fn no_certainty_from_a_few_prompts() {
        let perfect: Vec<Ballot> =
            (0..10).map(|i| if i % 2 == 0 { ballot(3, 0, 0, i) } else { ballot(0, 3, 0, i) }).collect();
        let alpha = krippendorff_alpha(&perfect).known().expect("two classes");
        assert!(alpha.value == 1.0 && alpha.high == 1.0 && alpha.low < 0.5);
        // Without the only prompt where a second answer wins, α is not defined.
        let hanging = [ballot(3, 0, 0, 0), ballot(3, 0, 0, 1), ballot(3, 0, 0, 2), ballot(0, 3, 0, 3)];
        let alpha = krippendorff_alpha(&hanging).known().expect("two classes");
        assert_eq!((alpha.value, alpha.low, alpha.high), (1.0, -1.0, 1.0));
    }

    #[test]
    fn naming_the_majority_first_hides_agreement() {
        let fair: Vec<Ballot> =
            (0..100).map(|i| if i % 2 == 0 { ballot(4, 1, 0, i) } else { ballot(1, 4, 0, i) }).collect();
        let majority: Vec<Ballot> = fair.iter().map(|one| if one.first > 2 { *one } else { one.turned() }).collect();
        let (fair, majority) = (krippendorff_alpha(&fair).value(), krippendorff_alpha(&majority).value());
        assert!(fair > Some(0.19) && majority < Some(0.0), "{fair:?} {majority:?}");
    }

    #[test]
    fn intervals_cover_the_truth() {
        const RUNS: u32 = 1000;
        // Whatever the better answer is, a labeler picks it with 0.8; every answer is the better one half of the time,
        // so two labelers agree with 0.8² + 0.2² and by chance with ½.
        let truth = 2.0 * (0.64 + 0.04) - 1.0;
        let mut random = Random::new(5);
        let mut covered = [0_u32; 2];
        for _ in 0..RUNS {
            let mut ballots = Vec::new();
            for cluster in 0..80 {
                let first_is_better = random.uniform() < 0.5;
                for _ in 0..=cluster % 3 {
                    let votes = (0..3).map(|_| u32::from((random.uniform() < 0.8) == first_is_better)).sum();
                    ballots.push(ballot(votes, 3 - votes, 0, cluster));
                }
            }
            for (covered, statistic) in covered.iter_mut().zip([krippendorff_alpha(&ballots), fleiss_kappa(&ballots)]) {
                let found = statistic.known().expect("both verdicts");
                *covered += u32::from((found.low..=found.high).contains(&truth));
            }
        }
        let shares = covered.map(|covered| f64::from(covered) / f64::from(RUNS));
        assert!(shares.iter().all(|share| (share - 0.95).abs() < 0.025), "{shares:?}");
    }
}
