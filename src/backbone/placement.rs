//! Opens the device that a config asks for, and asks the family whether it computes there so precisely.

use candle_core::Device as Opened;

use super::model::{Architecture, Placement};
use super::packed;
use crate::config::{BackboneConfig, Device, Dtype};
use crate::error::{Error, Fault, Result};

/// The environment variable that names a kernel to run instead of the best one.
const KERNEL: &str = "ENSEMBLE_KERNEL";

/// The devices that this build can run on, by their names in a config; whether a card is there is seen on opening.
pub fn devices() -> Vec<&'static str> {
    let built = [
        ("cpu", true),
        ("cuda", candle_core::utils::cuda_is_available()),
        ("metal", candle_core::utils::metal_is_available()),
    ];
    built.into_iter().filter(|(_, built)| *built).map(|(name, _)| name).collect()
}

/// Where the backbone of `config` runs.
///
/// # Errors
/// [`Error::Model`] when this build has no such device, none is found, or the family does not compute in the asked-for
/// precision there.
pub(super) fn place(
    config: &BackboneConfig,
    architecture: &dyn Architecture,
    kernel: Option<&str>,
) -> Result<Placement> {
    let (dtype, device) = (config.dtype, config.device);
    let named = std::env::var_os(KERNEL).filter(|named| !named.is_empty());
    let named = named.map(|named| named.to_string_lossy().into_owned());
    let kernel = kernel.map(str::to_owned).or(named);
    let refused = precision_fault(dtype, device, architecture).into_iter().chain(kernel_fault(kernel.as_deref()));
    match (open(device), refused.collect::<Vec<_>>()) {
        (Ok(device), refused) if refused.is_empty() => Ok(Placement { device, dtype, kernel }),
        (opened, refused) => Err(Error::Model(opened.err().into_iter().chain(refused).collect())),
    }
}

fn kernel_fault(kernel: Option<&str>) -> Option<Fault> {
    let (kernel, known) = (kernel?, packed::kernel_names());
    let unknown = !known.contains(&kernel);
    let found = format!("found {kernel:?}, which is no kernel that this processor runs");
    unknown.then(|| Fault::new(KERNEL, found).accepts(known.join(", ")).help("leave it unset: the best one is chosen"))
}

fn open(device: Device) -> Result<Opened, Fault> {
    let (built, opened, feature) = match device {
        Device::Cpu => return Ok(Opened::Cpu),
        Device::Cuda(card) => (candle_core::utils::cuda_is_available(), Opened::new_cuda(card), "cuda"),
        Device::Metal => (candle_core::utils::metal_is_available(), Opened::new_metal(0), "metal"),
    };
    opened.map_err(|error| {
        let (found, help) = if built {
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default();
            (format!("no {device} was found on this machine: {said}"), "check the driver".to_owned())
        } else {
            let found = format!("found {device}, but this build runs on {} only", devices().join(" and "));
            (found, format!("build with `cargo build --release --features {feature}`"))
        };
        let fault = Fault::new("backbone.device", found).accepts(devices().join(", "));
        fault.help(format!("{help}, or choose the device cpu"))
    })
}

fn precision_fault(dtype: Dtype, device: Device, architecture: &dyn Architecture) -> Option<Fault> {
    let known = architecture.precisions(device);
    if known.contains(&dtype) {
        return None;
    }
    let words: Vec<&str> = known.iter().map(|known| known.word()).collect();
    let family = architecture.shape().line.split(',').next().unwrap_or_default().to_owned();
    let only = words.join(" or ");
    Some(
        Fault::new("backbone.dtype", format!("found {}, but {family} runs on {device} in {only} only", dtype.word()))
            .accepts(words.join(", "))
            .help(format!("set backbone.dtype to {only}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{ENGINE, Readout, fingerprint};
    use crate::config::{ModelPlace, Pooling};
    use crate::files::Digest;

    fn config(dtype: Dtype, device: Device) -> BackboneConfig {
        let (place, pooling) = (ModelPlace::Disk("m".into()), Some(Pooling::MeanAll));
        BackboneConfig { place, max_tokens: 8, pooling, layers: None, dtype, device, score_head: false }
    }

    #[test]
    fn features_are_named_by_their_precision_but_not_by_the_device() {
        let (weights, none) = (Digest::of(b"weights"), Digest::of(b""));
        let readout = Readout { pooling: Pooling::MeanAll, layers: vec![3], fingerprint: none };
        let named = |dtype, device| fingerprint(&config(dtype, device), &readout, &[&weights]);
        let written = |suffix: &str| {
            let settings = format!("{ENGINE} MeanAll [3] 8 false{suffix}");
            Digest::of_parts([settings.as_bytes(), weights.0.as_slice()])
        };
        for device in [Device::Cpu, Device::Cuda(1), Device::Metal] {
            assert_eq!(named(Dtype::F32, device), written(""), "features made before there was a choice stay valid");
            assert_eq!(named(Dtype::Bf16, device), written(" bf16"));
            assert_eq!(named(Dtype::Int8, device), written(" int8-2"));
        }
    }
}
