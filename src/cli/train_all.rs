//! `ensemble train-all`: runs the flow and closes with a table and the next command.

use serde_json::json;

use super::arguments::TrainAllOptions;
use super::ui::{Ui, columns};
use crate::config::{self, Config};
use crate::error::Result;
use crate::evaluate::Estimate;
use crate::files;
use crate::report::{LONGER_WINS, ObjectiveSummary};
use crate::train_all::{Plan, Run, plan, train_all};

pub(super) fn run(options: &TrainAllOptions, threads: usize, ui: &Ui) -> Result<u8> {
    let config = config::load(&options.config.config, &options.config.overrides)?;
    if options.dry_run {
        show_plan(&config, &plan(&config, threads, ui)?, ui)?;
        return Ok(0);
    }
    let run = train_all(&config, threads, ui)?;
    if ui.json {
        let seconds: std::collections::BTreeMap<_, _> = run.seconds.iter().copied().collect();
        ui.data(
            &json!({ "event": "done", "registry": run.registry, "report": run.report, "seconds": seconds,
            "features": run.counts, "summary": run.summary })
            .to_string(),
        )?;
    }
    show(&run, ui);
    Ok(0)
}

fn show(run: &Run, ui: &Ui) {
    let counts = &run.counts;
    let rate = run.seconds.iter().find(|(stage, _)| *stage == "features").map_or(0.0, |(_, seconds)| *seconds);
    ui.note("");
    if counts.embedded == 0 {
        ui.note(&format!("every feature was cached: {} texts, nothing embedded", counts.texts));
    } else {
        let tokens = counts.embedded_tokens as f64 / rate.max(1e-9);
        ui.note(&format!(
            "embedded {} texts, {} tokens, {tokens:.0} tokens/s",
            counts.embedded, counts.embedded_tokens
        ));
    }
    if counts.cut_prompts > 0 || counts.cut_responses > 0 {
        let (prompts, responses) = (counts.cut_prompts, counts.cut_responses);
        ui.note(&format!("cut to fit: {prompts} prompts lost their oldest tokens, {responses} responses their middle"));
    }
    if counts.damaged_shards > 0 {
        ui.note(&format!("{} damaged feature shards were left aside and computed again", counts.damaged_shards));
    }
    ui.note("");
    let heading = ["objective", "test pairs", "accuracy", "95%", "longer wins", "log-loss", "ECE", "labels"];
    let mut rows: Vec<Vec<String>> = vec![heading.map(String::from).into()];
    rows.extend(run.summary.objectives.iter().map(table_row));
    for line in columns(&rows) {
        ui.note(&line);
    }
    ui.note("");
    for objective in &run.summary.objectives {
        ui.note(&format!("{}: {}", objective.name, objective.verdict()));
    }
    ui.note("");
    let total: f64 = run.seconds.iter().map(|(_, seconds)| seconds).sum();
    let stages: Vec<String> = run.seconds.iter().map(|(stage, seconds)| format!("{stage} {seconds:.2} s")).collect();
    ui.note(&format!("done in {total:.1} s: {}", stages.join(", ")));
    ui.note(&format!("registry  {}", files::shown(&run.registry)));
    ui.note(&format!("report    {}", files::shown(&run.report)));
    ui.note(&format!("next      {}", run.summary.command_next));
}

fn table_row(objective: &ObjectiveSummary) -> Vec<String> {
    let percent = |value: f64| format!("{:.1}%", 100.0 * value);
    let value =
        |estimate: Option<Estimate>| estimate.map_or_else(|| "–".to_owned(), |estimate| percent(estimate.value));
    let interval = |estimate: Estimate| format!("{} to {}", percent(estimate.low), percent(estimate.high));
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    let longer = objective.baselines.iter().find(|baseline| baseline.name == LONGER_WINS);
    let labels: Vec<String> = objective.labels.iter().map(|(source, count)| format!("{source} {count}")).collect();
    vec![
        objective.name.clone(),
        objective.test.pairs.to_string(),
        value(objective.accuracy),
        objective.accuracy.map_or_else(|| "–".to_owned(), interval),
        value(longer.and_then(|baseline| baseline.accuracy)),
        number(objective.log_loss),
        number(objective.ece),
        labels.join(", "),
    ]
}

fn show_plan(config: &Config, plan: &Plan, ui: &Ui) -> Result<()> {
    let texts = plan.dataset.items.len();
    let missing = texts - plan.cached;
    if ui.json {
        return ui.data(
            &json!({ "texts": texts, "cached": plan.cached, "to_embed": missing, "width": plan.backbone.width(plan.backbone.readout()),
                "registry": config.output.registry, "report": config.output.report })
            .to_string(),
        );
    }
    ui.note(&format!("backbone  {} ({})", files::shown(plan.backbone.path()), plan.backbone.architecture()));
    ui.note(&format!("features  {texts} distinct texts: {} cached, {missing} to embed", plan.cached));
    for objective in &plan.dataset.objectives {
        let counts: Vec<String> =
            objective.audit.splits.iter().map(|(split, count)| format!("{} {count}", split.word())).collect();
        ui.note(&format!("head      {}: {} pairs ({})", objective.name, objective.pairs.len(), counts.join(", ")));
    }
    ui.note(&format!("registry  {}", files::shown(&config.output.registry)));
    ui.note(&format!("report    {}", files::shown(&config.output.report)));
    ui.note("dry run: nothing was embedded, trained or written");
    Ok(())
}
