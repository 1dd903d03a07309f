//! The summary in words: what the page's template fills in. Nothing here escapes or draws.

use serde::Serialize;

use super::formula::formula;
use super::heads_view::{self, ControlView, CurveView, FitView};
use super::plots::{Chart, Figure, figures};
use super::summary::{
    BAG_OF_WORDS, DomainSummary, LONGER_WINS, ObjectiveSummary, ReadoutSummary, RunSummary, SHORTER_WINS, Standing,
    split_words,
};
use super::warnings::warnings;
use super::words::{UNDEFINED, clean, count, counted, fixed, interval, optional, percent};
use crate::error::Result;
use crate::evaluate::Estimate;
use crate::normalize::LEAST_RESPONSES;

const STYLE: &str = include_str!("../../assets/report.css");
const BASELINES: [(&str, &str); 3] =
    [(LONGER_WINS, "Longer wins"), (SHORTER_WINS, "Shorter wins"), (BAG_OF_WORDS, "Bag of words")];
const TABLES: [&str; 9] =
    ["metrics", "reliability", "scores", "correlations", "l2", "readouts", "controls", "learning_curves", "audit"];

#[derive(Serialize)]
pub(super) struct Page {
    css: &'static str,
    name: String,
    created_by: String,
    verdict: String,
    meta: String,
    warnings: Vec<WarningView>,
    baseline_names: Vec<&'static str>,
    columns: usize,
    rows: Vec<RowView>,
    figures: Vec<FigureView>,
    combined: CombinedView,
    audits: Vec<AuditView>,
    made: Vec<(&'static str, String)>,
    fits: Vec<FitView>,
    readouts: Vec<ReadoutView>,
    controls: Vec<ControlView>,
    curves: Vec<CurveView>,
    next: String,
    tables: [&'static str; 9],
}

#[derive(Serialize)]
struct WarningView {
    headline: String,
    remedy: String,
}

/// An accuracy in words.
#[derive(Serialize)]
struct EstimateView {
    name: String,
    value: String,
    interval: String,
    pairs: String,
    rival: bool,
}

#[derive(Serialize)]
struct RowView {
    name: String,
    labels: String,
    pairs: String,
    prompts: String,
    accuracy: EstimateView,
    baselines: Vec<EstimateView>,
    log_loss: String,
    log_loss_train: String,
    ece: String,
    standing: &'static str,
    mark: &'static str,
    verdict: String,
    groups: Vec<EstimateView>,
}

#[derive(Serialize)]
struct ChartView {
    svg: String,
    description: String,
}

#[derive(Serialize)]
struct FigureView {
    slug: &'static str,
    title: &'static str,
    caption: String,
    layout: &'static str,
    /// What stands there instead of charts when there is nothing to draw.
    single: Option<&'static str>,
    charts: Vec<ChartView>,
    narrow: Option<ChartView>,
}

#[derive(Serialize)]
struct CombinedView {
    formula: String,
    holistic: String,
}

#[derive(Serialize)]
struct AuditView {
    name: String,
    question: String,
    items: Vec<(String, String)>,
    sources: Vec<String>,
}

#[derive(Serialize)]
struct ReadoutView {
    pooling: String,
    layers: String,
    chosen: bool,
    log_loss: String,
    /// Name, accuracy and interval of each objective.
    objectives: Vec<(String, String, String)>,
}

/// Everything the template needs.
///
/// # Errors
/// [`crate::error::Error::Io`] when a chart cannot be drawn.
pub(super) fn view(summary: &RunSummary) -> Result<Page> {
    let warning = |warning: super::Warning| WarningView {
        headline: clean(&warning.headline()),
        remedy: clean(&warning.remedy()),
    };
    Ok(Page {
        css: STYLE,
        name: clean(&summary.name),
        created_by: clean(&summary.created_by),
        verdict: clean(&summary.verdict()),
        meta: meta(summary),
        warnings: warnings(summary).into_iter().map(warning).collect(),
        baseline_names: BASELINES.map(|(_, title)| title).to_vec(),
        columns: 6 + BASELINES.len(),
        rows: summary.objectives.iter().map(row).collect(),
        figures: figures(summary).iter().map(|one| figure(summary, one)).collect::<Result<Vec<FigureView>>>()?,
        combined: combined(summary),
        audits: summary.objectives.iter().map(audit).collect(),
        made: made(summary),
        fits: heads_view::fits(&summary.objectives),
        readouts: summary.readouts.iter().map(readout).collect(),
        controls: heads_view::controls(&summary.objectives),
        curves: heads_view::curves(&summary.objectives),
        next: clean(&summary.command_next),
        tables: TABLES,
    })
}

fn meta(summary: &RunSummary) -> String {
    let backbone = &summary.backbone;
    let pairs: usize = summary.objectives.iter().map(|objective| objective.test.pairs).sum();
    format!(
        "{} on one frozen backbone ({}) · {} test pairs · {} texts",
        counted(summary.objectives.len(), "head"),
        clean(&backbone.architecture),
        count(pairs),
        count(backbone.texts)
    )
}

fn estimate(name: &str, estimate: Option<Estimate>) -> EstimateView {
    EstimateView {
        name: clean(name),
        value: estimate.map_or_else(|| UNDEFINED.to_owned(), |estimate| percent(estimate.value)),
        interval: estimate.map_or_else(String::new, |estimate| interval(&estimate)),
        pairs: estimate.map_or_else(|| counted(0, "pair"), |estimate| counted(estimate.n, "pair")),
        rival: false,
    }
}

fn row(objective: &ObjectiveSummary) -> RowView {
    let hardest = objective.hardest_baseline().map(|(baseline, _)| baseline.name.as_str());
    let baseline = |(name, title): (&str, &str)| {
        let found = objective.baselines.iter().find(|baseline| baseline.name == name);
        let view = estimate(title, found.and_then(|baseline| baseline.accuracy));
        EstimateView { rival: hardest == Some(name), ..view }
    };
    let labels = objective.labels.iter().map(|(source, pairs)| format!("{} {}", clean(source), count(*pairs)));
    let (standing, mark) = match objective.standing() {
        Standing::Better => ("better", "Passed"),
        Standing::Unclear => ("unclear", "Unproven"),
        Standing::Worse => ("worse", "Failed"),
        Standing::Unknown => ("unknown", "Unknown"),
    };
    let train = objective.log_loss_train.map(|loss| format!("train {}", fixed(loss, 3)));
    RowView {
        name: clean(&objective.name),
        labels: labels.collect::<Vec<String>>().join(", "),
        pairs: count(objective.test.pairs),
        prompts: counted(objective.test.prompts, "prompt"),
        accuracy: estimate("Accuracy", objective.accuracy),
        baselines: BASELINES.into_iter().map(baseline).collect(),
        log_loss: optional(objective.log_loss, 3),
        log_loss_train: train.unwrap_or_default(),
        ece: optional(objective.ece, 3),
        standing,
        mark,
        verdict: clean(&objective.verdict()),
        groups: objective.groups.iter().map(|group| estimate(&group.name, group.accuracy)).collect(),
    }
}

fn figure(summary: &RunSummary, figure: &Figure) -> Result<FigureView> {
    let chart = |chart: &Chart| Ok(ChartView { svg: chart.svg()?, description: chart.description() });
    let alone = summary.objectives.len() < 2;
    let (title, caption, layout) = match figure.slug {
        "accuracy" => ("Accuracy beside its baselines", accuracy_caption(), "whole"),
        "reliability" => ("Do its probabilities hold?", reliability_caption(summary), "panels"),
        "scores" => ("How the scores are spread", scores_caption(), "panels"),
        "correlations" => ("Do the objectives agree?", correlations_caption(summary), "heat"),
        _ => ("How the penalty was chosen", l2_caption(), "panels"),
    };
    let lonely = (figure.slug == "correlations" && alone).then_some("With one objective there is nothing to compare.");
    Ok(FigureView {
        slug: figure.slug,
        title,
        caption,
        layout,
        single: lonely,
        charts: figure.charts.iter().map(chart).collect::<Result<Vec<ChartView>>>()?,
        narrow: figure.narrow.as_ref().map(chart).transpose()?,
    })
}

fn accuracy_caption() -> String {
    "Bars are 95% intervals, clustered by prompt. A head is worth using where blue lies clearly to the right of orange, \
     the baseline that is hardest to beat."
        .to_owned()
}

fn reliability_caption(summary: &RunSummary) -> String {
    let worst = summary
        .objectives
        .iter()
        .filter_map(|objective| Some((objective.ece?, objective)))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    let worst = worst.map_or_else(String::new, |(ece, objective)| {
        format!(" The largest mean gap (ECE) is {} points, for {}.", fixed(ece * 100.0, 1), clean(&objective.name))
    });
    format!(
        "On the dashed line, “80%” means that 80% of labelers agree. Points below it: the head is too sure of itself; \
         above it: too timid. Bars are 95% intervals of ten equally filled bins.{worst}"
    )
}

fn scores_caption() -> String {
    "One broad hump tells answers apart; a spike or a wall means that many answers get nearly the same score, and a \
     trainer learns little from them. The dashed line is the mean; the outermost 1% of scores is not drawn."
        .to_owned()
}

fn correlations_caption(summary: &RunSummary) -> String {
    let mut strongest: Option<(f64, &str, &str)> = None;
    for (row, (left, values)) in summary.objectives.iter().zip(&summary.correlations).enumerate() {
        for (right, value) in summary.objectives.iter().zip(values).skip(row + 1) {
            let stronger = |value: &f64| strongest.is_none_or(|known| value.abs() > known.0.abs());
            if let Some(value) = value.filter(stronger) {
                strongest = Some((value, &left.name, &right.name));
            }
        }
    }
    let strongest = strongest.map_or_else(String::new, |(value, left, right)| {
        format!(" The strongest tie is {} between {} and {}.", fixed(value, 2), clean(left), clean(right))
    });
    format!(
        "Spearman’s rank correlation of the scores of {}. Near 1, two objectives reward the same thing and one of them \
         adds little; below 0, they pull against each other and the weights decide.{strongest}",
        counted(summary.correlation_items, "test response")
    )
}

fn l2_caption() -> String {
    "Cross-validated loss on the training prompts for each penalty tried; a coin has 0.693. The chosen penalty (orange) \
     should lie in a valley; at either end, try more values."
        .to_owned()
}

fn combined(summary: &RunSummary) -> CombinedView {
    let combined = &summary.combined;
    let holistic = match (combined.holistic, combined.holistic_longer) {
        (Some(ours), longer) => {
            let longer = longer.map_or_else(String::new, |longer| {
                format!(
                    " Picking the longer answer would be right on {} ({}).",
                    percent(longer.value),
                    interval(&longer)
                )
            });
            let pairs = counted(ours.n, "pair");
            let accuracy = percent(ours.value);
            format!(
                "On {pairs} labelled all things considered, it is right on {accuracy} (95% {}).{longer}",
                interval(&ours)
            )
        }
        (None, _) => {
            "No pairs labelled all things considered were given, so the weights are taken on trust. Name some \
                      under `holistic` in the configuration to have the sum judged too."
                .to_owned()
        }
    };
    CombinedView { formula: formula(combined), holistic }
}

fn audit(objective: &ObjectiveSummary) -> AuditView {
    let audit = &objective.audit;
    let mut items = vec![
        ("Rows read".to_owned(), count(audit.rows)),
        ("Pairs kept".to_owned(), count(audit.pairs)),
        ("Training".to_owned(), split_words(objective.train)),
        ("Calibration".to_owned(), split_words(objective.calibration)),
        ("Test".to_owned(), split_words(objective.test)),
    ];
    items.extend(references(objective));
    items.extend(
        objective.labels.iter().map(|(source, pairs)| (format!("Labelled by: {}", clean(source)), count(*pairs))),
    );
    items.extend(audit.dropped.iter().map(|(reason, rows)| (format!("Left out: {}", clean(reason)), count(*rows))));
    items.push(("Duplicates".to_owned(), count(audit.duplicates)));
    items.push(("Contradictions".to_owned(), count(audit.contradictions)));
    items.push((
        "Test responses that stand word for word among the training ones".to_owned(),
        count(objective.repeated_responses),
    ));
    items
        .push(("Prompts marked for training and as held out (held out here)".to_owned(), count(audit.split_conflicts)));
    if audit.domain_conflicts > 0 {
        items.push(("Prompts put into several domains".to_owned(), count(audit.domain_conflicts)));
    }
    items.push(("The longer answer wins".to_owned(), audit.longer_wins.map_or_else(|| UNDEFINED.to_owned(), percent)));
    let words = [audit.mean_words_chosen, audit.mean_words_rejected].map(|words| optional(words, 1));
    items.push(("Words, chosen / rejected".to_owned(), words.join(" / ")));
    items.push(("Score against length (Spearman)".to_owned(), optional(objective.length_correlation, 2)));
    AuditView {
        name: clean(&objective.name),
        question: clean(&objective.question),
        items,
        sources: audit.sources.iter().map(|source| clean(source)).collect(),
    }
}

/// What the normalizers rest on.
fn references(objective: &ObjectiveSummary) -> Vec<(String, String)> {
    let reference = &objective.reference;
    let domain = |domain: &DomainSummary| {
        let whose = match domain.own {
            true => "a normalizer of its own",
            false if domain.responses < LEAST_RESPONSES => "too few, the overall normalizer",
            false => "all score the same, the overall normalizer",
        };
        let responses = counted(domain.responses, "response");
        (format!("Domain: {}", clean(&domain.name)), format!("{responses}, {whose}"))
    };
    let all = (format!("Reference responses: {}", clean(&reference.source)), count(reference.responses));
    std::iter::once(all).chain(reference.domains.iter().map(domain)).collect()
}

fn made(summary: &RunSummary) -> Vec<(&'static str, String)> {
    let backbone = &summary.backbone;
    let short_digest: String = clean(&backbone.fingerprint).chars().take(16).collect();
    vec![
        ("Backbone", clean(&backbone.path)),
        ("Architecture", clean(&backbone.architecture)),
        ("Fingerprint", short_digest),
        ("Layers", clean(&backbone.layers).replace('-', "\u{2212}")),
        ("Pooling", clean(&backbone.pooling).replace('_', " ")),
        ("Text format", clean(&backbone.template)),
        ("Features per text", count(backbone.width)),
        ("Longest input", counted(backbone.max_tokens, "token")),
        ("Distinct texts", count(backbone.texts)),
        ("Tokens", count(backbone.tokens)),
        ("Read by the model in this run", count(backbone.embedded)),
        ("Taken from the cache", count(backbone.cached)),
        ("Prompts that lost their oldest tokens", count(backbone.cut_prompts)),
        ("Responses that lost their middle", count(backbone.cut_responses)),
    ]
}

fn readout(readout: &ReadoutSummary) -> ReadoutView {
    ReadoutView {
        pooling: clean(&readout.pooling).replace('_', " "),
        layers: clean(&readout.layers),
        chosen: readout.chosen,
        log_loss: optional(readout.log_loss, 4),
        objectives: readout
            .objectives
            .iter()
            .map(|objective| {
                let value = objective.accuracy.map_or_else(|| UNDEFINED.to_owned(), |accuracy| percent(accuracy.value));
                let around = objective.accuracy.map_or_else(String::new, |accuracy| interval(&accuracy));
                (clean(&objective.name), value, around)
            })
            .collect(),
    }
}
