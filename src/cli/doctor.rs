//! `ensemble doctor`: what this machine and this build offer.

use serde_json::json;

use super::ui::Ui;
use crate::backbone;
use crate::error::Result;

pub(super) fn run(threads: usize, ui: &Ui) -> Result<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let instructions = instructions();
    let optimised = !cfg!(debug_assertions);
    let devices = backbone::devices();
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    if ui.json {
        let build = if optimised { "release" } else { "debug" };
        ui.data(
            &json!({ "version": version, "system": system, "threads": threads, "instructions": instructions,
                "devices": devices, "build": build })
            .to_string(),
        )?;
        return Ok(0);
    }
    ui.data(&format!("ensemble      {version}"))?;
    ui.data(&format!("system        {system}"))?;
    ui.data(&format!("threads       {threads} (change with --threads or ENSEMBLE_THREADS)"))?;
    ui.data(&format!("instructions  {}", instructions.join(" ")))?;
    ui.data(&format!("devices       {}", devices.join(" ")))?;
    let build = if optimised { "release" } else { "debug: build with --release, this one is many times slower" };
    ui.data(&format!("build         {build}"))?;
    ui.data("fonts         built in; no system font is needed")?;
    Ok(0)
}

/// The vector instructions that the matrix kernels choose between.
fn instructions() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let found: [(&'static str, bool); 0] = [];
    found.into_iter().filter(|(_, present)| *present).map(|(name, _)| name).collect()
}
