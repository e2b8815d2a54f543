//! A test server with the Hub's protocol, with a second host for large files, that can misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};

/// The host that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Hub,
    Cdn,
}

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) host: Host,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) token: Option<String>,
    /// Bytes of the body that were sent.
    pub(crate) sent: usize,
}

/// What the second host does with the next request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Sends this many bytes and closes the connection.
    Cut(usize),
    /// Sends this many bytes, then nothing until the test ends.
    Stall(usize),
    /// Sends everything, whatever range was requested.
    Whole,
    /// Sends wrong bytes.
    Damage,
}

/// How the first host responds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manners {
    /// Responds with 401 without this token, and 403 with a wrong one.
    pub(crate) gate: Option<String>,
    /// Responds to all requests with this status.
    pub(crate) status: Option<u16>,
    /// Omits the error codes.
    pub(crate) no_codes: bool,
}

#[derive(Default)]
struct State {
    model: String,
    revisions: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
    seen: Vec<Seen>,
    faults: Vec<Fault>,
    manners: Manners,
}

/// The server. It stops with the test.
pub(crate) struct Hub {
    state: Arc<Mutex<State>>,
    ports: [u16; 2],
    ended: Arc<AtomicBool>,
}

impl Hub {
    /// A server with one model, whose branch main is at this commit.
    pub(crate) fn new(model: &str, commit: &str) -> Self {
        let state = Arc::new(Mutex::new(State { model: model.into(), ..State::default() }));
        let ended = Arc::new(AtomicBool::new(false));
        let listeners = [Host::Hub, Host::Cdn].map(|host| (host, TcpListener::bind("127.0.0.1:0").unwrap()));
        let ports = [0, 1].map(|i| listeners[i].1.local_addr().unwrap().port());
        for (host, listener) in listeners {
            let (state, ended) = (Arc::clone(&state), Arc::clone(&ended));
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if ended.load(Ordering::SeqCst) {
                        return;
                    }
                    let (state, ended) = (Arc::clone(&state), Arc::clone(&ended));
                    std::thread::spawn(move || answer(host, ports[1], stream, &state, &ended));
                }
            });
        }
        let hub = Hub { state, ports, ended };
        hub.revision("main", commit);
        hub
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    pub(crate) fn revision(&self, name: &str, commit: &str) {
        self.state().revisions.insert(name.into(), commit.into());
    }

    pub(crate) fn file(&self, path: &str, content: &[u8]) {
        self.state().files.insert(path.into(), content.to_vec());
    }

    pub(crate) fn remove(&self, path: &str) {
        self.state().files.remove(path).unwrap();
    }

    /// What to do with the next requests to the second host, one each.
    pub(crate) fn faults(&self, faults: &[Fault]) {
        self.state().faults = faults.to_vec();
    }

    pub(crate) fn manners(&self, manners: Manners) {
        self.state().manners = manners;
    }

    /// The requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        for port in self.ports {
            // Wakes the listener.
            let _ = TcpStream::connect(("127.0.0.1", port));
        }
    }
}

/// The git object id of a small file.
pub(crate) fn git_hash(content: &[u8]) -> String {
    let digest = Sha1::new_with_prefix(format!("blob {}\0", content.len())).chain_update(content).finalize();
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether the Hub stores a file outside of git.
pub(crate) fn is_large(path: &str) -> bool {
    path.ends_with(".safetensors") || path.ends_with(".gguf")
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    fault: Option<Fault>,
}

impl Answer {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Answer { status, headers: Vec::new(), body: body.into(), fault: None }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

fn answer(host: Host, cdn: u16, mut stream: TcpStream, state: &Mutex<State>, ended: &AtomicBool) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let mut seen = Seen { host, method, path, range: None, token: None, sent: 0 };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_lowercase().as_str() {
            "range" => seen.range = Some(value.trim().into()),
            "authorization" => seen.token = Some(value.trim().into()),
            _ => {}
        }
    }
    let mut answer = match host {
        Host::Hub => hub(&mut state.lock().unwrap(), cdn, &seen),
        Host::Cdn => content(&mut state.lock().unwrap(), &seen),
    };
    let length = answer.body.len();
    let mut stalls = false;
    match answer.fault {
        Some(Fault::Cut(n)) => answer.body.truncate(n),
        Some(Fault::Stall(n)) => {
            answer.body.truncate(n);
            stalls = true;
        }
        Some(Fault::Damage) => answer.body.iter_mut().for_each(|b| *b ^= 1),
        Some(Fault::Whole) | None => {}
    }
    if seen.method == "HEAD" {
        answer.body.clear();
    }
    seen.sent = answer.body.len();
    state.lock().unwrap().seen.push(seen);
    let headers: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head =
        format!("HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n", answer.status);
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer.body)).ok()?;
    let until = Instant::now() + Duration::from_secs(60);
    while stalls && !ended.load(Ordering::SeqCst) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(())
}

/// The response of the first host.
fn hub(state: &mut State, cdn: u16, seen: &Seen) -> Answer {
    let quiet = state.manners.no_codes;
    let says = |status, code: &str| match quiet {
        true => Answer::new(status, ""),
        false => Answer::new(status, "").with("X-Error-Code", code),
    };
    if let Some(status) = state.manners.status {
        return Answer::new(status, "");
    }
    let path = seen.path.split('?').next().unwrap();
    if let Some(rest) = path.strip_prefix("/api/models/") {
        let Some(rest) = rest.strip_prefix(&state.model) else { return says(404, "RepoNotFound") };
        let asked = rest.strip_prefix("/revision/").unwrap_or("main").replace("%2F", "/");
        let Some(commit) = commit(state, &asked) else { return says(404, "RevisionNotFound") };
        return Answer::new(200, listing(state, &commit).to_string());
    }
    let Some(rest) = path.strip_prefix(&format!("/{}/resolve/", state.model)) else { return says(404, "RepoNotFound") };
    let Some((commit, file)) = rest.split_once('/') else { return says(404, "EntryNotFound") };
    if let Some(token) = &state.manners.gate {
        match &seen.token {
            None => return says(401, "GatedRepo"),
            Some(other) if *other != format!("Bearer {token}") => return says(403, "GatedRepo"),
            Some(_) => {}
        }
    }
    let Some(content) = state.files.get(file) else { return says(404, "EntryNotFound") };
    if is_large(file) {
        let hash = gristmill_bundle::sha256_hex(content);
        return Answer::new(302, "moved")
            .with("Location", format!("http://127.0.0.1:{cdn}/{file}?signature=x%2Fy"))
            .with("X-Repo-Commit", commit)
            .with("X-Linked-Etag", format!("\"{hash}\""))
            .with("X-Linked-Size", content.len().to_string());
    }
    Answer::new(200, content.clone()).with("X-Repo-Commit", commit).with("ETag", format!("\"{}\"", git_hash(content)))
}

fn commit(state: &State, asked: &str) -> Option<String> {
    let known = state.revisions.values().find(|commit| *commit == asked);
    state.revisions.get(asked).or(known).cloned()
}

fn listing(state: &State, commit: &str) -> serde_json::Value {
    let entry = |(path, content): (&String, &Vec<u8>)| match is_large(path) {
        true => serde_json::json!({
            "rfilename": path, "size": content.len(), "blobId": git_hash(b"a pointer"),
            "lfs": {"sha256": gristmill_bundle::sha256_hex(content), "size": content.len(), "pointerSize": 9},
        }),
        false => serde_json::json!({"rfilename": path, "size": content.len(), "blobId": git_hash(content)}),
    };
    let siblings: Vec<_> = state.files.iter().map(entry).collect();
    serde_json::json!({"id": state.model, "sha": commit, "siblings": siblings})
}

/// The response of the second host.
fn content(state: &mut State, seen: &Seen) -> Answer {
    let file = seen.path.split('?').next().unwrap().trim_start_matches('/').to_string();
    let fault = if state.faults.is_empty() { None } else { Some(state.faults.remove(0)) };
    let Some(content) = state.files.get(&file) else { return Answer::new(404, "") };
    let from = seen.range.as_deref().and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let answer = match from.filter(|_| !matches!(fault, Some(Fault::Whole))) {
        Some(from) if from < content.len() => {
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            Answer::new(206, &content[from..]).with("Content-Range", range)
        }
        Some(_) => Answer::new(416, ""),
        None => Answer::new(200, content.clone()),
    };
    Answer { fault, ..answer }
}
