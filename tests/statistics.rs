//! Every statistic of `evaluate` beside SciPy, scikit-learn, statsmodels and krippendorff, on the cases of
//! `fixtures/make_statistics.py`: equal to 1e-9, and where those have no number, the right reason.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use ensemble::evaluate::{
    Ballot, Correlation, Estimate, Outcome, Statistic, Undefined, accuracy, agreement_with_labelers, average_ranks,
    brier, clustered_mean, cohen_kappa, conflict_rate, correlation, expected_calibration_error, fleiss_kappa,
    histogram, kendall, kolmogorov_smirnov, krippendorff_alpha, labeler_agreement, log_loss, mean, pearson, quantile,
    reliability, sign_agreement, slope, spearman, standard_deviation, wasserstein, wilson,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A mean, or any statistic, with the ends of its interval where the library has one.
type Interval = (f64, Option<f64>, Option<f64>);

/// The cases of one kind.
fn cases<T: DeserializeOwned>(kind: &str) -> Vec<T> {
    let text = std::fs::read_to_string("tests/fixtures/statistics.json").expect("the fixture");
    let mut all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let cases: Vec<T> = serde_json::from_value(all[kind].take()).expect("cases");
    assert!(!cases.is_empty());
    cases
}

/// Compares, and keeps the largest relative deviation and how many numbers were compared.
#[derive(Default)]
struct Check {
    largest: f64,
    compared: usize,
}

impl Check {
    fn number(&mut self, found: f64, truth: f64, place: &str) {
        // Relative, but for values below one: those of one formula are of one size, and zero has no relative deviation.
        let deviation = (found - truth).abs() / truth.abs().max(1.0);
        assert!(deviation < 1e-9, "{place}: {found} is not {truth}");
        self.largest = self.largest.max(deviation);
        self.compared += 1;
    }

    fn option(&mut self, found: Option<f64>, truth: Option<f64>, place: &str) {
        match (found, truth) {
            (None, None) => self.compared += 1,
            (Some(found), Some(truth)) => self.number(found, truth, place),
            other => panic!("{place}: {other:?}"),
        }
    }

    /// A statistic whose value the library knows, or that has no value for the reason `why`.
    fn statistic(&mut self, found: Statistic, truth: Option<f64>, why: Undefined, place: &str) {
        self.option(found.value(), truth, place);
        if let Some(undefined) = found.undefined() {
            assert_eq!(undefined, why, "{place}");
        }
        if let Some(Estimate { value, low, high, .. }) = found.known() {
            assert!((-1.0..=1.0).contains(&low) && low <= value && value <= high && high <= 1.0, "{place}: {found:?}");
        }
    }

    /// A mean and its interval within `range`, which is wide where the library's has no width.
    fn interval(&mut self, found: Option<Estimate>, truth: Option<Interval>, range: (f64, f64), place: &str) {
        let (Some(found), Some((value, low, high))) = (found, truth) else {
            assert!(found.is_none() && truth.is_none(), "{place}: {found:?} {truth:?}");
            return;
        };
        self.number(found.value, value, place);
        match (low, high) {
            (Some(low), Some(high)) => {
                self.number(found.low, low.max(range.0), place);
                self.number(found.high, high.min(range.1), place);
            }
            _ => {
                assert!(
                    found.low <= value && value <= found.high && found.high - found.low > 0.1,
                    "{place}: {found:?}"
                );
            }
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        println!("{} figures, largest relative deviation {:.1e}", self.compared, self.largest);
    }
}

#[derive(Deserialize)]
struct Pairs {
    name: String,
    x: Vec<f64>,
    y: Vec<f64>,
    clusters: Vec<usize>,
    pearson: Option<f64>,
    spearman: Option<f64>,
    kendall: Option<f64>,
    kappa: Option<f64>,
    agreement: Option<Interval>,
    conflict: Option<Interval>,
    slope: Option<(f64, f64, f64)>,
    intercept: Option<f64>,
}

#[test]
fn correlations_and_signs() {
    let mut check = Check::default();
    for Pairs { name, x, y, clusters, pearson: r, spearman: rho, kendall: tau, kappa, agreement, conflict, .. } in
        cases("pairs")
    {
        check.option(pearson(&x, &y), r, &format!("{name}: pearson"));
        check.option(spearman(&x, &y), rho, &format!("{name}: spearman"));
        check.option(kendall(&x, &y), tau, &format!("{name}: kendall"));
        let why = [Undefined::NoValues, Undefined::TooFewValues, Undefined::Constant][x.len().min(2)];
        for (kind, truth) in [(Correlation::Pearson, r), (Correlation::Spearman, rho), (Correlation::Kendall, tau)] {
            check.statistic(correlation(kind, &x, &y, &clusters), truth, why, &format!("{name}: {kind:?}"));
        }
        let why = if x.is_empty() { Undefined::NoValues } else { Undefined::OneClass };
        check.statistic(cohen_kappa(&x, &y, &clusters), kappa, why, &format!("{name}: kappa"));
        let share = (0.0, 1.0);
        let found = sign_agreement(&x, &y, &clusters);
        check.interval(found.known(), agreement, share, &format!("{name}: agreement"));
        let found = conflict_rate(&x, &y, &clusters);
        check.interval(found.known(), conflict, share, &format!("{name}: conflict"));
        assert_eq!(found.undefined(), x.is_empty().then_some(Undefined::NoValues));
    }
}

#[test]
fn lines() {
    let mut check = Check::default();
    for Pairs { name, x, y, clusters, slope: truth, intercept, .. } in cases("pairs") {
        let found = slope(&x, &y, &clusters);
        let distinct: std::collections::BTreeSet<usize> = clusters.iter().copied().collect();
        match (found, truth, intercept) {
            (Ok(line), Some((value, low, high)), Some(intercept)) => {
                check.number(line.slope.value, value, &name);
                check.number(line.slope.low, low, &name);
                check.number(line.slope.high, high, &name);
                check.number(line.intercept, intercept, &name);
            }
            (Err(undefined), None, None) => {
                let why = match name.as_str() {
                    "empty" => Undefined::NoValues,
                    "one" | "two" => Undefined::TooFewValues,
                    "constant left" | "no sign" => Undefined::Constant,
                    _ => Undefined::TooFewClusters,
                };
                assert_eq!(undefined, why, "{name}");
                assert!(why != Undefined::TooFewClusters || distinct.len() < 3, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[derive(Deserialize)]
struct Outcomes {
    name: String,
    margins: Vec<f64>,
    preferences: Vec<f64>,
    clusters: Vec<usize>,
    accuracy: Option<Interval>,
    log_loss: Option<f64>,
    brier: Option<f64>,
    ece: Option<f64>,
    curve: Vec<Bin>,
}

#[derive(Deserialize)]
struct Bin {
    predicted: f64,
    observed: f64,
    n: usize,
    low: f64,
    high: f64,
}

#[test]
fn accuracy_losses_and_calibration() {
    let mut check = Check::default();
    for case in cases::<Outcomes>("outcomes") {
        let name = &case.name;
        let rows = case.margins.iter().zip(&case.preferences).zip(&case.clusters);
        let outcomes: Vec<Outcome> = rows
            .map(|((margin, preference), cluster)| Outcome {
                margin: *margin,
                preference: *preference,
                cluster: *cluster,
            })
            .collect();
        check.interval(accuracy(&outcomes), case.accuracy, (0.0, 1.0), &format!("{name}: accuracy"));
        check.option(log_loss(&outcomes), case.log_loss, &format!("{name}: log loss"));
        check.option(brier(&outcomes), case.brier, &format!("{name}: brier"));
        check.option(expected_calibration_error(&outcomes), case.ece, &format!("{name}: calibration"));
        let curve = reliability(&outcomes, 10);
        assert_eq!(curve.len(), case.curve.len(), "{name}");
        for (found, truth) in curve.iter().zip(&case.curve) {
            assert_eq!(found.n, truth.n, "{name}");
            check.number(found.predicted, truth.predicted, name);
            check.number(found.observed, truth.observed, name);
            check.number(found.low, truth.low, name);
            check.number(found.high, truth.high, name);
        }
    }
}

#[derive(Deserialize)]
struct Single {
    name: String,
    values: Vec<f64>,
    mean: Option<f64>,
    deviation: Option<f64>,
    quantiles: Vec<(f64, Option<f64>)>,
    range: (f64, f64),
    histogram: Vec<usize>,
    ranks: Vec<f64>,
}

#[test]
fn shapes_of_one_list() {
    let mut check = Check::default();
    for Single { name, values, mean: centre, deviation, quantiles, range, histogram: counts, ranks } in cases("singles")
    {
        check.option(mean(&values), centre, &name);
        check.option(standard_deviation(&values), deviation, &name);
        for (share, truth) in quantiles {
            check.option(quantile(&values, share), truth, &name);
        }
        assert_eq!(histogram(&values, counts.len(), range), counts, "{name}");
        assert_eq!(average_ranks(&values), ranks, "{name}");
    }
}

#[derive(Deserialize)]
struct Distances {
    name: String,
    left: Vec<f64>,
    right: Vec<f64>,
    ks: Option<f64>,
    wasserstein: Option<f64>,
}

#[test]
fn distances() {
    let mut check = Check::default();
    for Distances { name, left, right, ks, wasserstein: truth } in cases("distances") {
        check.option(kolmogorov_smirnov(&left, &right), ks, &name);
        check.option(wasserstein(&left, &right), truth, &name);
    }
}

#[derive(Deserialize)]
struct Ballots {
    name: String,
    rows: Vec<[u32; 3]>,
    clusters: Vec<usize>,
    margins: Vec<f64>,
    alpha: Option<f64>,
    alpha_interval: Option<[f64; 2]>,
    alpha_n: usize,
    kappa: Option<f64>,
    kappa_interval: Option<[f64; 2]>,
    kappa_n: usize,
    couples: Option<Interval>,
    with_head: Option<Interval>,
}

#[test]
fn labelers() {
    let mut check = Check::default();
    for case in cases::<Ballots>("ballots") {
        let name = &case.name;
        let ballot = |([first, second, tied], cluster): (&[u32; 3], &usize)| Ballot {
            first: *first,
            second: *second,
            tied: *tied,
            cluster: *cluster,
        };
        let ballots: Vec<Ballot> = case.rows.iter().zip(&case.clusters).map(ballot).collect();
        let why = match case.rows.iter().map(|row| row.iter().sum::<u32>()).max() {
            None => Undefined::NoValues,
            Some(..=1) => Undefined::TooFewLabelers,
            Some(_) => Undefined::OneClass,
        };
        let alpha = (krippendorff_alpha(&ballots), case.alpha, case.alpha_interval, case.alpha_n);
        let kappa = (fleiss_kappa(&ballots), case.kappa, case.kappa_interval, case.kappa_n);
        for (found, truth, interval, n) in [alpha, kappa] {
            check.statistic(found, truth, why, name);
            let Some(found) = found.known() else { continue };
            assert_eq!(found.n, n, "{name}");
            match interval {
                Some([low, high]) => {
                    check.number(found.low, low, name);
                    check.number(found.high, high, name);
                }
                None => assert!(found.high - found.low > 0.2, "{name}: {found:?}"),
            }
        }
        check.interval(labeler_agreement(&ballots).known(), case.couples, (0.0, 1.0), &format!("{name}: couples"));
        let found = agreement_with_labelers(&case.margins, &ballots);
        check.interval(found.known(), case.with_head, (0.0, 1.0), &format!("{name}: head"));
        // Turning every pair round changes nothing.
        let turned: Vec<Ballot> = ballots.iter().map(|ballot| ballot.turned()).collect();
        check.option(krippendorff_alpha(&turned).value(), case.alpha, name);
        let margins: Vec<f64> = case.margins.iter().map(|margin| -margin).collect();
        check.option(agreement_with_labelers(&margins, &turned).value(), found.value(), name);
    }
}

#[test]
fn intervals_of_shares() {
    let mut check = Check::default();
    for (share, n, low, high) in cases::<(f64, usize, f64, f64)>("wilson") {
        let found = wilson(share, n);
        check.number(found.0, low, "wilson");
        check.number(found.1, high, "wilson");
        // Where no cluster differs from another, the interval of a share of 0 or 1 is Wilson's.
        if share == 0.0 || share == 1.0 {
            let rows: Vec<(f64, usize)> = (0..2 * n).map(|row| (share, row % n)).collect();
            let truth = (share, Some(low), Some(high));
            check.interval(clustered_mean(&rows, (0.0, 1.0)), Some(truth), (0.0, 1.0), "no spread");
        }
    }
}
