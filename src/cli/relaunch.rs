//! Starts the program once more with the two settings that are read from the environment before `main`.
//!
//! candle sizes a pool for element-wise operations from `CANDLE_NUM_THREADS` when it is first used, and all our
//! workers would queue for that one pool: two workers then run no faster than one (measured: 2,449 against 4,543
//! tokens/s on two cores). The allocator gives free memory back after ten milliseconds, which is less than a forward pass
//! takes: 4% of the time of embedding went into clearing the same pages again. The variables must stand in the environment
//! before the process starts, because changing the environment of a running process is not safe Rust.

use std::process::Command;

/// Variables and what they are set to; the second is in milliseconds.
const VARIABLES: [(&str, &str); 2] = [("CANDLE_NUM_THREADS", "1"), ("MIMALLOC_PURGE_DELAY", "1000")];

/// Replaces this process by itself with the variables set; returns where they are set already or cannot be.
pub(super) fn with_settings() {
    let missing = || VARIABLES.into_iter().filter(|(name, _)| std::env::var_os(name).is_none());
    if missing().next().is_none() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).envs(missing());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // On success this never returns; on failure the program goes on, only slower.
        let _ = command.exec();
    }
}
