//! `ensemble weights sweep`: what every vector of weights would do, as a table and in a few lines.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::{Objectives, comparisons, difference, normalized, percent};
use crate::cli::arguments::SweepOptions;
use crate::cli::machine::Machine;
use crate::cli::ui::{Ui, columns};
use crate::config::{HOLISTIC_SCORE, SourceArgument, SourceConfig};
use crate::data::{Dataset, load_lists};
use crate::error::{Error, Fault, Result, did_you_mean};
use crate::files;
use crate::registry::read_manifest;
use crate::report::write_sweep;
use crate::train_all::workers;
use crate::weights::{Sweep, SweepInput, SweepPoint, sweep};

pub(super) fn run(options: &SweepOptions, machine: Machine, ui: &Ui) -> Result<u8> {
    let objectives = Objectives::of(&read_manifest(&options.registry)?, ui);
    let dataset = read(options, &objectives.names)?;
    let scores = normalized(&options.registry, &dataset, machine, ui)?;
    let input = SweepInput {
        current: objectives.weights.clone(),
        objectives: dataset.objectives.iter().map(|list| comparisons(&list.pairs, &scores)).collect(),
        holistic: comparisons(&dataset.holistic.pairs, &scores),
        differences: distinct(&dataset, &scores),
    };
    let found = workers(machine.threads)?.install(|| sweep(&input, options.step))?;
    write_sweep(&options.output, &objectives.names, &found)?;
    let rows = standing(&found, &objectives.names);
    let (on_front, points) = (found.points.iter().filter(|point| point.pareto).count(), found.points.len());
    if ui.json {
        let rows: BTreeMap<&str, &SweepPoint> = rows.iter().map(|(name, point)| (name.as_str(), *point)).collect();
        ui.data(
            &json!({ "output": files::shown(&options.output), "steps": found.steps, "points": points,
                "pairs": input.differences.len(), "pareto": on_front, "objectives": objectives.names, "best": rows })
            .to_string(),
        )?;
        return Ok(0);
    }
    if found.steps < options.step {
        let (asked, taken) = (options.step, found.steps);
        ui.note(&format!("steps of 1/{asked} would be over 20,000 weights: steps of 1/{taken} were taken"));
    }
    ui.note("");
    let pairs = input.differences.len();
    ui.data(&format!("{points} weights in steps of 1/{}, judged on {pairs} distinct pairs", found.steps))?;
    ui.data("")?;
    columns(&table(&rows, &objectives.names)).iter().try_for_each(|line| ui.data(line))?;
    ui.data("")?;
    ui.data(&format!("Pareto set: {on_front} of {points} weights are beaten by no others"))?;
    let others = if found.current.pareto { "no others beat them" } else { "others beat them" };
    ui.data(&format!("current weights: {others} (as good in every accuracy, better in one)"))?;
    ui.data("the best of many weights looks better on these pairs than it will on others")?;
    ui.data(&format!("table     {}", files::shown(&options.output)))?;
    Ok(0)
}

/// The pairs of all files that the options name; every fault of the command line at once.
fn read(options: &SweepOptions, names: &[String]) -> Result<Dataset> {
    let mut faults = Vec::new();
    if options.pairs.is_empty() && options.holistic.is_none() {
        let fault = Fault::new("weights sweep", "no pairs to judge weights by");
        faults.push(fault.accepts("--holistic FILE, --pairs NAME=FILE, or several of them"));
    }
    if options.output.extension().is_none_or(|extension| extension != "parquet") {
        let fault = Fault::new("--output", format!("{} does not end in .parquet", options.output.display()));
        faults.push(fault.accepts("the name of a Parquet table to write"));
    }
    let source = |place: &str, path: &Path, score: &str| {
        SourceArgument { place, path, format: options.format, score: None, default_score: score }.source()
    };
    let mut lists: Vec<Vec<SourceConfig>> = vec![Vec::new(); names.len()];
    for text in &options.pairs {
        let found = objective_of(text, names).and_then(|(index, path)| {
            lists[index].push(source(&format!("--pairs {text}"), Path::new(path), &names[index])?);
            Ok(())
        });
        faults.extend(found.err());
    }
    let holistic = options.holistic.as_ref().map(|path| source("--holistic", path, HOLISTIC_SCORE)).transpose();
    let holistic: Vec<SourceConfig> = holistic.map_err(|fault| faults.push(fault)).ok().flatten().into_iter().collect();
    if !faults.is_empty() {
        return Err(Error::Usage(faults));
    }
    let lists: Vec<(&str, &[SourceConfig])> =
        names.iter().zip(&lists).map(|(name, list)| (name.as_str(), list.as_slice())).collect();
    load_lists(&lists, &holistic)
}

/// The objective's index and the path of a `NAME=FILE`.
fn objective_of<'a>(text: &'a str, names: &[String]) -> Result<(usize, &'a str), Fault> {
    let place = format!("--pairs {text}");
    let Some((name, path)) = text.split_once('=') else {
        return Err(Fault::new(place, "no \"=\" in it").accepts("NAME=FILE, as in safety=data/safety.jsonl"));
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.iter().position(|known| *known == name).map(|index| (index, path)).ok_or_else(|| {
        let fault = Fault::new(place, format!("unknown objective \"{name}\"")).accepts(names.join(", "));
        match did_you_mean(name, &names) {
            Some(near) => fault.help(format!("did you mean \"{near}\"?")),
            None => fault.help("name an objective of the registry"),
        }
    })
}

/// The differences of all pairs, each pair of answers once, whoever labelled it and in whatever order.
fn distinct(dataset: &Dataset, scores: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let pairs = dataset.objectives.iter().chain([&dataset.holistic]).flat_map(|list| &list.pairs);
    let keyed = pairs.map(|pair| ((pair.chosen.min(pair.rejected), pair.chosen.max(pair.rejected)), pair));
    let distinct: BTreeMap<(usize, usize), _> = keyed.collect();
    distinct.values().map(|pair| difference(pair, scores)).collect()
}

/// The current weights, and of the Pareto set the ones that are best by each accuracy; of equals the first.
fn standing<'a>(found: &'a Sweep, names: &[String]) -> Vec<(String, &'a SweepPoint)> {
    let best = |value: &dyn Fn(&SweepPoint) -> Option<f64>| {
        let valued = found.points.iter().filter(|point| point.pareto).filter_map(|point| Some((value(point)?, point)));
        let better =
            |best: (f64, &'a SweepPoint), next: (f64, &'a SweepPoint)| if next.0 > best.0 { next } else { best };
        valued.reduce(better).map(|(_, point)| point)
    };
    let objectives = names.iter().enumerate().filter_map(|(index, name)| {
        Some((format!("best {name}"), best(&|point: &SweepPoint| point.accuracies[index])?))
    });
    let holistic = best(&|point: &SweepPoint| point.holistic).map(|point| ("best holistic".to_owned(), point));
    std::iter::once(("current".to_owned(), &found.current)).chain(holistic).chain(objectives).collect()
}

fn table(rows: &[(String, &SweepPoint)], names: &[String]) -> Vec<Vec<String>> {
    let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), percent);
    let mut heading = vec!["weights".to_owned()];
    heading.extend(names.iter().cloned());
    heading.extend(["holistic", "flipped", "as weights"].map(String::from));
    let row = |(name, point): &(String, &SweepPoint)| {
        let total: f64 = point.weights.iter().map(|weight| weight.abs()).sum();
        let weights: Vec<String> = point.weights.iter().map(|weight| format!("{:.2}", weight / total)).collect();
        let mut row = vec![name.clone()];
        row.extend(point.accuracies.iter().map(|accuracy| share(*accuracy)));
        row.extend([share(point.holistic), percent(point.flip_share), weights.join(" ")]);
        row
    };
    std::iter::once(heading).chain(rows.iter().map(row)).collect()
}
