//! Bundles that are read, replaced, damaged and interrupted, all at the same time.
//!
//! `GRISTMILL_HAMMER_ROUNDS=1000 cargo test --test cli hammer` runs for long; without the variable there are a few
//! rounds.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::Place;

const ROUNDS: usize = 25;

/// A model that compiles quickly.
const ARCHITECTURE: &str = r#"Architecture(
    classes: ["X"],
    symbols: {"B": "1, 4", "T": "1, 64"},
    inputs: {"x": (dtype: F32, shape: "B, T, 4")},
    weights: {"w": (tensor: "w", shape: "4, 4")},
    body: [Output("y", "relu(linear(x, w))")],
    entries: {"forward": (outputs: ["y"], role: Tensors)},
)"#;

fn safetensors(name: &str, shape: &str, values: &[f32]) -> Vec<u8> {
    let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{}]}}}}"#, values.len() * 4);
    let data = values.iter().flat_map(|v| v.to_le_bytes());
    (header.len() as u64).to_le_bytes().into_iter().chain(header.bytes()).chain(data).collect()
}

/// The folder with the model, and a random number generator.
struct Hammer {
    place: Place,
    state: u64,
}

impl Hammer {
    fn new() -> Self {
        let place = Place::new();
        std::fs::create_dir(place.at("model")).unwrap();
        let weights: Vec<f32> = (0..16).map(|i| i as f32 - 7.0).collect();
        for (file, content) in [
            ("model/config.json", br#"{"architectures": ["X"]}"#.to_vec()),
            ("model/model.safetensors", safetensors("w", "[4,4]", &weights)),
            ("x.ron", ARCHITECTURE.into()),
            ("in.safetensors", safetensors("x", "[1,1,4]", &[1.0, 2.0, 3.0, 4.0])),
        ] {
            std::fs::write(place.at(file), content).unwrap();
        }
        Hammer { place, state: 88172645463325252 }
    }

    /// xorshift64, Marsaglia 2003.
    fn below(&mut self, most: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % most
    }

    fn start(&self, args: &[&str]) -> Child {
        self.place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn compile(&self) -> Child {
        self.start(&["compile", "model", "--arch", "x.ron", "-o", "bundle", "--target", "wasm"])
    }

    /// Runs a bundle, or the model through the cache.
    fn run(&self, what: &str, outputs: &str) -> Child {
        let arch: &[&str] = if what == "model" { &["--arch", "x.ron"] } else { &[] };
        let rest = ["--backend", "wasm", "--inputs", "in.safetensors", "--outputs", outputs];
        self.start(&[&["run", what], arch, &rest].concat())
    }

    /// Flips a bit in some file of the cache.
    fn damage(&mut self) {
        let mut files = Vec::new();
        list(&self.place.at("cache"), &mut files);
        if files.is_empty() {
            return;
        }
        let path = &files[self.below(files.len() as u64) as usize];
        // Another process may have replaced it in the meantime.
        if let Ok(mut content) = std::fs::read(path)
            && !content.is_empty()
        {
            let at = self.below(content.len() as u64) as usize;
            content[at] ^= 1 << self.below(8);
            let _ = std::fs::write(path, content);
        }
    }
}

/// All files below a folder.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() { list(&path, files) } else { files.push(path) }
    }
}

fn succeeds(child: Child, what: &str) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{what}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

#[test]
fn nobody_is_disturbed() {
    let rounds = std::env::var("GRISTMILL_HAMMER_ROUNDS").map_or(ROUNDS, |n| n.parse().unwrap());
    let mut hammer = Hammer::new();
    succeeds(hammer.compile(), "compiling");
    succeeds(hammer.run("bundle", "expected"), "running");
    succeeds(hammer.run("model", "first"), "running by way of the cache");
    let expected = std::fs::read(hammer.place.at("expected")).unwrap();
    for round in 0..rounds {
        let (replaced, killed) = (hammer.compile(), hammer.compile());
        let running = [("bundle", "a"), ("bundle", "b"), ("model", "c"), ("model", "d")];
        let running = running.map(|(what, outputs)| (what, outputs, hammer.run(what, outputs)));
        std::thread::sleep(Duration::from_millis(hammer.below(60)));
        hammer.damage();
        std::thread::sleep(Duration::from_millis(hammer.below(60)));
        let signal = ["-INT", "-TERM", "-KILL"][hammer.below(3) as usize];
        let mut kill = Command::new("kill");
        kill.args([signal, &killed.id().to_string()]).stderr(Stdio::null()).status().unwrap();
        killed.wait_with_output().unwrap();
        succeeds(replaced, "compiling");
        for (what, outputs, child) in running {
            succeeds(child, &format!("round {round}: running the {what}"));
            assert_eq!(std::fs::read(hammer.place.at(outputs)).unwrap(), expected, "round {round}: {what}");
        }
    }
    succeeds(hammer.compile(), "compiling");
    let left = ["a", "b", "bundle", "c", "cache", "d", "expected", "first", "in.safetensors", "model", "x.ron"];
    assert_eq!(hammer.place.names(), left, "nothing unfinished stays");
}
