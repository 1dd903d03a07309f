//! `ensemble serve`: a registry over HTTP until it is told to stop.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::serve_options::{Limits, ServeOptions, Template};
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
/// Files that are open beside the connections.
const OTHER_FILES: usize = 64;

pub(super) fn run(options: &ServeOptions, threads: usize, ui: &Ui) -> Result<u8> {
    let settings = settings(options)?;
    check_reach(options, &settings)?;
    let manifest = registry::read_manifest(&options.registry)?;
    let digest = Digest::of(manifest.to_json().as_bytes()).to_string();
    let ensemble = Ensemble::open(&options.registry)?.with_threads(threads).with_weights(&options.weights)?;
    for entry in &manifest.objectives {
        ui.note(&quality(entry));
    }
    let identity = Identity { manifest, digest };
    let drained = runtime(threads)?.block_on(async {
        let address = (options.host.as_str(), options.port);
        let server = serve::bind(Arc::new(ensemble), identity, settings, threads, address).await?;
        let stop = signals()?;
        ui.data(&format!("http://{}", server.address()?))?;
        Ok::<Drained, Error>(server.run(stop).await)
    })?;
    let Drained { accepted, answered, in_time } = drained;
    ui.note(&format!("drained: {accepted} requests accepted, {answered} answered"));
    Ok(if in_time { 0 } else { INTERRUPTED })
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
    let Limits {
        queue_items,
        queue_tokens,
        queue_bytes,
        max_items,
        max_body,
        max_connections,
        deadline,
        drain,
        recent_texts,
        batch_tokens,
    } = options.limits;
    let mut faults = Vec::new();
    let counts = [
        ("--queue-items", queue_items),
        ("--queue-tokens", queue_tokens),
        ("--queue-bytes", queue_bytes),
        ("--max-items", max_items),
        ("--max-body", max_body),
        ("--max-connections", max_connections),
        ("--batch-tokens", batch_tokens),
    ];
    let zero = counts.into_iter().filter(|(_, count)| *count == 0);
    faults.extend(zero.map(|(flag, _)| Fault::new(flag, "0 lets nothing in").accepts("a whole number from 1")));
    faults.extend(too_few_files(max_connections));
    let mut seconds = |flag: &str, seconds: f64| {
        let duration =
            Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration <= Duration::from_hours(24));
        duration.unwrap_or_else(|| {
            faults.push(Fault::new(flag, format!("{seconds} is no usable time")).accepts("0 to 86400 seconds"));
            Duration::ZERO
        })
    };
    let (deadline, drain) = (seconds("--deadline", deadline), seconds("--drain", drain));
    if !faults.is_empty() {
        return Err(Error::Usage(faults));
    }
    Ok(Settings {
        queue_items,
        queue_tokens,
        queue_bytes,
        max_items,
        max_body,
        max_connections,
        deadline,
        drain,
        recent_texts,
        batch_tokens,
        read_templates: options.template == Template::Auto,
        allowed_hosts: options.allowed_host.clone(),
        api_key: key(options)?,
        ..Settings::default()
    })
}

/// The fault of a limit on open files that is below what the connections need.
fn too_few_files(connections: usize) -> Option<Fault> {
    let most = files::most_open_files()?;
    (connections.saturating_add(OTHER_FILES) > most).then(|| {
        let found = format!("{connections} connections do not fit into the system's limit of {most} open files");
        let help = format!("raise it with `ulimit -n {}`, or lower --max-connections", connections + OTHER_FILES);
        Fault::new("--max-connections", found).help(help)
    })
}

/// The key, from its file or the environment; never from the command line, which every user of the machine can read.
fn key(options: &ServeOptions) -> Result<Option<String>> {
    let (place, key) = match (&options.api_key_file, std::env::var(KEY_VARIABLE)) {
        (Some(path), _) => (path.display().to_string(), files::read_text(path, "the key")?),
        (None, Ok(key)) => (KEY_VARIABLE.to_owned(), key),
        (None, Err(_)) => return Ok(None),
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
