//! `ensemble weights fit`: weights learned from holistic pairs.

use serde_json::{Value, json};

use super::{Objectives, comparisons, normalized, percent, read};
use crate::cli::arguments::FitOptions;
use crate::cli::machine::Machine;
use crate::cli::ui::{Ui, columns};
use crate::error::Result;
use crate::files;
use crate::registry::read_manifest;
use crate::train_all::workers;
use crate::weights::{Dimension, Fit, accuracy, fit};

pub(super) fn run(options: &FitOptions, machine: Machine, ui: &Ui) -> Result<u8> {
    let objectives = Objectives::of(&read_manifest(&options.registry)?, ui);
    let dataset = read("--holistic", &options.holistic, &options.reading)?;
    let scores = normalized(&options.registry, &dataset, machine, ui)?;
    let comparisons = comparisons(&dataset.holistic.pairs, &scores);
    let place = files::shown(&options.holistic);
    let found = workers(machine.threads)?.install(|| fit(&objectives.names, &comparisons, &place))?;
    let current = accuracy(&comparisons, &objectives.weights);
    if ui.json {
        let mut object = json!(found);
        let more = json!({ "accuracy_of_current_weights": current, "audit": dataset.holistic.audit });
        if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
            object.extend(more);
        }
        ui.data(&object.to_string())?;
        return Ok(0);
    }
    ui.note("");
    ui.data(&format!("{} pairs of {} prompts, {} ties, from {place}", found.pairs, found.prompts, found.ties))?;
    ui.data("")?;
    columns(&table(&found)).iter().try_for_each(|line| ui.data(line))?;
    ui.data("")?;
    explain(&found, current).iter().try_for_each(|line| ui.data(line))?;
    ui.data("")?;
    found.dimensions.iter().try_for_each(|dimension| ui.data(&dimension.verdict()))?;
    ui.data("")?;
    yaml(&found).iter().try_for_each(|line| ui.data(line))?;
    Ok(0)
}

fn table(found: &Fit) -> Vec<Vec<String>> {
    let heading = ["objective", "weight", "std. error", "z", "likelihood ratio", "p", "share"].map(String::from);
    let row = |dimension: &Dimension| {
        vec![
            dimension.name.clone(),
            format!("{:.3}", dimension.weight),
            format!("{:.3}", dimension.standard_error),
            format!("{:.2}", dimension.z),
            format!("{:.2}", dimension.likelihood_ratio),
            if dimension.p_value < 0.001 {
                format!("{:.0e}", dimension.p_value)
            } else {
                format!("{:.3}", dimension.p_value)
            },
            format!("{:.3}", dimension.share),
        ]
    };
    std::iter::once(heading.into()).chain(found.dimensions.iter().map(row)).collect()
}

fn explain(found: &Fit, current: Option<f64>) -> Vec<String> {
    let errors = if found.clustered {
        "standard errors are clustered by prompt, as prompts repeat; p is of z, and the likelihood ratio is too sure"
    } else {
        "standard errors are model-based, as no prompt repeats; p is of the likelihood ratio"
    };
    let current = current.map_or_else(String::new, |share| format!(", {} by the registry's weights", percent(share)));
    vec![
        format!(
            "explains {} of the holistic label (pseudo-R²: log-likelihood {:.1}, with weights of 0 {:.1})",
            percent(found.pseudo_r2),
            found.log_likelihood,
            found.log_likelihood_null
        ),
        format!("orders {} of these pairs as labelled{current}", percent(found.accuracy)),
        errors.to_owned(),
    ]
}

/// The lines to paste into a run's YAML.
fn yaml(found: &Fit) -> Vec<String> {
    if found.dimensions.iter().all(|dimension| dimension.share == 0.0) {
        return vec!["every weight is 0: these labels give none to use".to_owned()];
    }
    let lines = |dimension: &Dimension| {
        let negative = (dimension.share < 0.0).then(|| "    allow_negative: true".to_owned());
        std::iter::once(format!("    weight: {:<8.4} # {}", dimension.share, dimension.name)).chain(negative)
    };
    std::iter::once("weights for the objectives in your run's YAML (the absolute values sum to 1):".to_owned())
        .chain(found.dimensions.iter().flat_map(lines))
        .collect()
}
