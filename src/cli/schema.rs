//! `ensemble schema`: the JSON schema of a config file.

use super::arguments::{SchemaOf, SchemaOptions};
use super::ui::Ui;
use crate::config::{objective_schema, run_schema};
use crate::error::Result;

pub(super) fn run(options: &SchemaOptions, ui: &Ui) -> Result<u8> {
    let schema = match options.of {
        SchemaOf::Run => run_schema(),
        SchemaOf::Objective => objective_schema(),
    };
    ui.data(schema.trim_end())?;
    Ok(0)
}
