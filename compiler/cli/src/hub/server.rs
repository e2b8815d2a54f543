//! Requests to the server of the Hub, and to the hosts that it redirects to for large files.

use std::io::Read;
use std::time::Duration;

use ureq::http::header::{AUTHORIZATION, LOCATION, RANGE};
use ureq::http::{HeaderMap, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::environment;
use super::token::Token;
use super::trouble::Trouble;
use crate::failure::{Failure, Outcome};

/// The default, unless `HF_ENDPOINT` is set.
const ENDPOINT: &str = "https://huggingface.co";
/// More redirects are a loop.
const REDIRECTS: usize = 10;
/// Maximum length of a response that is not a file, in bytes.
const LONGEST: u64 = 64 << 20;

/// A server of the Hub.
pub(super) struct Server {
    agent: Agent,
    endpoint: String,
    origin: Origin,
    token: Option<Token>,
}

/// Scheme, host and port. The token is only sent to the origin of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// A response.
pub(super) struct Reply {
    /// The HTTP status.
    pub(super) status: u16,
    headers: HeaderMap,
    body: Body,
}

/// The server's description of a file.
pub(super) struct Meta {
    /// The name of its content in the cache.
    pub(super) etag: Option<String>,
    /// Its length in bytes.
    pub(super) size: Option<u64>,
    /// Its address.
    pub(super) url: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Head,
}

impl Server {
    /// The server that the environment configures: `HF_ENDPOINT`, the token, proxies.
    pub(super) fn of_environment() -> Outcome<Self> {
        let endpoint = environment::variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_string());
        let endpoint = endpoint.trim_end_matches('/').to_string();
        let origin = Origin::of(&endpoint).ok_or_else(|| {
            Failure::wrong(format!("HF_ENDPOINT: {endpoint} is not the address of a server, such as {ENDPOINT}"))
        })?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, without the token.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("gristmill/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .tls_config(TlsConfig::builder().root_certs(trusted()?).build())
            .timeout_resolve(Some(Duration::from_secs(15)))
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .build();
        Ok(Server { agent: config.into(), endpoint, origin, token: Token::find()? })
    }

    /// The address, without a trailing slash.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where the token comes from, if there is one.
    pub(super) fn token_source(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.source.as_str())
    }

    /// Requests the content at an address from byte `from` on, following redirects.
    pub(super) fn get(&self, url: &str, from: u64) -> Result<Reply, Trouble> {
        let mut url = url.to_string();
        for _ in 0..REDIRECTS {
            let reply = self.send(Method::Get, &url, from)?;
            match reply.redirect() {
                None => return Ok(reply),
                Some(to) => url = self.next(&url, to)?,
            }
        }
        Err(self.circle())
    }

    /// Requests the description of a file without its content. The server names it even if it redirects to another
    /// host. The inner `Err` is an unsuccessful response.
    pub(super) fn meta(&self, url: &str) -> Result<Result<Meta, Reply>, Trouble> {
        let mut url = url.to_string();
        for _ in 0..REDIRECTS {
            let reply = self.send(Method::Head, &url, 0)?;
            let number = |name: &str| reply.header(name).and_then(|text| text.trim().parse().ok());
            let linked = reply.header("x-linked-etag");
            let etag = linked.or_else(|| reply.header("etag")).map(plain_etag);
            if (200..300).contains(&reply.status) {
                let size = number("x-linked-size").or_else(|| number("content-length"));
                return Ok(Ok(Meta { etag, size, url }));
            }
            let Some(to) = reply.redirect() else { return Ok(Err(reply)) };
            let next = self.next(&url, to)?;
            if linked.is_some() || Origin::of(&next).as_ref() != Some(&self.origin) {
                return Ok(Ok(Meta { etag, size: number("x-linked-size"), url: next }));
            }
            url = next;
        }
        Err(self.circle())
    }

    fn send(&self, method: Method, url: &str, from: u64) -> Result<Reply, Trouble> {
        let mut request = match method {
            Method::Get => self.agent.get(url),
            Method::Head => self.agent.head(url),
        };
        if let Some(token) = &self.token
            && Origin::of(url).as_ref() == Some(&self.origin)
        {
            request = request.header(AUTHORIZATION, token.header.clone());
        }
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let host = Origin::of(url).map_or_else(|| self.endpoint.clone(), |o| format!("{}://{}", o.scheme, o.host));
        let response = request.call().map_err(|e| Trouble::Down(format!("{host} cannot be reached ({e})")))?;
        let (parts, body) = response.into_parts();
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// The target of a redirect.
    fn next(&self, url: &str, to: &str) -> Result<String, Trouble> {
        let absolute = to.contains("://");
        let next = match (absolute, to.strip_prefix("//"), Origin::of(url)) {
            (true, ..) => to.to_string(),
            (_, Some(rest), Some(origin)) => format!("{}://{rest}", origin.scheme),
            (_, None, Some(_)) if to.starts_with('/') => format!("{}{to}", root(url)),
            _ => String::new(),
        };
        let from_https = url.starts_with("https:");
        match Origin::of(&next) {
            Some(origin) if origin.scheme == "https" || !from_https => Ok(next),
            _ => Err(Trouble::Failed(Failure::lacking(format!(
                "{} redirects to an unsafe address; check that HF_ENDPOINT is a Hub",
                self.endpoint
            )))),
        }
    }

    fn circle(&self) -> Trouble {
        Trouble::Failed(Failure::lacking(format!(
            "{} redirects too often; check that HF_ENDPOINT is a Hub",
            self.endpoint
        )))
    }
}

impl Reply {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn redirect(&self) -> Option<&str> {
        let is_redirect = matches!(self.status, 301 | 302 | 303 | 307 | 308);
        self.header(LOCATION.as_str()).filter(|_| is_redirect)
    }

    /// The position of the first byte of a partial response.
    pub(super) fn first_byte(&self) -> Option<u64> {
        self.header("content-range")?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
    }

    /// The complete content, which is short.
    pub(super) fn bytes(self) -> Result<Vec<u8>, String> {
        self.body.into_with_config().limit(LONGEST).read_to_vec().map_err(|e| e.to_string())
    }

    /// A reader of the content.
    pub(super) fn reader(self) -> impl Read {
        self.body.into_reader()
    }
}

impl Origin {
    fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let standard = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        Some(Origin { host: uri.host()?.to_ascii_lowercase(), port: uri.port_u16().unwrap_or(standard), scheme })
    }
}

/// The trusted certificates: those in `SSL_CERT_FILE`, which networks with a proxy of their own need, or else those
/// that browsers trust.
fn trusted() -> Outcome<RootCerts> {
    let Some(path) = environment::path("SSL_CERT_FILE") else { return Ok(RootCerts::WebPki) };
    let text = std::fs::read(&path).map_err(|e| Failure::io(&path, &e))?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    };
    let all: Vec<_> = parse_pem(&text).filter_map(certificate).collect();
    match all.is_empty() {
        true => Err(Failure::wrong(format!("{}: SSL_CERT_FILE contains no PEM certificate", path.display()))),
        false => Ok(RootCerts::from(all)),
    }
}

/// The part of an address before its path.
fn root(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    &url[..url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at)]
}

/// An ETag without quotes and prefix.
fn plain_etag(text: &str) -> String {
    text.trim().trim_start_matches("W/").trim_matches('"').to_string()
}

/// Percent-encodes a path or a part of one. Characters in `kept`, such as `/`, are left as they are.
pub(super) fn escaped(text: &str, kept: &[u8]) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b) || kept.contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_tell_hosts_schemes_and_ports_apart() {
        let of = |url| Origin::of(url);
        assert_eq!(of("https://Hub.example/a"), of("https://hub.example:443/b?c"));
        for other in
            ["http://hub.example/a", "https://hub.example:8443/", "https://cdn.hub.example/", "https://hub.example.org"]
        {
            assert_ne!(of("https://hub.example"), of(other), "{other}");
        }
        // The host is what follows the user name.
        assert_ne!(of("https://hub.example"), of("https://hub.example@other.example/"));
        assert_eq!((of("ftp://x/"), of("hub.example"), of("/a")), (None, None, None));
    }

    #[test]
    fn addresses_are_written_and_cut() {
        assert_eq!(root("http://h:1/a/b?c"), "http://h:1");
        assert_eq!(root("https://h"), "https://h");
        assert_eq!(escaped("refs/pr/1", b""), "refs%2Fpr%2F1");
        assert_eq!(escaped("a b/ü#.json", b"/"), "a%20b/%C3%BC%23.json");
        assert_eq!((plain_etag("W/\"ab\""), plain_etag("\"c\"")), ("ab".to_string(), "c".to_string()));
    }
}
