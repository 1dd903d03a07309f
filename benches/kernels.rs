//! What each kernel, each precision and reading texts together gain, on the built-in backbone.
//!
//! `cargo bench --bench kernels`; the throughput is in tokens. Every kernel that this processor runs is measured, the
//! plainest first, so that their ratio can be read off one run.

use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ensemble::backbone::{Backbone, Cut, Encoded, kernel_names};
use ensemble::config::{BackboneConfig, Device, Dtype, ModelPlace, Pooling};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn backbone(kernel: &str, dtype: Dtype) -> Backbone {
    let config = BackboneConfig {
        place: ModelPlace::Disk(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/backbones/mini"))),
        max_tokens: 512,
        pooling: Some(Pooling::MeanAll),
        layers: Some(vec![-1]),
        dtype,
        device: Device::Cpu,
        score_head: false,
    };
    Backbone::open_on_kernel(&config, kernel).expect("the built-in backbone opens")
}

/// A text of so many tokens, of which no two are alike in a row.
fn text(tokens: usize, seed: u32) -> Encoded {
    let ids = (0..tokens as u32).map(|position| 1_000 + (position * 7_919 + seed * 104_729) % 9_000).collect();
    Encoded { ids, type_ids: vec![0; tokens], response: 0..tokens, cut: Cut::default() }
}

fn best() -> &'static str {
    kernel_names().last().copied().unwrap_or("portable")
}

/// Four texts of 128 tokens on every kernel in every precision.
fn kernels(criterion: &mut Criterion) {
    let texts: Vec<Encoded> = (0..4).map(|seed| text(128, seed)).collect();
    let texts: Vec<&Encoded> = texts.iter().collect();
    for dtype in [Dtype::F32, Dtype::Bf16, Dtype::Int8] {
        let mut group = criterion.benchmark_group(format!("kernels/{}", dtype.word()));
        group.throughput(Throughput::Elements(4 * 128)).sample_size(20);
        for kernel in kernel_names() {
            let backbone = backbone(kernel, dtype);
            group.bench_function(kernel, |bencher| bencher.iter(|| backbone.features(&texts).expect("finite")));
        }
        group.finish();
    }
}

/// The same 512 tokens as one, four or thirty-two texts, read together and one by one.
fn together(criterion: &mut Criterion) {
    let backbone = backbone(best(), Dtype::F32);
    let mut group = criterion.benchmark_group("texts of 512 tokens");
    group.throughput(Throughput::Elements(512)).sample_size(20);
    for count in [1, 4, 32] {
        let texts: Vec<Encoded> = (0..count).map(|seed| text(512 / count as usize, seed)).collect();
        let texts: Vec<&Encoded> = texts.iter().collect();
        group.bench_function(BenchmarkId::new("together", count), |bencher| {
            bencher.iter(|| backbone.features(&texts).expect("finite"));
        });
        group.bench_function(BenchmarkId::new("one by one", count), |bencher| {
            bencher.iter(|| texts.iter().map(|text| backbone.features(&[text]).expect("finite").len()).sum::<usize>());
        });
    }
    group.finish();
}

criterion_group!(benches, kernels, together);
criterion_main!(benches);
