//! `ensemble serve`: a registry over HTTP until it is told to stop.

use std::env::VarError;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::machine::Machine;
use super::serve_options::{ServeOptions, Template};
use super::ui::Ui;
use crate::ensemble::Ensemble;
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};
use crate::registry;
use crate::serve::{self, Drained, Identity, Settings};

/// The variable that holds the key.
const KEY_VARIABLE: &str = "ENSEMBLE_API_KEY";
/// Told to stop, and stopped before everything was answered.
const INTERRUPTED: u8 = 143;
/// The longest time that a flag takes.
const LONGEST: Duration = Duration::from_hours(24);
/// Files that are open beside the connections.
const OTHER_FILES: usize = 64;

pub(super) fn run(options: &ServeOptions, machine: Machine, ui: &Ui) -> Result<u8> {
    let settings = settings(options)?;
    check_reach(options, &settings)?;
    let ensemble = machine.open(&options.registry)?.with_weights(&options.weights)?;
    let identity = identity(&ensemble, &settings);
    for entry in &identity.manifest.objectives {
        ui.note(&quality(entry));
    }
    say_where_it_panicked();
    let runtime = runtime(machine.threads)?;
    let drained = runtime.block_on(async {
        let address = (options.host.as_str(), options.port);
        let server = serve::bind(Arc::new(ensemble), identity, settings, machine.threads, address).await?;
        let stop = signals()?;
        ui.data(&format!("http://{}", server.address()?))?;
        Ok::<Drained, Error>(server.run(stop).await)
    })?;
    // What is still computed is for nobody.
    runtime.shutdown_background();
    let Drained { accepted, answered, in_time } = drained;
    ui.note(&format!("drained: {accepted} requests accepted, {answered} answered"));
    Ok(if in_time { 0 } else { INTERRUPTED })
}

/// What is served. The digest covers all that changes scores: heads, weights, and how texts are read.
fn identity(ensemble: &Ensemble, settings: &Settings) -> Identity {
    let manifest = ensemble.manifest();
    let how = if settings.read_templates { "" } else { "raw" };
    let digest = Digest::of_parts([manifest.to_json().as_bytes(), how.as_bytes()]).to_string();
    Identity { manifest, digest }
}

/// A panic's own message may quote the text that was read, and texts are never logged.
fn say_where_it_panicked() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // A lost line must not end the process.
        let _ = writeln!(std::io::stderr(), "a mistake of this program at {place}; the request was answered with 500");
    }));
}

/// What is known of a head, for whoever starts a run on it.
fn quality(entry: &registry::ObjectiveEntry) -> String {
    let quality = &entry.quality;
    let figures = match (quality.accuracy, quality.interval) {
        (Some(accuracy), Some((low, high))) => {
            let percent = |share: f64| 100.0 * share;
            let (accuracy, low, high) = (percent(accuracy), percent(low), percent(high));
            format!("{accuracy:.1}% of {} held-out pairs ({low:.1} to {high:.1})", quality.test_pairs)
        }
        _ => "no held-out accuracy is known".to_owned(),
    };
    format!("{}: {figures}", entry.name)
}

fn settings(options: &ServeOptions) -> Result<Settings> {
    let limits = &options.limits;
    let mut faults = Vec::new();
    let counts = [
        ("--queue-items", limits.queue_items),
        ("--queue-tokens", limits.queue_tokens),
        ("--queue-bytes", limits.queue_bytes),
        ("--max-items", limits.max_items),
        ("--max-body", limits.max_body),
        ("--max-connections", limits.max_connections.unwrap_or(1)),
        ("--batch-tokens", limits.batch_tokens),
    ];
    let zero = counts.into_iter().filter(|(_, count)| *count == 0);
    faults.extend(zero.map(|(flag, _)| Fault::new(flag, "0 lets nothing in").accepts("a whole number from 1")));
    let max_connections = connections(limits.max_connections).unwrap_or_else(|fault| {
        faults.push(fault);
        0
    });
    let mut seconds = |flag: &str, seconds: f64| {
        let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration <= LONGEST);
        duration.unwrap_or_else(|| {
            faults.push(Fault::new(flag, format!("{seconds} is no usable time")).accepts("0 to 86400 seconds"));
            Duration::ZERO
        })
    };
    let (deadline, drain) = (seconds("--deadline", limits.deadline), seconds("--drain", limits.drain));
    if !faults.is_empty() {
        return Err(Error::Usage(faults));
    }
    let api_key = key(options)?;
    // A page that knows no key gets no further whatever it calls this server, so names matter only without one.
    let any_host = options.insecure || (api_key.is_some() && options.allowed_host.is_empty());
    Ok(Settings {
        queue_items: limits.queue_items,
        queue_tokens: limits.queue_tokens,
        queue_bytes: limits.queue_bytes,
        max_items: limits.max_items,
        max_body: limits.max_body,
        max_connections,
        deadline,
        drain,
        recent_texts: limits.recent_texts,
        batch_tokens: limits.batch_tokens,
        read_templates: options.template == Template::Auto,
        allowed_hosts: options.allowed_host.clone(),
        any_host,
        api_key,
        ..Settings::default()
    })
}

/// As many connections as were asked for, or as the system's limit on open files allows.
fn connections(asked: Option<usize>) -> Result<usize, Fault> {
    let most = files::most_open_files().map_or(usize::MAX, |files| files.saturating_sub(OTHER_FILES).max(1));
    match asked {
        None => Ok(Settings::default().max_connections.min(most)),
        Some(asked) if asked <= most => Ok(asked),
        Some(asked) => {
            let found = format!("{asked} connections do not fit into the system's limit on open files");
            let help = format!("raise it with `ulimit -n {}`, or ask for fewer", asked.saturating_add(OTHER_FILES));
            Err(Fault::new("--max-connections", found).accepts(format!("1 to {most}")).help(help))
        }
    }
}

/// The key, from its file or the environment; never from the command line, which every user of the machine can read.
fn key(options: &ServeOptions) -> Result<Option<String>> {
    let (place, key) = match (&options.api_key_file, std::env::var(KEY_VARIABLE)) {
        (Some(path), _) => (path.display().to_string(), files::read_text(path, "the key")?),
        (None, Ok(key)) => (KEY_VARIABLE.to_owned(), key),
        (None, Err(VarError::NotPresent)) => return Ok(None),
        (None, Err(VarError::NotUnicode(_))) => (KEY_VARIABLE.to_owned(), String::new()),
    };
    let key = key.trim().to_owned();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let fault = Fault::new(place, "no usable key").accepts("visible ASCII characters without white space");
        return Err(Error::Usage(vec![
            fault.help("write one with `openssl rand -hex 32`, or leave it out altogether"),
        ]));
    }
    Ok(Some(key))
}

/// Refuses to be reached from other machines without a key.
fn check_reach(options: &ServeOptions, settings: &Settings) -> Result<()> {
    let host = options.host.trim_start_matches('[').trim_end_matches(']');
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if local || settings.api_key.is_some() || options.insecure {
        return Ok(());
    }
    let found = format!("other machines could reach {host}, and no key is asked for");
    let fault = Fault::new("--host", found).accepts("a loopback address, or any address together with a key");
    let help = format!("set {KEY_VARIABLE} or --api-key-file; or say --insecure where the network itself is closed");
    Err(Error::Usage(vec![fault.help(help)]))
}

/// Two threads move bytes; what takes time runs beside them, on no more threads than there are workers.
fn runtime(threads: usize) -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).max_blocking_threads(threads.max(2)).enable_all();
    builder.build().map_err(|error| Error::Io(vec![Fault::new("the server's threads", error)]))
}

/// Hears of every signal to stop.
fn signals() -> Result<mpsc::Receiver<()>> {
    let (sender, receiver) = mpsc::channel(2);
    spawn_signals(sender)?;
    Ok(receiver)
}

#[cfg(unix)]
fn spawn_signals(sender: mpsc::Sender<()>) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Error::Io(vec![Fault::new("signals", error)]));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn spawn_signals(sender: mpsc::Sender<()>) -> Result<()> {
    tokio::spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send(()).await.is_ok() {} });
    Ok(())
}
