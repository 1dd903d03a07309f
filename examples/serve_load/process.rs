//! What Linux says of a process: memory and processor time.

use ensemble::error::{Error, Fault, Result};
use ensemble::files;

/// Ticks of the clock in which `/proc` counts, a second.
const TICKS: f64 = 100.0;

/// Resident memory of a process in MiB (VmRSS).
pub(crate) fn resident_mib(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = files::read_text(path.as_ref(), "the memory of the server")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| Error::Io(vec![Fault::new(path, "it has no VmRSS")]))
}

/// Processor seconds that a process has used, in all its threads.
pub(crate) fn processor_seconds(process: u32) -> Result<f64> {
    ticks(&format!("/proc/{process}/stat"), 14)
}

/// Processor seconds of the processes that this one started and that have ended.
pub(crate) fn ended_processor_seconds() -> Result<f64> {
    ticks("/proc/self/stat", 16)
}

/// The sum of two neighbouring fields of a `stat` file, user and system time, counted from 1 as in proc(5).
fn ticks(path: &str, field: usize) -> Result<f64> {
    let stat = files::read_text(path.as_ref(), "the processor time of a process")?;
    // The second field is a name in parentheses that may hold blanks.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<f64> = rest.split_whitespace().map(|field| field.parse().unwrap_or(f64::NAN)).collect();
    let sum = fields.get(field - 3..field - 1).map(|fields| fields.iter().sum::<f64>() / TICKS);
    sum.ok_or_else(|| Error::Io(vec![Fault::new(path, "it has too few fields")]))
}
