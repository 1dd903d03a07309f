//! What a request is refused with: one fault, whatever the dialect makes of it.

use std::fmt::Write as _;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::error::{Error, Fault};

/// Seconds after which a client that was turned away may come back.
pub(super) const RETRY_AFTER: u64 = 1;

/// How a dialect writes its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `{"error": {"code", "message", "item", "field", "hint", "request_id"}}`.
    Native,
    /// `{"error": {"message", "type", "param", "code"}}`, as vLLM's and OpenAI's clients read it.
    OpenAi,
    /// `{"error", "error_type"}`: text-embeddings-inference.
    Tei,
    /// `{"error"}`: Triton.
    Triton,
}

/// A request that is not answered with scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// A short word for machines.
    pub(super) code: &'static str,
    /// What was found, for people.
    pub(super) message: String,
    /// Which item of the request it is about.
    pub(super) item: Option<usize>,
    /// Which field of the body.
    pub(super) field: Option<String>,
    /// What to do.
    pub(super) hint: Option<String>,
    /// The dialect it is told in, where that is not its route's.
    pub(super) style: Option<Style>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), item: None, field: None, hint: None, style: None }
    }

    /// The body is no JSON, or not of the shape the route takes.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// The body is read, but something in it cannot be scored.
    pub(super) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message).at(field)
    }

    /// There is no room now; the client may come back.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        let hint = format!("send the request again after {RETRY_AFTER} s");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message).hint(hint)
    }

    /// A list without anything in it.
    pub(super) fn empty(field: &str, accepted: &str) -> Self {
        Self { code: "empty", ..Self::malformed(format!("an empty list; accepted: {accepted}")).at(field) }
    }

    /// More than one request may ask for.
    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// The answer took longer than the deadline.
    pub(super) fn late(seconds: f64) -> Self {
        let message = format!("no score within {seconds} s");
        Self::new(StatusCode::GATEWAY_TIMEOUT, "deadline", message)
            .hint("send fewer requests at once, or raise --deadline")
    }

    /// A mistake of this program.
    pub(super) fn bug(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Names the field.
    #[must_use]
    pub(super) fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Names the item.
    #[must_use]
    pub(super) fn of_item(mut self, item: usize) -> Self {
        self.item = Some(item);
        self
    }

    /// Renames the beginning of the field to what the client calls it.
    #[must_use]
    pub(super) fn within(mut self, own: &str, theirs: &str) -> Self {
        self.field = self.field.map(|field| match field.strip_prefix(own) {
            Some(rest) => format!("{theirs}{rest}"),
            None => field,
        });
        self
    }

    /// Tells it in another dialect.
    #[must_use]
    pub(super) fn styled(mut self, style: Style) -> Self {
        self.style = Some(style);
        self
    }

    /// All of it in one sentence, for dialects that have room for one.
    fn sentence(&self) -> String {
        // Writing to a String cannot fail.
        let mut sentence = String::new();
        if let Some(item) = self.item {
            let _ = write!(sentence, "item {item}: ");
        }
        if let Some(field) = self.field.as_ref().filter(|field| !field.is_empty()) {
            let _ = write!(sentence, "{field}: ");
        }
        sentence.push_str(&self.message);
        if let Some(hint) = &self.hint {
            let _ = write!(sentence, " ({hint})");
        }
        sentence
    }

    /// The body of the answer.
    pub(super) fn to_json(&self, style: Style, request_id: &str) -> Value {
        match self.style.unwrap_or(style) {
            Style::Native => {
                let mut error = json!({ "code": self.code, "message": self.message, "request_id": request_id });
                if let Some(item) = self.item {
                    error["item"] = json!(item);
                }
                for (name, text) in [("field", &self.field), ("hint", &self.hint)] {
                    if let Some(text) = text {
                        error[name] = json!(text);
                    }
                }
                json!({ "error": error })
            }
            Style::OpenAi => {
                let kind = match self.status {
                    StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailableError",
                    status if status.is_client_error() => "BadRequestError",
                    _ => "InternalServerError",
                };
                let error = json!({
                    "message": self.sentence(), "type": kind, "param": self.field, "code": self.status.as_u16(),
                });
                json!({ "error": error })
            }
            Style::Tei => {
                let kind = match self.status {
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => "Overloaded",
                    StatusCode::INTERNAL_SERVER_ERROR => "Backend",
                    _ if self.code == "empty" => "Empty",
                    _ => "Validation",
                };
                json!({ "error": self.sentence(), "error_type": kind })
            }
            Style::Triton => json!({ "error": self.sentence() }),
        }
    }

    /// Says what to do.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the library's own error means to a client: input that cannot be used is the client's, a score that is no
    /// number and a failing model are the server's.
    pub(super) fn of(error: &Error) -> Self {
        let fault = error.faults().first();
        let failure = match error {
            Error::Data(_) | Error::Usage(_) | Error::Config(_) => {
                let place = fault.map_or_else(String::new, |fault| field_path(&fault.place));
                Self::invalid(place, message(fault))
            }
            Error::Numeric(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "nonfinite_score", message(fault)),
            Error::Model(_) | Error::Registry(_) | Error::Io(_) => Self::bug(message(fault)),
        };
        match fault.and_then(|fault| fault.help.clone()) {
            Some(help) => failure.hint(help),
            None => failure,
        }
    }
}

/// `items[5].messages[1]` of `items[5], field "messages[1]"`.
fn field_path(place: &str) -> String {
    match place.split_once(", field \"") {
        Some(("", field)) => field.trim_end_matches('"').to_owned(),
        Some((item, field)) => format!("{item}.{}", field.trim_end_matches('"')),
        None => place.to_owned(),
    }
}

fn message(fault: Option<&Fault>) -> String {
    fault.map_or_else(
        || "the request failed".to_owned(),
        |fault| match &fault.accepted {
            Some(accepted) => format!("{}; accepted: {accepted}", fault.found),
            None => fault.found.clone(),
        },
    )
}
