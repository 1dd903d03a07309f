//! `ensemble completions`: shell completions, generated from the command line itself.

use super::arguments::CompletionsOptions;
use super::ui::Ui;
use crate::error::Result;

pub(super) fn run(options: &CompletionsOptions, mut command: clap::Command, ui: &Ui) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, "ensemble", &mut script);
    ui.data(String::from_utf8_lossy(&script).trim_end())?;
    Ok(0)
}
