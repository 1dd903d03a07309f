//! The options of every command, and what they say of the machine: how many workers, and where a backbone runs.

use std::path::Path;

use clap::Args;

use super::arguments::{Arguments, AuditAction, Command, whole_number};
use crate::config::Device;
use crate::ensemble::{Ensemble, default_threads};
use crate::error::Result;

/// Options of every command.
#[derive(Args, Debug)]
pub struct Global {
    /// Write JSON to standard output instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Worker threads; by default one per core. Results do not depend on it
    #[arg(long, global = true, value_name = "N", env = "ENSEMBLE_THREADS", value_parser = whole_number)]
    pub threads: Option<usize>,
    /// Where the backbone runs: cpu, cuda, cuda:1, metal; by default what the config says, for a registry the cpu
    #[arg(long, global = true, env = "ENSEMBLE_DEVICE")]
    pub device: Option<Device>,
}

/// What a registry is opened with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    pub(super) threads: usize,
    device: Device,
}

impl Machine {
    pub(super) fn new(global: &Global) -> Self {
        let threads = global.threads.unwrap_or_else(default_threads);
        Self { threads, device: global.device.unwrap_or_default() }
    }

    /// The registry `folder`, ready to score.
    ///
    /// # Errors
    /// What [`Ensemble::open_on`] reports.
    pub(super) fn open(self, folder: &Path) -> Result<Ensemble> {
        Ok(Ensemble::open_on(folder, self.device)?.with_threads(self.threads))
    }
}

/// Writes `--device` as the key it stands for in a config, where the command reads one.
pub(super) fn place(arguments: &mut Arguments) {
    let overrides = match &mut arguments.command {
        Command::Validate(options) | Command::Features(options) => &mut options.overrides,
        Command::TrainAll(options) => &mut options.config.overrides,
        Command::Report(options) => &mut options.config.overrides,
        Command::Audit(options) => match &mut options.action {
            AuditAction::Labels(options) => &mut options.overrides,
        },
        _ => return,
    };
    overrides.extend(arguments.global.device.map(|device| format!("backbone.device={device}")));
}
