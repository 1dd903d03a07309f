//! The flags of `serve`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::serve::Settings;

/// Options of `serve`.
#[derive(Args, Debug)]
pub struct ServeOptions {
    /// Registry folder to serve
    #[arg(long, short, value_name = "FOLDER")]
    pub registry: PathBuf,
    /// Address to listen at; other machines need another one than this, and a key
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen at; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// File with the key that every request must bring (Authorization: Bearer KEY); or set `ENSEMBLE_API_KEY`
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Listen at an address that other machines reach without asking for a key
    #[arg(long)]
    pub insecure: bool,
    /// Name this server may be called by, beside localhost and addresses; may be given several times
    #[arg(long, value_name = "NAME")]
    pub allowed_host: Vec<String>,
    /// Whether raw texts are read as what a policy's chat template wrote, or scored as they stand
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Template::Auto)]
    pub template: Template,
    /// Override weights of the combined score: --weights helpfulness=0.5,safety=2
    #[arg(long, value_name = "NAME=NUMBER", value_delimiter = ',')]
    pub weights: Vec<String>,
    /// Limits and times.
    #[command(flatten)]
    pub limits: Limits,
}

/// How raw texts are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// ChatML, Llama 3, Gemma, Mistral and hh-rlhf transcripts are read back into messages
    Auto,
    /// The text is the response, as it stands
    Raw,
}

/// Limits and times of `serve`.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Most distinct texts that wait or are computed
    #[arg(long, value_name = "N", default_value_t = Settings::default().queue_items)]
    pub queue_items: usize,
    /// Most tokens of those texts
    #[arg(long, value_name = "N", default_value_t = Settings::default().queue_tokens)]
    pub queue_tokens: usize,
    /// Most bytes of requests held at once
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().queue_bytes)]
    pub queue_bytes: usize,
    /// Most items of one request
    #[arg(long, value_name = "N", default_value_t = Settings::default().max_items)]
    pub max_items: usize,
    /// Most bytes of one request's body
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().max_body)]
    pub max_body: usize,
    /// Most open connections; others wait. By default 4096, or what the system's limit on open files allows
    #[arg(long, value_name = "N")]
    pub max_connections: Option<usize>,
    /// Seconds after which a request is answered with 504
    #[arg(long, value_name = "SECONDS", default_value_t = Settings::default().deadline.as_secs_f64(), allow_negative_numbers = true)]
    pub deadline: f64,
    /// Seconds that requests have after the server was told to stop
    #[arg(long, value_name = "SECONDS", default_value_t = Settings::default().drain.as_secs_f64(), allow_negative_numbers = true)]
    pub drain: f64,
    /// Texts whose features are kept, for retries and for several rewards of one batch; 0 keeps none
    #[arg(long, value_name = "N", default_value_t = Settings::default().recent_texts)]
    pub recent_texts: usize,
    /// Tokens of waiting texts that a worker takes at once; each text is read by itself
    #[arg(long, value_name = "N", default_value_t = Settings::default().batch_tokens)]
    pub batch_tokens: usize,
}
