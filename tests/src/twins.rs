//! A bundle on the device and on the reference backend, held against each other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_bundle::{Bundle, Manifest};
use gristmill_compiler::reference::ReferenceBackend;
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::native::{Options, Wgpu};
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::{Backend, Tensor};

use crate::models::ModelFiles;

/// A bundle, twice.
pub struct Twins {
    /// What both execute.
    pub manifest: Manifest,
    /// On the device.
    pub device: Wgpu,
    /// By the reference evaluator.
    pub reference: ReferenceBackend,
}

/// What to run.
pub struct Task {
    /// Inputs of the entry that takes tensors.
    pub inputs: BTreeMap<String, Tensor>,
    /// How many tokens to decode, if any.
    pub greedy: Option<u32>,
    /// Per row, how many of the first positions are padding and hold nothing worth comparing.
    pub padding: Vec<usize>,
    /// Largest accepted error, in standard deviations.
    pub tolerance: f64,
}

impl Twins {
    /// Compiles a model for the native target and opens it on both backends.
    pub fn compile(files: &ModelFiles, options: &CompileOptions) -> Result<Twins, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        files.write(&dir.path().join("model"));
        let options = CompileOptions { targets: vec!["native".into()], ..options.clone() };
        let out = dir.path().join("bundle");
        compile(&dir.path().join("model"), &out, &options, &Quiet).map_err(|e| e.to_string())?;
        Twins::open(&out)
    }

    /// Opens a bundle on both. Everything is read, so the directory may go.
    pub fn open(bundle: &Path) -> Result<Twins, String> {
        let files = Memory::of(bundle);
        let open = || Bundle::from_source(Box::new(files.0.clone())).map_err(|e| e.to_string());
        let (first, second) = (Arc::new(open()?), open()?);
        let manifest = first.manifest().clone();
        let device = Wgpu::load(first, &Options::default(), &mut |_, _| {});
        let device = device.map_err(|e| format!("{e}; on Debian, install mesa-vulkan-drivers"))?;
        let reference = ReferenceBackend::open(second).map_err(|e| e.to_string())?;
        Ok(Twins { manifest, device, reference })
    }

    /// What the reference backend gives for a task, with taps.
    ///
    /// # Errors
    /// If it does not run.
    pub fn expected(&mut self, task: &Task) -> Result<BTreeMap<String, Tensor>, String> {
        let what = TensorRun { entry: None, greedy: task.greedy, taps: true };
        run_tensors(&mut self.reference, &self.manifest, &task.inputs, &what).map_err(|e| e.to_string())
    }

    /// Runs a task on both, with taps; gives the largest error.
    ///
    /// # Errors
    /// Everything that differs by more than the tolerance.
    pub fn check(&mut self, task: &Task) -> Result<f64, String> {
        let what = TensorRun { entry: None, greedy: task.greedy, taps: true };
        let run = |backend: &mut dyn Backend| {
            run_tensors(backend, &self.manifest, &task.inputs, &what).map_err(|e| e.to_string())
        };
        let found = run(&mut self.device)?;
        let expected = run(&mut self.reference)?;
        if found.keys().ne(expected.keys()) {
            return Err(format!("outputs {:?} and {:?}", found.keys(), expected.keys()));
        }
        let tokens = task.inputs["input_ids"].shape[1];
        let agreed = task.greedy.map(|_| agreed_steps(&expected, &found, task.tolerance)).transpose()?;
        let (mut worst, mut wrong) = (0f64, Vec::new());
        for (name, want) in &expected {
            let got = &found[name];
            if want.shape != got.shape {
                wrong.push(format!("{name}: {:?} and {:?}", want.shape, got.shape));
                continue;
            }
            let (Some(a), Some(b)) = (want.as_f32(), got.as_f32()) else { continue };
            let keep = |row: usize, position: usize| match &agreed {
                Some(steps) if name == "greedy.logits" => position < steps[row],
                _ => want.shape.len() < 3 || want.shape[1] != tokens || position >= task.padding[row],
            };
            let error = error(&want.shape, a, b, keep);
            worst = worst.max(error);
            if error > task.tolerance {
                wrong.push(format!("{name}: {error:.1e}"));
            }
        }
        if wrong.is_empty() { Ok(worst) } else { Err(wrong.join("\n")) }
    }
}

/// `max |error| / std` over the positions that are kept.
fn error(shape: &[usize], want: &[f32], got: &[f32], keep: impl Fn(usize, usize) -> bool) -> f64 {
    let rows = shape[0];
    let positions = if shape.len() < 3 { 1 } else { shape[1] };
    let width = want.len() / (rows * positions);
    let kept = (0..want.len()).filter(|i| keep(i / (width * positions), i / width % positions));
    let pairs: Vec<(f64, f64)> = kept.map(|i| (f64::from(want[i]), f64::from(got[i]))).collect();
    let n = pairs.len().max(1) as f64;
    let mean = pairs.iter().map(|p| p.0).sum::<f64>() / n;
    let std = (pairs.iter().map(|p| (p.0 - mean).powi(2)).sum::<f64>() / n).sqrt();
    // A NaN is an error without end, not one that `max` forgets.
    let worst = pairs.iter().map(|p| (p.0 - p.1).abs()).fold(0.0, |a, b| if a >= b { a } else { b });
    if worst.is_nan() { f64::INFINITY } else { worst / std.max(1e-12) }
}

/// Per row, for how many steps both have decoded the same tokens; logits can be compared so far, and one step more.
///
/// # Errors
/// If they part where the best two tokens are not as good as equal.
fn agreed_steps(
    expected: &BTreeMap<String, Tensor>,
    found: &BTreeMap<String, Tensor>,
    tolerance: f64,
) -> Result<Vec<usize>, String> {
    let tokens = |m: &BTreeMap<String, Tensor>| m["greedy.tokens"].as_i32().unwrap_or_default().to_vec();
    let (want, got) = (tokens(expected), tokens(found));
    let logits = &expected["greedy.logits"];
    let (rows, steps, vocab) = (logits.shape[0], logits.shape[1], logits.shape[2]);
    let values = logits.as_f32().unwrap_or_default();
    let mut agreed = Vec::new();
    for row in 0..rows {
        let differ = (0..steps).find(|s| want[row * steps + s] != got[row * steps + s]);
        if let Some(step) = differ {
            let scores = &values[(row * steps + step) * vocab..][..vocab];
            let score = |token: i32| scores.get(token as usize).copied().unwrap_or(f32::NAN);
            let (a, b) = (score(want[row * steps + step]), score(got[row * steps + step]));
            let mean = scores.iter().sum::<f32>() / vocab as f32;
            let std = (scores.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / vocab as f32).sqrt();
            // Both may err, in opposite directions.
            let equal = f64::from(a - b) <= 2.0 * tolerance * f64::from(std);
            if !equal {
                return Err(format!("row {row} step {step}: tokens of scores {a} and {b} (std {std})"));
            }
        }
        agreed.push(differ.map_or(steps, |s| s + 1));
    }
    Ok(agreed)
}

/// The files of a bundle, in memory.
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Memory {
    /// Reads a directory.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn of(dir: &Path) -> Memory {
        let (mut files, mut folders) = (BTreeMap::new(), vec![dir.to_path_buf()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a directory").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(dir).expect("below").to_string_lossy().replace('\\', "/");
                    files.insert(name, std::fs::read(&path).expect("a file"));
                }
            }
        }
        Memory(files)
    }
}
