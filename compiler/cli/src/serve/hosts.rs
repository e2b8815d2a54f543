//! The host names that the server accepts.
//!
//! A page of another site can point its own host name at this machine (DNS rebinding). The browser would then treat
//! what is served here as that page's origin. Requests must therefore use a name that belongs to this machine.

use std::net::{IpAddr, Ipv6Addr};

use hyper::header::HOST;
use hyper::{Request, StatusCode};

/// Accepted names and addresses.
pub(super) struct Hosts {
    addresses: Vec<IpAddr>,
    names: Vec<String>,
}

impl Hosts {
    /// The names of this machine, the addresses to listen on, and further names.
    pub(super) fn new(addresses: &[IpAddr], names: &[String]) -> Self {
        Hosts { addresses: addresses.to_vec(), names: names.iter().map(|name| plain(name)).collect() }
    }

    /// Rejects a request for another host, with a status and a message.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), (StatusCode, &'static str)> {
        let mut headers = request.headers().get_all(HOST).iter();
        let host = headers.next().and_then(|value| value.to_str().ok());
        let (Some(host), None) = (host, headers.next()) else {
            return Err((StatusCode::BAD_REQUEST, "expected one Host header\n"));
        };
        let asked = request.uri().authority().map(|a| a.as_str());
        match [Some(host), asked].into_iter().flatten().all(|host| self.serves(host)) {
            true => Ok(()),
            false => Err((
                StatusCode::FORBIDDEN,
                "this host name is not served; add it with gristmill serve --host-name NAME\n",
            )),
        }
    }

    /// Whether `host`, with or without a port, is accepted.
    fn serves(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else { return false };
        let address = match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
            Some(inside) => inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => name.parse().ok().filter(IpAddr::is_ipv4),
        };
        if let Some(address) = address {
            // A browser uses an address as it is, so it cannot be rebound.
            return address.is_loopback() || self.addresses.iter().any(|a| *a == address || a.is_unspecified());
        }
        let name = plain(name);
        name == "localhost" || name.ends_with(".localhost") || self.names.contains(&name)
    }
}

/// A name in canonical form: lower case, without the trailing dot.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// `name` from `name:80`; `None` if what follows the colon is not a port.
fn without_port(host: &str) -> Option<&str> {
    let end = host.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = host[end..].find(':') else { return Some(host) };
    let (name, port) = host.split_at(end + colon);
    port[1..].bytes().all(|b| b.is_ascii_digit()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_served() {
        let hosts = |bound: &str| Hosts::new(&[bound.parse().expect("an address")], &["Mill.example".into()]);
        let local = hosts("127.0.0.1");
        for host in
            ["localhost", "localhost:80", "LOCALHOST.:1", "a.localhost", "127.0.0.1:8080", "[::1]:80", "mill.EXAMPLE:1"]
        {
            assert!(local.serves(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil",
            "mill.example.evil",
            "192.168.0.9",
            "[fe80::1]",
            "localhost:x",
            "::1",
            "[::1",
            ":80",
        ] {
            assert!(!local.serves(host), "{host}");
        }
        assert!(hosts("192.168.0.9").serves("192.168.0.9:80") && !hosts("192.168.0.9").serves("192.168.0.8"));
        assert!(hosts("0.0.0.0").serves("192.168.0.9") && !hosts("0.0.0.0").serves("evil.example"));
        let several = Hosts::new(&["127.0.0.1", "192.168.0.9", "fd00::9"].map(|a| a.parse().expect("an address")), &[]);
        assert!(["192.168.0.9:80", "[fd00::9]:80", "localhost"].iter().all(|host| several.serves(host)));
        assert!(["192.168.0.8", "[fd00::8]", "evil.example"].iter().all(|host| !several.serves(host)));
    }
}
