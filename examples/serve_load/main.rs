//! A verifying load driver for `ensemble serve`: every answer is compared to the last bit, and counted.
//!
//! ```text
//! cargo run --release --example serve_load -- bits
//! cargo run --release --example serve_load -- overload --seconds 60
//! ```
//!
//! It starts the real program on a free port and knows the right scores from `ensemble score`. Each load prints its
//! figures and its conditions; the exit code is 1 when a condition does not hold, and 2 or 3 when the load could not be
//! run. What is random comes from `--seed`; how requests meet in time does not.

mod bits;
mod cancel;
mod client;
mod crowd;
mod drain;
mod drift;
mod edges;
mod metrics;
mod overload;
mod pace;
mod pool;
mod process;
mod server;
mod setup;
mod slow;
mod statistics;
mod texts;
mod throughput;
mod truth;
mod verdict;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ensemble::error::{Error, Fault, Result};

use crate::setup::Setup;
use crate::verdict::Verdict;

#[derive(Parser, Debug)]
#[command(about = "A verifying load driver for `ensemble serve`")]
struct Arguments {
    #[command(flatten)]
    setup: Setup,
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand, Debug)]
enum Load {
    /// The server's numbers are those of `ensemble score`, in whatever company a text comes
    Bits(bits::Options),
    /// 64 clients with one text each get as many texts a second as `ensemble score`
    Throughput(throughput::Options),
    /// Twice the capacity: every request is answered, with the right scores or with 503
    Overload(overload::Options),
    /// SIGTERM under load loses no accepted request
    Drain(drain::Options),
    /// Every limit just below, at, just above and far above its value
    Edges(edges::Options),
    /// Slow and silent clients do not slow down the others
    Slow(slow::Options),
    /// Clients that hang up leave nothing behind
    Cancel(cancel::Options),
    /// The drift gauges rise for shifted texts and only for them
    Drift(drift::Options),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(verdict) => ExitCode::from(u8::from(!verdict.holds())),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Error::Io(vec![Fault::new("the runtime of the clients", error)]))?;
    let setup = &arguments.setup;
    runtime.block_on(async {
        match &arguments.load {
            Load::Bits(options) => bits::run(setup, options).await,
            Load::Throughput(options) => throughput::run(setup, options).await,
            Load::Overload(options) => overload::run(setup, options).await,
            Load::Drain(options) => drain::run(setup, options).await,
            Load::Edges(options) => edges::run(setup, options).await,
            Load::Slow(options) => slow::run(setup, options).await,
            Load::Cancel(options) => cancel::run(setup, options).await,
            Load::Drift(options) => drift::run(setup, options).await,
        }
    })
}
