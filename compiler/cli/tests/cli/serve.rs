//! `gristmill serve`, as seen by a browser: over TCP.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::common::Place;

/// A server that stops with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(place: &Place, model: &str, more: &[&str]) -> Self {
        let mut command = place.command(&[&["serve", model, "--port", "0"][..], more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("http://127.0.0.1:").and_then(|l| l.strip_suffix('/')?.parse().ok());
        Server { port: port.unwrap_or_else(|| panic!("not an address: {line:?}")), child }
    }

    /// Starts a server for the network, and returns the printed address.
    fn start_lan(place: &Place) -> (Self, String) {
        let mut command = place.command(&["serve", "bundle", "--port", "0", "--lan"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let host = line.trim().strip_prefix("http://").and_then(|l| l.strip_suffix('/'));
        let host = host.unwrap_or_else(|| panic!("not an address: {line:?}")).to_string();
        let port = host.rsplit_once(':').unwrap().1.parse().unwrap();
        (Server { port, child }, host)
    }

    /// Sends one request. The path need not be valid.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let host = if headers.contains("Host: ") { "" } else { "Host: localhost\r\n" };
        write!(stream, "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::parse(&bytes)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let pair = |l: &str| l.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_string()));
        Answer { status, headers: lines.filter_map(pair).collect(), body: bytes[end + 4..].to_vec() }
    }

    #[track_caller]
    fn has(&self, name: &str, value: &str) {
        assert_eq!(self.headers.get(name).map(String::as_str), Some(value), "{name} in {:?}", self.headers);
    }
}

/// The path and the content of a weight file.
fn shard(bundle: &Path) -> (String, Vec<u8>) {
    let file = bundle.join("weights").read_dir().unwrap().next().unwrap().unwrap().path();
    (format!("/weights/{}", file.file_name().unwrap().to_str().unwrap()), std::fs::read(file).unwrap())
}

#[test]
fn files_arrive_whole_with_their_types() {
    let place = Place::new();
    let bundle = place.bundle(&["--target", "chrome"]);
    std::fs::write(bundle.join("index.html"), "<p>mill").unwrap();
    std::fs::create_dir_all(bundle.join("runtime")).unwrap();
    std::fs::write(bundle.join("runtime/x.js"), "1").unwrap();
    std::fs::write(bundle.join("runtime/x.wasm"), "").unwrap();
    let server = Server::start(&place, "bundle", &[]);

    let root = server.get("/");
    assert_eq!((root.status, root.body.as_slice()), (200, b"<p>mill".as_slice()));
    root.has("content-type", "text/html; charset=utf-8");
    root.has("cache-control", "no-cache");
    root.has("cross-origin-opener-policy", "same-origin");
    root.has("cross-origin-embedder-policy", "require-corp");
    root.has("cross-origin-resource-policy", "same-origin");
    root.has("x-content-type-options", "nosniff");

    let (path, content) = shard(&bundle);
    let weights = server.get(&path);
    assert!(weights.status == 200 && weights.body == content);
    weights.has("cache-control", "public, max-age=31536000, immutable");
    weights.has("content-length", &content.len().to_string());
    weights.has("accept-ranges", "bytes");

    server.get("/manifest.json?v=1").has("content-type", "application/json");
    server.get("/runtime/x.js").has("content-type", "text/javascript; charset=utf-8");
    let empty = server.get("/runtime/x.wasm");
    empty.has("content-type", "application/wasm");
    empty.has("content-length", "0");
    let shader = std::fs::read_dir(bundle.join("shaders/chrome")).unwrap().next().unwrap().unwrap().file_name();
    let shader = server.get(&format!("/shaders/chrome/{}", shader.to_str().unwrap()));
    shader.has("content-type", "text/plain; charset=utf-8");
}

#[test]
fn parts_of_files() {
    let place = Place::new();
    let (path, content) = shard(&place.bundle(&[]));
    let server = Server::start(&place, "bundle", &[]);
    let range = |range: &str| server.ask("GET", &path, &[("Range", range)]);
    let length = content.len();

    let part = range("bytes=16-47");
    assert!(part.status == 206 && part.body == content[16..48]);
    part.has("content-range", &format!("bytes 16-47/{length}"));
    part.has("content-length", "32");
    let rest = range(&format!("bytes={}-", length - 5));
    assert!(rest.status == 206 && rest.body == content[length - 5..]);
    let tail = range("bytes=-5");
    assert!(tail.status == 206 && tail.body == content[length - 5..]);
    let beyond = range(&format!("bytes={length}-"));
    assert_eq!(beyond.status, 416);
    beyond.has("content-range", &format!("bytes */{length}"));
    assert_eq!(range("bytes=x").status, 200);

    let tag = part.headers["etag"].clone();
    let with = |tag: &str| server.ask("GET", &path, &[("Range", "bytes=0-3"), ("If-Range", tag)]);
    assert_eq!(with(&tag).status, 206);
    let whole = with("\"older\"");
    assert!(whole.status == 200 && whole.body == content, "a part of another content would be no part");
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    let place = Place::new();
    let bundle = place.bundle(&[]);
    let server = Server::start(&place, "bundle", &[]);
    let first = server.get("/manifest.json");
    let (tag, date) = (first.headers["etag"].as_str(), first.headers["last-modified"].as_str());
    for known in [
        ("If-None-Match", tag),
        ("If-None-Match", &format!("\"x\", W/{tag}")),
        ("If-None-Match", "*"),
        ("If-Modified-Since", date),
    ] {
        let again = server.ask("GET", "/manifest.json", &[known]);
        assert!(again.status == 304 && again.body.is_empty(), "{known:?}: {}", again.status);
        again.has("etag", tag);
    }
    assert_eq!(
        server.ask("GET", "/manifest.json", &[("If-None-Match", "\"x\""), ("If-Modified-Since", date)]).status,
        200
    );
    std::fs::write(bundle.join("manifest.json"), "{}").unwrap();
    let changed = server.ask("GET", "/manifest.json", &[("If-None-Match", tag)]);
    assert_eq!((changed.status, changed.body.as_slice()), (200, b"{}".as_slice()));
}

#[test]
fn heads_have_no_body_and_other_methods_no_answer() {
    let place = Place::new();
    let (path, content) = shard(&place.bundle(&[]));
    let server = Server::start(&place, "bundle", &[]);
    let head = server.ask("HEAD", &path, &[]);
    assert!(head.status == 200 && head.body.is_empty());
    head.has("content-length", &content.len().to_string());
    for method in ["POST", "PUT", "DELETE"] {
        let refused = server.ask(method, &path, &[]);
        assert_eq!(refused.status, 405, "{method}");
        refused.has("allow", "GET, HEAD, OPTIONS");
    }
}

#[test]
fn nothing_but_the_bundle_is_served() {
    let place = Place::new();
    let bundle = place.bundle(&[]);
    std::fs::write(place.at("secret"), "secret").unwrap();
    std::fs::write(bundle.join(".hidden"), "secret").unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.at("secret"), bundle.join("link")).unwrap();
        std::os::unix::fs::symlink(place.at(""), bundle.join("folder")).unwrap();
        std::os::unix::fs::symlink("manifest.json", bundle.join("inside.json")).unwrap();
    }
    let server = Server::start(&place, "bundle", &[]);
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/weights/../../secret",
        "/..%2fsecret",
        "/%5c..%5csecret",
        "//secret",
        "/link",
        "/folder/secret",
        "/.hidden",
        "/weights",
        "/weights/",
        "/nowhere",
        "/%00",
        "/%",
    ] {
        let answer = server.get(path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(!answer.body.windows(6).any(|w| w == b"secret"), "{path}");
    }
    #[cfg(unix)]
    assert_eq!(server.get("/inside.json").status, 200);
}

#[test]
fn isolation_and_sharing_are_choices() {
    let place = Place::new();
    place.bundle(&[]);
    let server = Server::start(&place, "bundle", &["--no-isolation", "--cors"]);
    let answer = server.get("/manifest.json");
    assert!(!answer.headers.contains_key("cross-origin-embedder-policy"), "{:?}", answer.headers);
    answer.has("access-control-allow-origin", "*");
    answer.has("cross-origin-resource-policy", "cross-origin");
    let question = server.ask("OPTIONS", "/manifest.json", &[("Access-Control-Request-Headers", "range")]);
    assert_eq!(question.status, 204);
    question.has("access-control-allow-headers", "range, if-range");
}

#[test]
fn places_where_nothing_can_be_served() {
    let place = Place::new();
    place.run(&["serve", "nowhere"]).fails(2, &["nowhere: no such directory"]);
    place.run(&["serve", "nowhere", "--host", "here"]).fails(2, &["--host"]);
    place.bundle(&[]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    place.run(&["serve", "bundle", "--port", &port]).fails(3, &[&port, "the port is in use", "--port"]);
    place.run(&["serve", "bundle", "--host", "192.0.2.1", "--port", "0"]).fails(3, &["192.0.2.1", "--host"]);
}

/// A machine on a network is reached at its address there; on a machine without a network the command says so.
#[test]
fn the_network_is_served() {
    let place = Place::new();
    place.bundle(&[]);
    place.run(&["serve", "bundle", "--lan", "--host", "127.0.0.1"]).fails(2, &["--lan", "--host"]);
    let down = [if_addrs::IfOperStatus::Down, if_addrs::IfOperStatus::LowerLayerDown];
    let interfaces = if_addrs::get_if_addrs().unwrap().into_iter();
    let reached = interfaces.filter(|i| !i.is_loopback() && !i.is_link_local() && !down.contains(&i.oper_status));
    let own: Vec<IpAddr> = reached.map(|i| i.ip()).collect();
    if own.is_empty() {
        place.run(&["serve", "bundle", "--lan", "--port", "0"]).fails(3, &["--lan", "no network address"]);
        return;
    }
    let (mut server, host) = Server::start_lan(&place);
    let ip: IpAddr = host.rsplit_once(':').unwrap().0.trim_matches(['[', ']']).parse().unwrap();
    assert!(own.contains(&ip), "{host} is not of {own:?}");
    let manifest = std::fs::read(place.at("bundle/manifest.json")).unwrap();
    let get = |host: &str, to: &str| {
        let mut stream = TcpStream::connect(to).unwrap();
        write!(stream, "GET /manifest.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::parse(&bytes)
    };
    let local = format!("127.0.0.1:{}", server.port);
    for (asked, to) in [(host.as_str(), host.as_str()), ("localhost", &local), (&host, &local)] {
        let answer = get(asked, to);
        assert!(answer.status == 200 && answer.body == manifest, "{asked} at {to}: {}", answer.status);
    }
    assert_eq!(get("evil.example", &host).status, 403);

    server.child.kill().unwrap();
    let mut said = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let blocks = said.lines().filter(|l| l.len() > 20 && l.chars().all(|c| " ▀▄█".contains(c))).count();
    assert!(blocks > 12 && !said.contains('\u{1b}'), "no code, or one with colours in a file: {said}");
    for text in [&host, "in the network", "localhost", "chrome://flags/#unsafely-treat-insecure-origin-as-secure"] {
        assert!(said.contains(text), "`{text}` is not in: {said}");
    }
}

#[test]
fn a_model_directory_is_compiled_for_browsers() {
    let place = Place::new();
    let model = place.model().display().to_string();
    let server = Server::start(&place, &model, &[]);
    let manifest: serde_json::Value = serde_json::from_slice(&server.get("/manifest.json").body).unwrap();
    let profiles = manifest["profiles"].as_array().unwrap();
    assert!(profiles.iter().any(|p| p == "chrome") && profiles.iter().any(|p| p == "safari"), "{profiles:?}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it() {
    let place = Place::new();
    place.bundle(&[]);
    let mut server = Server::start(&place, "bundle", &[]);
    assert_eq!(server.get("/manifest.json").status, 200);
    let sent =
        std::process::Command::new("sh").args(["-c", &format!("kill -INT {}", server.child.id())]).status().unwrap();
    assert!(sent.success());
    assert_eq!(server.child.wait().unwrap().code(), Some(130));
}

#[test]
fn only_names_of_this_machine_are_served() {
    let place = Place::new();
    place.bundle(&[]);
    let server = Server::start(&place, "bundle", &["--host-name", "mill.example"]);
    let status = |method: &str, path: &str, hosts: &[&str]| {
        let headers: Vec<_> = hosts.iter().map(|host| ("Host", *host)).collect();
        server.ask(method, path, &headers).status
    };
    for host in ["localhost:1", "127.0.0.1", "[::1]:80", "mill.example", "page.localhost"] {
        assert_eq!(status("GET", "/manifest.json", &[host]), 200, "{host}");
    }
    for host in ["evil.example", "evil.example:80", "192.168.0.1", "localhost.evil", ""] {
        assert_eq!(status("GET", "/manifest.json", &[host]), 403, "{host}");
        assert_eq!(status("OPTIONS", "/manifest.json", &[host]), 403, "{host}");
    }
    assert_eq!(status("GET", "/manifest.json", &["localhost", "evil.example"]), 400);
    assert_eq!(status("GET", "http://evil.example/manifest.json", &["localhost"]), 403);
    assert_eq!(status("GET", "http://localhost/manifest.json", &["localhost"]), 200);
    let refused = server.ask("HEAD", "/manifest.json", &[("Host", "evil.example")]);
    assert_eq!((refused.status, refused.body.len()), (403, 0));

    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

/// A pipe without a writer has no content, and no reader may wait for it.
#[cfg(unix)]
#[test]
fn special_files_are_not_served() {
    let place = Place::new();
    let bundle = place.bundle(&[]);
    assert!(std::process::Command::new("mkfifo").arg(bundle.join("pipe")).status().unwrap().success());
    let mut server = Server::start(&place, "bundle", &[]);
    assert_eq!(server.get("/pipe").status, 404);
    assert_eq!(server.get("/manifest.json").status, 200);

    // Ctrl-C stops the server despite open connections.
    let _open = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let id = server.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ended = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        server.child.try_wait().unwrap().is_some()
    });
    assert!(ended, "it still runs after 5 s");
}
