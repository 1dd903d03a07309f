//! Every figure with its title and a caption that says what to conclude.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Result;
use crate::report::plots::{Chart, Figure, figures};
use crate::report::summary::{ObjectiveSummary, RunSummary, SweepMeasure};
use crate::report::words::{clean, counted, fixed, percent};

#[derive(Serialize)]
struct ChartView {
    svg: String,
    description: String,
}

#[derive(Serialize)]
pub(super) struct FigureView {
    slug: &'static str,
    title: &'static str,
    caption: String,
    layout: &'static str,
    charts: Vec<ChartView>,
    narrow: Option<ChartView>,
}

/// All figures by slug.
///
/// # Errors
/// [`crate::error::Error::Io`] when a chart cannot be drawn.
pub(super) fn all(summary: &RunSummary) -> Result<BTreeMap<&'static str, FigureView>> {
    figures(summary).iter().map(|one| Ok((one.slug, figure(summary, one)?))).collect()
}

fn figure(summary: &RunSummary, figure: &Figure) -> Result<FigureView> {
    let chart = |chart: &Chart| Ok(ChartView { svg: chart.svg()?, description: chart.description() });
    let (title, caption) = words(summary, figure.slug);
    let shown = figure.charts.len();
    let some = match (figure.left_out, figure.narrow.is_some()) {
        (0, _) => String::new(),
        (left_out, true) => format!(" {left_out} more objectives are not drawn; the tables have all."),
        (left_out, false) => format!(" The first {shown} of {} are shown; the tables have all.", shown + left_out),
    };
    Ok(FigureView {
        slug: figure.slug,
        title,
        caption: caption + &some,
        layout: match figure.slug {
            "accuracy" => "whole",
            "correlations" | "conflicts" | "cross_accuracy" => "heat",
            _ => "panels",
        },
        charts: figure.charts.iter().map(chart).collect::<Result<Vec<ChartView>>>()?,
        narrow: figure.narrow.as_ref().map(chart).transpose()?,
    })
}

fn words(summary: &RunSummary, slug: &str) -> (&'static str, String) {
    match slug {
        "accuracy" => ("Accuracy beside its baselines.", accuracy().to_owned()),
        "correlations" => ("Rank correlation of scores.", correlations(summary)),
        "conflicts" => ("Pairs on which two heads prefer different answers.", conflicts(summary)),
        "cross_accuracy" => ("Each head on each objective’s labels.", cross_accuracy().to_owned()),
        "reliability" => ("Do its probabilities hold?", reliability(summary)),
        "margins" => ("How far right and wrong pairs are apart.", margins(summary)),
        "scores" => ("Normalized scores.", scores().to_owned()),
        "raw_scores" => ("Raw scores.", raw_scores().to_owned()),
        "densities" => ("Two objectives at a time.", densities(summary)),
        "pareto" => ("Prompts with the longest fronts.", pareto().to_owned()),
        "weights" => ("Accuracy over all weights.", weights(summary)),
        "length" => ("Score against length.", length().to_owned()),
        "learning_curves" => ("Would more pairs help?", learning_curves().to_owned()),
        "drift" => ("How the scores moved.", drift().to_owned()),
        _ => ("How the penalty was chosen.", penalty().to_owned()),
    }
}

fn accuracy() -> &'static str {
    "Bars are 95% intervals, clustered by prompt. A head is worth using where blue lies clearly to the right of orange, the \
     baseline that is hardest to beat."
}

fn correlations(summary: &RunSummary) -> String {
    let known = summary.agreement.objectives.iter().filter_map(|two| Some((two, two.spearman.value()?)));
    let strongest = known.reduce(|most, next| if next.1.abs() > most.1.abs() { next } else { most });
    let strongest = strongest.map_or_else(String::new, |(two, value)| {
        format!(" The strongest tie is {} between {} and {}.", fixed(value, 2), clean(&two.left), clean(&two.right))
    });
    format!(
        "Spearman, on the scores of {}. Near 1, two objectives reward the same thing and one of them adds little; below 0, \
         they pull against each other.{strongest}",
        counted(summary.agreement.responses, "test response")
    )
}

fn conflicts(summary: &RunSummary) -> String {
    format!(
        "Share of {} on which the row’s head and the column’s head prefer different answers. Half is what two unrelated \
         heads would have; above half, what pleases one displeases the other, and the weights decide.",
        counted(summary.agreement.pairs, "distinct test pair")
    )
}

fn cross_accuracy() -> &'static str {
    "Accuracy of the row’s head on the test pairs of the column’s objective. A row that is as good elsewhere as at home has \
     learned something general, or the labels say the same; far below half, one objective’s good answer is the other’s bad one."
}

fn reliability(summary: &RunSummary) -> String {
    let known = summary.objectives.iter().filter_map(|objective| Some((objective.ece?, objective)));
    let worst = known.reduce(|worst, next| if next.0 > worst.0 { next } else { worst });
    let worst = worst.map_or_else(String::new, |(ece, objective)| {
        format!(" The largest mean gap (ECE) is {} points, for {}.", fixed(ece * 100.0, 1), clean(&objective.name))
    });
    format!(
        "On the dashed line, “80%” means that 80% of labelers agree. Points below it: the head is too sure of itself; above \
         it: too timid. Bars are 95% intervals of ten equally filled bins, whose pairs are counted in grey.{worst}"
    )
}

fn margins(summary: &RunSummary) -> String {
    let far = |objective: &ObjectiveSummary| {
        let count = |bins: &[usize]| bins.iter().skip(bins.len() / 2).sum::<usize>();
        let (right, wrong) = (count(&objective.right_margins.counts), count(&objective.wrong_margins.counts));
        (right + wrong > 0).then(|| wrong as f64 / (right + wrong) as f64)
    };
    let worst = summary.objectives.iter().filter_map(|one| Some((one, far(one)?)));
    let worst = worst.reduce(|worst, next| if next.1 > worst.1 { next } else { worst }).filter(|worst| worst.1 > 0.0);
    let worst = worst.map_or_else(String::new, |(one, share)| {
        format!(" In the upper half of the axis, {} of the pairs are wrong for {}.", percent(share), clean(&one.name))
    });
    format!(
        "Test pairs by how strongly the head prefers one answer: blue where it agrees with the labelers, orange where not. \
         Wrong pairs should be few, and far to the left.{worst} Margins beyond the axis are counted in the last bar."
    )
}

fn scores() -> &'static str {
    "One broad hump tells answers apart; a spike or a wall means that many answers get nearly the same score, and a trainer \
     learns little from them. A line far from the bars means that test texts are unlike the others, or that the head has learned training texts by heart. Dashed: \
     the mean; values beyond the axis are counted in the outermost bars."
}

fn raw_scores() -> &'static str {
    "In log-odds, before the normalizer: a difference of 1 means that labelers prefer the better answer 73% of the time."
}

fn densities(summary: &RunSummary) -> String {
    let (shown, all) = (summary.densities.len(), summary.agreement.objectives.len());
    let some = if shown < all {
        format!(" {shown} of {all} pairs of objectives, those in most conflict.")
    } else {
        String::new()
    };
    format!(
        "Where the test responses lie: the stronger the colour, the more of them. A rising band: what one objective likes the other likes too. A \
         falling one: they must be weighed. A round cloud: each says something of its own.{some}"
    )
}

fn pareto() -> &'static str {
    "Each dot is an answer to one prompt, in the plane of the two objectives in most conflict. Blue: no other answer is at \
     least as good on every objective of the run and better on one. The orange ring is the combined score’s choice."
}

fn weights(summary: &RunSummary) -> String {
    let measure = summary.combined.sweep.as_ref().map(|sweep| sweep.measure);
    let what = match measure {
        Some(SweepMeasure::WorstObjective) => {
            "There are no pairs labelled all things considered, so this is the accuracy of the weighted sum on the labels of \
             the objective that fares worst."
        }
        _ => "Accuracy of the weighted sum on the pairs labelled all things considered.",
    };
    format!(
        "{what} Orange marks the weights in use; along a line one weight grows while the others keep their proportion. A flat \
         line means that the weight hardly matters."
    )
}

fn length() -> &'static str {
    "Test responses by number of words (log scale) and normalized score: the stronger the colour, the more. The orange line is the least \
     squares fit: where it rises, longer answers score higher, whether for their length or for what is in them."
}

fn learning_curves() -> &'static str {
    "Accuracy on the test pairs when a head is fitted on a part of the training prompts only. A curve that still climbs \
     at its right end asks for more pairs; a flat one for a better backbone."
}

fn penalty() -> &'static str {
    "Cross-validated loss on the training prompts for each penalty tried; a coin has 0.693. The chosen penalty (orange) \
     should lie in a valley; at either end, try more values."
}

fn drift() -> &'static str {
    "Scores of the same test responses, bars by the new registry, line by the old one. Where they stand apart, thresholds \
     and floors that were set for old scores mean something else now."
}
