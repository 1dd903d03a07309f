//! The command line: arguments as typed, one file per command, one printer.
//!
//! May use every other module; no other module may use this one.

mod arguments;
mod audit;
mod best_of_n;
mod completions;
mod doctor;
mod eval;
mod export;
mod features;
mod init;
mod machine;
mod registry;
mod relaunch;
mod report;
mod schema;
mod score;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod serve_options;
mod train_all;
mod ui;
mod validate;
mod weights;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use arguments::{Arguments, Command};

use crate::error::Result;
use machine::Machine;
use ui::Ui;

/// Runs the program on the process's own arguments.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(mut arguments) => {
            machine::place(&mut arguments);
            arguments
        }
        Err(error) => return ui::clap_exit(&error),
    };
    relaunch::with_setting();
    let ui = Ui::new(&arguments.global);
    match dispatch(&arguments, &ui) {
        Ok(code) => ExitCode::from(code),
        // `ensemble score … | head` is a way to use it, not a failure.
        Err(error) if error.faults().iter().all(|fault| fault.found == ui::READER_LEFT) => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The command's exit code.
fn dispatch(arguments: &Arguments, ui: &Ui) -> Result<u8> {
    let machine = Machine::new(&arguments.global);
    let threads = machine.threads;
    match &arguments.command {
        Command::Init(options) => init::run(options, ui),
        Command::Validate(options) => validate::run(options, ui),
        Command::Doctor => doctor::run(threads, ui),
        Command::Features(options) => features::run(options, threads, ui),
        Command::TrainAll(options) => train_all::run(options, threads, ui),
        Command::Report(options) => report::run(options, threads, ui),
        Command::Score(options) => score::run(options, machine, ui),
        #[cfg(feature = "serve")]
        Command::Serve(options) => serve::run(options, machine, ui),
        Command::Eval(options) => eval::run(options, machine, ui),
        Command::BestOfN(options) => best_of_n::run(options, machine, ui),
        Command::Export(options) => export::run(options, ui),
        Command::Weights(options) => weights::run(options, machine, ui),
        Command::Registry(options) => registry::run(options, machine, ui),
        Command::Audit(options) => audit::run(options, threads, ui),
        Command::Schema(options) => schema::run(options, ui),
        Command::Completions(options) => completions::run(options, Arguments::command(), ui),
    }
}
