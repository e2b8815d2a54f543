//! Turns requests into responses.

use std::io::SeekFrom;
use std::time::{Duration, SystemTime};

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::AsyncSeekExt;

use super::body::Body;
use super::files::{Files, Found};
use super::hosts::Hosts;
use super::range::{Wanted, wanted};

/// What is served, and with which headers.
pub(super) struct Site {
    pub(super) hosts: Hosts,
    pub(super) files: Files,
    /// Whether pages are cross-origin isolated, which gives them shared memory and precise clocks.
    pub(super) isolated: bool,
    /// Whether pages of other origins may load files from here.
    pub(super) shared: bool,
}

const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK_FIRST: &str = "no-cache";

impl Site {
    /// Responds to any request.
    pub(super) async fn respond<B>(&self, request: &Request<B>) -> Response<Body> {
        let mut response = match self.hosts.check(request) {
            Ok(()) => self.answer(request).await,
            Err((status, why)) => text(status, why),
        };
        if request.method() == Method::HEAD {
            // The length header stays as it was set.
            *response.body_mut() = Body::Empty;
        }
        response
    }

    async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let mut response = match *request.method() {
            Method::GET | Method::HEAD => match self.files.find(request.uri().path()).await {
                Some(found) => answer(found, request.headers()).await,
                None => text(StatusCode::NOT_FOUND, "not found\n"),
            },
            Method::OPTIONS => plain(StatusCode::NO_CONTENT),
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n"),
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            set(&mut response, header::ALLOW, "GET, HEAD, OPTIONS");
        }
        self.add_policies(&mut response);
        response
    }

    fn add_policies(&self, response: &mut Response<Body>) {
        const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
        const EMBEDDER: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");
        const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
        set(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        if self.isolated {
            set(response, OPENER, "same-origin");
            set(response, EMBEDDER, "require-corp");
        }
        set(response, RESOURCE, if self.shared { "cross-origin" } else { "same-origin" });
        if self.shared {
            set(response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
            set(response, header::ACCESS_CONTROL_ALLOW_HEADERS, "range, if-range");
            set(response, header::ACCESS_CONTROL_EXPOSE_HEADERS, "content-length, content-range, etag");
        }
    }
}

/// Responds with the file, a part of it, or "not modified".
async fn answer(mut found: Found, headers: &HeaderMap) -> Response<Body> {
    if is_known(&found, headers) {
        let mut response = plain(StatusCode::NOT_MODIFIED);
        describe(&mut response, &found);
        return response;
    }
    let range = one(headers, header::RANGE).filter(|_| range_applies(&found, headers));
    let length = found.length;
    let (status, first, count) = match range.map_or(Wanted::Whole, |r| wanted(r, length)) {
        Wanted::Whole => (StatusCode::OK, 0, length),
        Wanted::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Wanted::Nothing => {
            let mut response = text(StatusCode::RANGE_NOT_SATISFIABLE, "range not satisfiable\n");
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
            return response;
        }
    };
    if first > 0 && found.file.seek(SeekFrom::Start(first)).await.is_err() {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read\n");
    }
    let mut response = plain(status);
    describe(&mut response, &found);
    set(&mut response, header::CONTENT_TYPE, found.kind);
    set(&mut response, header::CONTENT_LENGTH, &count.to_string());
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{}/{length}", first + count - 1));
    }
    *response.body_mut() = Body::file(found.file, count);
    response
}

/// Adds the headers for caches.
fn describe(response: &mut Response<Body>, found: &Found) {
    set(response, header::ETAG, &found.tag);
    set(response, header::CACHE_CONTROL, if found.immutable { FOREVER } else { ASK_FIRST });
    if let Some(time) = found.modified {
        set(response, header::LAST_MODIFIED, &httpdate::fmt_http_date(time));
    }
}

/// Whether the client has the current version of the file.
fn is_known(found: &Found, headers: &HeaderMap) -> bool {
    match (one(headers, header::IF_NONE_MATCH), one(headers, header::IF_MODIFIED_SINCE)) {
        (Some(tags), _) => {
            tags.split(',').map(str::trim).any(|t| t == "*" || t.strip_prefix("W/").unwrap_or(t) == found.tag)
        }
        (None, Some(date)) => is_not_newer(found.modified, date),
        (None, None) => false,
    }
}

/// Whether a range request is about the current version of the file. Without `If-Range`, the client does not care.
fn range_applies(found: &Found, headers: &HeaderMap) -> bool {
    one(headers, header::IF_RANGE).is_none_or(|condition| condition == found.tag)
}

/// Dates in headers have a resolution of one second.
fn is_not_newer(modified: Option<SystemTime>, date: &str) -> bool {
    let (Some(modified), Ok(date)) = (modified, httpdate::parse_http_date(date)) else { return false };
    modified < date + Duration::from_secs(1)
}

fn one(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = plain(status);
    set(&mut response, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    set(&mut response, header::CONTENT_LENGTH, &text.len().to_string());
    set(&mut response, header::CACHE_CONTROL, ASK_FIRST);
    *response.body_mut() = Body::Text(text);
    response
}

/// Sets a header to a text of visible ASCII characters.
fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
