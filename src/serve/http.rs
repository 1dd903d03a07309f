//! Routes to handlers, and what every answer carries.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::Value;

use super::body;
use super::dialects::{ROUTES, Route, style_of, triton};
use super::failure::{Failure, RETRY_AFTER, Style};
use super::request::Reply;
use super::service::{Arrival, Service};
use super::{about, guard};

/// The name a request goes by, given or made.
#[derive(Clone)]
struct RequestId(String);

/// The name of the route that answered, for metrics.
#[derive(Clone, Copy)]
struct RouteName(&'static str);

/// The whole application.
pub(super) fn router(service: &Arc<Service>) -> Router {
    let mut router = Router::new()
        .route(guard::LIVE, get(|| async { text("live") }))
        .route("/ready", get(ready))
        .route("/health", get(ready))
        .route("/metrics", get(|State(service): State<Arc<Service>>| async move { metrics(&service) }))
        .route("/openapi.json", get(|| async { json(StatusCode::OK, &about::openapi()) }))
        .route(
            "/info",
            get(|State(service): State<Arc<Service>>| async move { json(StatusCode::OK, &about::info(&service)) }),
        )
        .route(
            "/v1/models",
            get(|State(service): State<Arc<Service>>| async move { json(StatusCode::OK, &about::models(&service)) }),
        );
    for (path, answer) in about::TRITON {
        let handler = move |State(service): State<Arc<Service>>| async move { json(StatusCode::OK, &answer(&service)) };
        router = router.route(path, get(handler));
    }
    for path in [
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/reward_model/ready",
        "/v2/models/reward_model/versions/1/ready",
    ] {
        router = router.route(path, get(ready));
    }
    router = router.route("/v2/repository/index", post(|| async { json(StatusCode::OK, &about::triton_index()) }));
    for route in &ROUTES {
        for path in route.paths {
            let handler = move |State(service): State<Arc<Service>>, request: Request| async move {
                score(&service, route, request).await
            };
            router = router.route(path, post(handler).put(handler));
        }
    }
    router
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::clone(service))
        .layer(from_fn_with_state(Arc::clone(service), around))
}

/// Counts a request, guards the routes, and puts on every answer what it carries.
async fn around(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    service.accepted.fetch_add(1, Ordering::SeqCst);
    let id = guard::request_id(request.headers()).unwrap_or_else(|| service.next_id());
    request.extensions_mut().insert(RequestId(id.clone()));
    let path = request.uri().path().to_owned();
    let mut response = match guard::check(&service.settings, request.method(), &path, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => {
            service.metrics.rejected(failure.code);
            refuse(&failure, style_of(&path), &id)
        }
    };
    let route = response.extensions().get::<RouteName>().map_or("other", |name| name.0);
    service.metrics.request(route, response.status().as_u16(), started.elapsed().as_secs_f64());
    let headers = response.headers_mut();
    for (name, value) in [("x-request-id", id.as_str()), ("x-ensemble-digest", &service.identity.digest)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if service.draining.load(Ordering::SeqCst) {
        // A client that keeps its connection must find another server before this one is gone.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    service.answered.fetch_add(1, Ordering::SeqCst);
    response
}

/// Answers one of the dialects.
async fn score(service: &Arc<Service>, route: &'static Route, request: Request) -> Response {
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let mut response = match scored(service, route, request, &id).await {
        Ok(Reply::Json(value)) => json(StatusCode::OK, &value),
        Ok(Reply::Tensors { json_bytes, body }) => tensors(json_bytes, body),
        Err(failure) => refuse(&failure, route.style, &id),
    };
    response.extensions_mut().insert(RouteName(route.name));
    response
}

async fn scored(service: &Arc<Service>, route: &Route, request: Request, id: &str) -> Result<Reply, Failure> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let told = head.headers.get(header::CONTENT_LENGTH).and_then(|told| told.to_str().ok()?.parse().ok());
    let held = body::read(&service.settings, &service.bytes, body, told).await;
    let body = held.inspect_err(|failure| service.metrics.rejected(failure.code))?;
    let query = head.uri.query().unwrap_or_default().to_owned();
    service.answer(route.parse, Arrival { body, headers: head.headers, query, started, id: id.to_owned() }).await
}

async fn ready(State(service): State<Arc<Service>>) -> Response {
    if service.is_ready() {
        return text("ready");
    }
    refuse(&Failure::busy("the server is stopping"), Style::Native, "")
}

fn metrics(service: &Service) -> Response {
    service.show_bytes();
    let mut response = text(&service.metrics.render());
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn no_route(request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let paths: Vec<&str> = ROUTES.iter().flat_map(|route| route.paths.iter().copied()).collect();
    let failure = Failure::new(StatusCode::NOT_FOUND, "not_found", format!("no route {}", crate::error::quote(&path)));
    let failure = match crate::error::did_you_mean(&path, &paths) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint("GET /openapi.json lists all routes"),
    };
    refuse(&failure, style_of(&path), &id_of(&request))
}

async fn wrong_method(request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let method = if style_of(&path) == Style::Native && ROUTES.iter().all(|route| !route.paths.contains(&path.as_str()))
    {
        "GET"
    } else {
        "POST"
    };
    let message = format!("{} takes {method}, not {}", crate::error::quote(&path), request.method());
    refuse(&Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", message), style_of(&path), &id_of(&request))
}

fn id_of(request: &Request) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// An answer without scores.
fn refuse(failure: &Failure, style: Style, id: &str) -> Response {
    let mut response = json(failure.status, &failure.to_json(style, id));
    let headers = response.headers_mut();
    if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT].contains(&failure.status) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
    }
    if failure.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn json(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// JSON with tensors behind it.
fn tensors(json_bytes: usize, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(triton::JSON_LENGTH, HeaderValue::from(json_bytes));
    response
}
