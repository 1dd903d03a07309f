//! Who may ask: the key, the host's name, the origin, the kind of body. One rule for all routes.

use axum::http::{HeaderMap, Method, StatusCode, header};

use super::failure::Failure;
use super::settings::Settings;

/// The one route that needs no key: it computes nothing and says nothing.
pub(super) const LIVE: &str = "/live";

/// The key's header in PyTriton's clients.
const TRITON_KEY: &str = "triton-access-token";

/// Checks a request's head.
///
/// # Errors
/// A failure without a hint at what would be right, where that would help to guess.
pub(super) fn check(settings: &Settings, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Failure> {
    check_key(settings, path, headers)?;
    check_host(settings, headers)?;
    if headers.contains_key(header::ORIGIN) {
        let message = "requests from web pages are not answered";
        return Err(Failure::new(StatusCode::FORBIDDEN, "origin", message));
    }
    if method == Method::POST || method == Method::PUT {
        check_body(path, headers)?;
    }
    Ok(())
}

fn check_key(settings: &Settings, path: &str, headers: &HeaderMap) -> Result<(), Failure> {
    let Some(key) = settings.api_key.as_deref().filter(|_| path != LIVE) else { return Ok(()) };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    let given = bearer.or_else(|| text(TRITON_KEY)).unwrap_or_default();
    // Digests are compared in constant time, whatever the lengths.
    if !given.is_empty() && blake3::hash(given.as_bytes()) == blake3::hash(key.as_bytes()) {
        return Ok(());
    }
    Err(Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", "this server asks for a key: Authorization: Bearer KEY"))
}

/// Another site's name that was made to point at this address (DNS rebinding) is refused. That attack needs a name, so
/// addresses are let in.
fn check_host(settings: &Settings, headers: &HeaderMap) -> Result<(), Failure> {
    if settings.any_host {
        return Ok(());
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = without_port(host);
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
    let allowed = |allowed: &String| allowed.eq_ignore_ascii_case(name);
    if is_address || name.eq_ignore_ascii_case("localhost") || settings.allowed_hosts.iter().any(allowed) {
        return Ok(());
    }
    let message = format!("this server is not called {}", crate::error::quote(name));
    Err(Failure::new(StatusCode::FORBIDDEN, "host", message).hint("start it with --allowed-host NAME"))
}

/// `name` of `name:port`, `[::1]` of `[::1]:port`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

fn check_body(path: &str, headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !["", "identity"].contains(&text(header::CONTENT_ENCODING).trim()) {
        let failure = Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding", "compressed bodies are not read");
        return Err(failure.hint("send the body without Content-Encoding"));
    }
    let kind = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Triton's clients name no type, or bytes.
    let triton = path.starts_with("/v2/") && ["", "application/octet-stream"].contains(&kind.as_str());
    if kind == "application/json" || triton {
        return Ok(());
    }
    let found = if kind.is_empty() { "no Content-Type".to_owned() } else { crate::error::quote(&kind) };
    let message = format!("{found}; this route takes application/json");
    let failure = Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", message);
    Err(failure.hint("send the header Content-Type: application/json"))
}

/// A client's own name for its request, if it is one that can stand in a header and a log.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (!id.is_empty() && id.len() <= 64 && id.bytes().all(sound)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            let name: header::HeaderName = name.parse().expect("a header's name");
            (name, HeaderValue::from_str(value).expect("a header's value"))
        };
        list.iter().map(header).collect()
    }

    fn status(settings: &Settings, path: &str, list: &[(&str, &str)]) -> u16 {
        let method = if path.starts_with("/v1") || path.ends_with("infer") { Method::POST } else { Method::GET };
        check(settings, &method, path, &headers(list)).map_or_else(|failure| failure.status.as_u16(), |()| 200)
    }

    #[test]
    fn names_other_than_its_own_are_refused_and_addresses_let_in() {
        let mut settings = Settings { allowed_hosts: vec!["scores.internal".to_owned()], ..Settings::default() };
        let ask = |settings: &Settings, host: &str| status(settings, "/ready", &[("host", host)]);
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "10.1.2.3:9",
            "Scores.Internal:1",
        ] {
            assert_eq!(ask(&settings, host), 200, "{host}");
        }
        for host in [
            "evil.com",
            "evil.com:8080",
            "localhost.evil.com",
            "",
            "127.0.0.1.evil.com",
            "localhost:80:90",
            "a@localhost",
        ] {
            assert_eq!(ask(&settings, host), 403, "{host}");
        }
        assert_eq!(status(&settings, "/ready", &[]), 403);
        settings.any_host = true;
        assert_eq!(ask(&settings, "evil.com"), 200);
    }

    #[test]
    fn a_key_is_asked_for_on_every_route_but_live() {
        let settings = Settings { api_key: Some("secret".to_owned()), ..Settings::default() };
        let ask = |path: &str, name: &str, value: &str| {
            status(&settings, path, &[("host", "localhost"), ("content-type", "application/json"), (name, value)])
        };
        for path in ["/v1/score", "/ready", "/metrics", "/v2/models/reward_model/infer", "/no/such/route"] {
            assert_eq!(ask(path, "authorization", "Bearer secret"), 200);
            assert_eq!(ask(path, "authorization", "bearer secret"), 200);
            assert_eq!(ask(path, "triton-access-token", "secret"), 200);
            for wrong in ["Bearer", "Bearer ", "secret", "Basic secret", "Bearer secre", "Bearer secret2", ""] {
                assert_eq!(ask(path, "authorization", wrong), 401, "{path} {wrong}");
            }
            assert_eq!(ask(path, "x-other", "1"), 401);
        }
        assert_eq!(ask("/live", "x-other", "1"), 200);
    }

    #[test]
    fn web_pages_forms_and_compressed_bodies_are_refused() {
        let settings = Settings::default();
        let ask = |path: &str, list: &[(&str, &str)]| {
            let mut all = vec![("host", "localhost")];
            all.extend_from_slice(list);
            status(&settings, path, &all)
        };
        let json = ("content-type", "application/json; charset=utf-8");
        assert_eq!(ask("/v1/score", &[json]), 200);
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"] {
            assert_eq!(ask("/v1/score", &[("content-type", kind)]), 415, "{kind}");
        }
        assert_eq!((ask("/v1/score", &[]), ask("/v2/models/reward_model/infer", &[])), (415, 200));
        assert_eq!(ask("/v2/models/reward_model/infer", &[("content-type", "application/octet-stream")]), 200);
        assert_eq!(ask("/v1/score", &[json, ("content-encoding", "gzip")]), 415);
        assert_eq!(ask("/v1/score", &[json, ("origin", "http://evil.com")]), 403);
        assert_eq!(ask("/ready", &[("origin", "null")]), 403);
    }

    #[test]
    fn a_request_id_that_could_split_a_header_is_not_taken_over() {
        let id = |value: &str| request_id(&headers(&[("x-request-id", value)]));
        assert_eq!(id("step-12_a").as_deref(), Some("step-12_a"));
        assert_eq!(["", "a b", "a;b", &"x".repeat(65)].map(id), [None, None, None, None]);
    }
}
