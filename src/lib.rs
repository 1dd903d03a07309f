//! Bradley-Terry reward heads on one frozen transformer: preference pairs in, one trustworthy number out.
//!
//! ```text
//! YAML ─▶ config ─▶ data ─▶ backbone ─▶ features ─▶ head ─▶ calibrate/normalize ─▶ registry
//!         typed     pairs    frozen      cached      BT      per objective          on disk
//!                                                                                      │
//!                       combine (rule, weights) ◀──── ensemble (score) ◀───────────────┘
//!                            │
//!              evaluate ─▶ assess ─▶ report
//! ```
//!
//! Every text is read by the backbone once and its features are cached; each objective's head is the exact optimum of
//! a convex loss on those features. `train_all` is the flow in one function, [`ensemble::Ensemble`] is what scores:
//!
//! ```no_run
//! use ensemble::conversation::{Item, Message, Role};
//! use ensemble::ensemble::Ensemble;
//!
//! # fn main() -> Result<(), ensemble::error::Error> {
//! let ensemble = Ensemble::open("registry/quickstart".as_ref())?;
//! let item = Item {
//!     prompt: vec![Message { role: Role::User, content: "How do I boil an egg?".into() }],
//!     response: "Seven minutes in boiling water, then into ice water.".into(),
//! };
//! for (name, score) in ensemble.names().iter().zip(&ensemble.score(&[item])?[0].objectives) {
//!     assert!(score.raw.is_finite(), "{name}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Modules in the order of the flow; each imports only what stands above it.

pub mod error;
pub mod files;
pub mod logistic;
pub mod progress;
pub mod random;

pub mod conversation;

pub mod config;

pub mod data;

pub mod backbone;

pub mod features;

pub mod head;

pub mod calibrate;
pub mod combine;
pub mod normalize;

pub mod registry;

pub mod ensemble;

pub mod export;

pub mod evaluate;

pub mod weights;

pub mod report;

pub mod assess;

pub mod train_all;

#[cfg(feature = "serve")]
pub mod serve;

pub mod cli;
