//! The server's `/metrics` as numbers.

/// One line of the Prometheus text format.
struct Series {
    name: String,
    /// What stands between the braces.
    labels: String,
    value: f64,
}

/// All series of one reading.
pub(crate) struct Metrics(Vec<Series>);

impl Metrics {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(series).collect())
    }

    /// Label sets and values of all series of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let found = self.0.iter().filter(move |series| series.name == name);
        found.map(|series| (series.labels.as_str(), series.value))
    }

    /// The series of a name without labels; NaN, which no condition accepts, where there is none.
    pub(crate) fn value(&self, name: &str) -> f64 {
        self.all(name).next().map_or(f64::NAN, |(_, value)| value)
    }

    /// The sum over the series of a name that have all these labels; 0 where there is none yet.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let has = |found: &str| labels.iter().all(|label| found.split(',').any(|found| found == *label));
        self.all(name).filter(|(found, _)| has(found)).map(|(_, value)| value).sum()
    }

    /// Requests for scores that were answered with this status.
    pub(crate) fn answered(&self, status: u16) -> f64 {
        let status = format!("status=\"{status}\"");
        self.sum("ensemble_requests_total", &["route=\"score\"", &status])
    }

    /// Texts by where their features came from: computed, shared, recent or cancelled.
    pub(crate) fn texts_from(&self, source: &str) -> f64 {
        self.sum("ensemble_texts_total", &[&format!("from=\"{source}\"")])
    }

    /// The gauges of the queue: items, tokens, bytes.
    pub(crate) fn queue(&self) -> [f64; 3] {
        ["items", "tokens", "bytes"].map(|unit| self.value(&format!("ensemble_queue_{unit}")))
    }
}

fn series(line: &str) -> Option<Series> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}')?;
    Some(Series { name: name.to_owned(), labels: labels.to_owned(), value: value.parse().ok()? })
}
