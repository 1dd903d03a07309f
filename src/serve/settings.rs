//! What a server is told at its start.

use std::time::Duration;

/// Limits and times of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Most distinct texts that wait or are computed.
    pub queue_items: usize,
    /// Most tokens of those texts.
    pub queue_tokens: usize,
    /// Most bytes of request bodies that are held at once.
    pub queue_bytes: usize,
    /// Most items of one request.
    pub max_items: usize,
    /// Most bytes of one request's body.
    pub max_body: usize,
    /// Most open connections; others wait to be accepted.
    pub max_connections: usize,
    /// How long a request may take before it is answered with 504.
    pub deadline: Duration,
    /// How long requests may take after the server was told to stop.
    pub drain: Duration,
    /// Texts whose features are kept after they were asked for; 0 keeps none.
    pub recent_texts: usize,
    /// A worker takes waiting texts up to this many tokens at once, and always at least one.
    pub batch_tokens: usize,
    /// How long a client may take to send a request's head.
    pub head_timeout: Duration,
    /// How long a connection may rest between two requests.
    pub rest_timeout: Duration,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// Whether a policy's chat template is read; otherwise raw texts are scored as they stand.
    pub read_templates: bool,
    /// Names under which the server may be called, beside `localhost` and addresses.
    pub allowed_hosts: Vec<String>,
    /// Every host is allowed.
    pub any_host: bool,
    /// The key every request but `/live` must bring.
    pub api_key: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_items: 16_384,
            queue_tokens: 8 << 20,
            queue_bytes: 128 << 20,
            max_items: 16_384,
            max_body: 32 << 20,
            max_connections: 4096,
            deadline: Duration::from_secs(170),
            drain: Duration::from_secs(30),
            recent_texts: 16_384,
            batch_tokens: 512,
            head_timeout: Duration::from_secs(10),
            rest_timeout: Duration::from_mins(1),
            body_timeout: Duration::from_secs(30),
            read_templates: true,
            allowed_hosts: Vec::new(),
            any_host: false,
            api_key: None,
        }
    }
}
