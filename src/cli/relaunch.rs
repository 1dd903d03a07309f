//! Starts the program once more with a setting that is read from the environment before `main`.
//!
//! candle sizes a pool for element-wise operations from `CANDLE_NUM_THREADS` when it is first used, and all our
//! workers would queue for that one pool: two workers then run no faster than one (measured: 2,449 against 4,543
//! tokens/s on two cores). The variable must stand in the environment before the process starts, because changing the
//! environment of a running process is not safe Rust.

use std::process::Command;

const VARIABLE: (&str, &str) = ("CANDLE_NUM_THREADS", "1");

/// Replaces this process by itself with the variable set; returns where it is set already or cannot be.
pub(super) fn with_setting() {
    let (name, value) = VARIABLE;
    if std::env::var_os(name).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(name, value);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // On success this never returns; on failure the program goes on, only slower.
        let _ = command.exec();
    }
}
