//! Runs a bundle on all devices and on the reference backend, and compares the results.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_bundle::{Bundle, Manifest};
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_graph::QuantSpec;
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::{Backend, Tensor};

use crate::devices::{self, Device};
use crate::models::ModelFiles;

/// Tolerances, in standard deviations.
#[derive(Clone, Copy)]
struct Tolerance {
    max: f64,
    mean: f64,
}

/// How much an output may change if an activation close to the middle between two steps is rounded the other way.
/// Nearly all runs agree to 1e-5. But once a value has flipped, all values computed from it are rounded differently,
/// and what remains is the noise of 8-bit activations itself.
const FLIPS: Tolerance = Tolerance { max: 0.15, mean: 3e-2 };

/// A bundle, opened on all devices and on the reference backend.
pub struct Twins {
    /// The manifest of the bundle.
    pub manifest: Manifest,
    /// On devices.
    pub devices: Vec<Device>,
    /// The reference evaluator.
    pub reference: ReferenceBackend,
    /// The same with 8-bit activations, if any weight is quantized.
    rounded: Option<ReferenceBackend>,
}

/// The input of a run, and the tolerance.
pub struct Task {
    /// Inputs of the entry that takes tensors.
    pub inputs: BTreeMap<String, Tensor>,
    /// How many tokens to decode, if any.
    pub greedy: Option<u32>,
    /// The number of leading padding positions of each row; these are not compared.
    pub padding: Vec<usize>,
    /// Maximum error, in standard deviations.
    pub tolerance: f64,
}

impl Twins {
    /// Compiles a model for all devices and opens it on each.
    ///
    /// # Errors
    /// If the model cannot be compiled, or the bundle cannot be opened on a device.
    pub fn compile(files: &ModelFiles, options: &CompileOptions) -> Result<Twins, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        files.write(&dir.path().join("model"));
        let options = CompileOptions { targets: devices::targets(), ..options.clone() };
        let out = dir.path().join("bundle");
        compile(&dir.path().join("model"), &out, &options, &Quiet).map_err(|e| e.to_string())?;
        Twins::open(&out)
    }

    /// Opens a bundle on each device. All files are read, so the directory may be deleted.
    ///
    /// # Errors
    /// If the bundle cannot be opened on a device.
    pub fn open(bundle: &Path) -> Result<Twins, String> {
        let files = Memory::of(bundle);
        let open = || Bundle::from_source(Box::new(files.0.clone())).map_err(|e| e.to_string());
        let (first, second, third) = (Arc::new(open()?), open()?, open()?);
        let manifest = first.manifest().clone();
        let devices = devices::open(&first)?;
        let reference = ReferenceBackend::open(second).map_err(|e| e.to_string())?;
        let rounded = ReferenceBackend::open(third).map_err(|e| e.to_string())?.quantizing_activations();
        let quantized = manifest.tensors.iter().any(|t| t.precision.parse::<QuantSpec>().is_ok());
        Ok(Twins { manifest, devices, reference, rounded: quantized.then_some(rounded) })
    }

    /// The outputs of the reference backend for a task, with taps.
    ///
    /// # Errors
    /// If it fails to run.
    pub fn expected(&mut self, task: &Task) -> Result<BTreeMap<String, Tensor>, String> {
        let what = TensorRun { greedy: task.greedy, taps: true, ..TensorRun::default() };
        run_tensors(&mut self.reference, &self.manifest, &task.inputs, &what).map_err(|e| e.to_string())
    }

    /// The manifest, and all backends by name: the devices, then the reference backend.
    pub fn all(&mut self) -> (&Manifest, Vec<(&str, &mut dyn Backend)>) {
        let mut all: Vec<(&str, &mut dyn Backend)> = Vec::new();
        for device in &mut self.devices {
            all.push((&device.name, device.backend.as_mut()));
        }
        all.push(("reference", &mut self.reference));
        (&self.manifest, all)
    }

    /// Runs a task on all devices, with taps. Returns the largest error.
    ///
    /// # Errors
    /// Lists everything that differs by more than the tolerance.
    pub fn check(&mut self, task: &Task) -> Result<f64, String> {
        let what = TensorRun { greedy: task.greedy, taps: true, ..TensorRun::default() };
        let exact = self.expected(task);
        let rounding = self
            .rounded
            .as_mut()
            .map(|reference| run_tensors(reference, &self.manifest, &task.inputs, &what).map_err(|e| e.to_string()));
        let (mut worst, mut wrong) = (0f64, Vec::new());
        for device in &mut self.devices {
            let found = run_tensors(device.backend.as_mut(), &self.manifest, &task.inputs, &what);
            let (expected, tolerance) = match &rounding {
                Some(rounding) if device.rounds => {
                    (rounding, Tolerance { max: FLIPS.max.max(task.tolerance), mean: FLIPS.mean.max(task.tolerance) })
                }
                _ => (&exact, Tolerance { max: task.tolerance, mean: task.tolerance }),
            };
            let compared = match (found.map_err(|e| e.to_string()), expected) {
                (Ok(found), Ok(expected)) => compare(task, tolerance, expected, &found),
                // All must fail with the same message.
                (Err(e), Err(other)) if e == *other => return Err(e),
                (found, other) => Err(format!("{:?}, but the reference {:?}", found.err(), other.as_ref().err())),
            };
            match compared {
                Ok(error) => worst = worst.max(error),
                Err(e) => wrong.push(format!("{}: {e}", device.name)),
            }
        }
        if wrong.is_empty() { Ok(worst) } else { Err(wrong.join("\n")) }
    }
}

/// Compares outputs; returns the largest error.
fn compare(
    task: &Task,
    tolerance: Tolerance,
    expected: &BTreeMap<String, Tensor>,
    found: &BTreeMap<String, Tensor>,
) -> Result<f64, String> {
    if found.keys().ne(expected.keys()) {
        return Err(format!("outputs {:?} and {:?}", found.keys(), expected.keys()));
    }
    // Models without tokens have no padding.
    let tokens = task.inputs.get("input_ids").map(|ids| ids.shape[1]);
    let agreed = task.greedy.map(|_| agreed_steps(expected, found, tolerance.max)).transpose()?;
    let (mut worst, mut wrong) = (0f64, Vec::new());
    for (name, want) in expected {
        let got = &found[name];
        if want.shape != got.shape {
            wrong.push(format!("{name}: {:?} and {:?}", want.shape, got.shape));
            continue;
        }
        let (Some(a), Some(b)) = (want.as_f32(), got.as_f32()) else { continue };
        let keep = |row: usize, position: usize| match &agreed {
            Some(steps) if name == "greedy.logits" => position < steps[row],
            _ => want.shape.len() < 3 || Some(want.shape[1]) != tokens || position >= task.padding[row],
        };
        let (error, mean) = errors(&want.shape, a, b, keep);
        worst = worst.max(error);
        if error > tolerance.max || mean > tolerance.mean {
            wrong.push(format!("{name}: {error:.1e}, {mean:.1e} in the mean"));
        }
    }
    if wrong.is_empty() { Ok(worst) } else { Err(wrong.join("\n")) }
}

/// The largest error and the root mean square error, in standard deviations, over the positions that `keep` selects.
fn errors(shape: &[usize], want: &[f32], got: &[f32], keep: impl Fn(usize, usize) -> bool) -> (f64, f64) {
    let rows = shape[0];
    let positions = if shape.len() < 3 { 1 } else { shape[1] };
    let width = want.len() / (rows * positions);
    let kept = (0..want.len()).filter(|i| keep(i / (width * positions), i / width % positions));
    let pairs: Vec<(f64, f64)> = kept.map(|i| (f64::from(want[i]), f64::from(got[i]))).collect();
    let n = pairs.len().max(1) as f64;
    let mean = pairs.iter().map(|p| p.0).sum::<f64>() / n;
    let std = (pairs.iter().map(|p| (p.0 - mean).powi(2)).sum::<f64>() / n).sqrt();
    // A NaN is an infinite error; `max` would ignore it.
    let worst = pairs.iter().map(|p| (p.0 - p.1).abs()).fold(0.0, |a, b| if a >= b { a } else { b });
    let square = (pairs.iter().map(|p| (p.0 - p.1).powi(2)).sum::<f64>() / n).sqrt();
    if worst.is_nan() { (f64::INFINITY, f64::INFINITY) } else { (worst / std.max(1e-12), square / std.max(1e-12)) }
}

/// For each row, the number of steps for which both have decoded the same tokens. Logits can be compared for that many
/// steps, plus one.
///
/// # Errors
/// If they diverge where the best two tokens are not practically equal.
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
            // Both may be wrong, in opposite directions.
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
