//! The whole way on the sample data, driving the real binary: train, score, bits, streaming.

mod adding;
mod audit;
mod benchmarks;
mod best_of_n;
mod bits;
mod combining;
mod containers;
mod domains;
mod heads;
mod hostile;
mod project;
mod real_data;
mod report;
mod scoring;
#[cfg(feature = "serve")]
mod server;
#[cfg(feature = "serve")]
mod serving;
mod solvers;
mod sources;
mod training;
mod weights;
