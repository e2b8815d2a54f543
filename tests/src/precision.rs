//! What low precision costs: what models say with quantized weights beside what they say with full precision.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use gristmill_bundle::{Bundle, EntryRole};
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::native::{Options, Wgpu};
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::tokenizer::Tokenizer;
use gristmill_runtime::{Backend, Tensor};

use crate::backends::{compiled, options, to_golden, to_runtime};
use crate::devices;
use crate::goldens::{Case, cosine};

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The reference evaluator with the stored weights: nothing but they is rounded.
    Reference,
    /// WebGPU, with the same roundings.
    Wgpu,
    /// WebAssembly with relaxed SIMD, which also rounds activations to bytes where they meet quantized weights.
    Wasm,
}

impl Place {
    /// By its name: `reference`, `wgpu`, `wasm`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "reference" => Place::Reference,
            "wgpu" => Place::Wgpu,
            "wasm" => Place::Wasm,
            _ => return None,
        })
    }

    /// The target that bundles for it need.
    pub fn targets(self) -> Vec<String> {
        vec![if self == Place::Wasm { "wasm" } else { "native" }.into()]
    }

    /// Loads a bundle.
    ///
    /// # Errors
    /// If there is no adapter, or the bundle cannot be loaded.
    pub fn load(self, bundle: Bundle) -> Result<Box<dyn Backend>, Box<dyn Error>> {
        Ok(match self {
            Place::Reference => Box::new(ReferenceBackend::open(bundle)?),
            Place::Wgpu => Box::new(Wgpu::load(bundle.into(), &Options::default(), &mut |_, _| {})?),
            Place::Wasm => devices::wasm(&bundle.into(), true, 1)?.backend,
        })
    }
}

/// The final output of all runs of a case that suffers most from a precision, and its cosine with the golden one.
///
/// Matrices are quantized also where padding makes them larger than f16, as it does in models as small as these.
///
/// # Errors
/// If the case cannot be compiled or run.
pub fn worst_cosine(case: &Case, precision: &str, place: Place) -> Result<(String, f64), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let how = CompileOptions { precision: precision.into(), targets: place.targets(), narrow: true, ..options(case) };
    let manifest = compiled(case, &how, dir.path())?.manifest().clone();
    let mut backend = place.load(Bundle::open(dir.path().join("bundle"))?)?;
    let mut worst = (String::new(), f64::INFINITY);
    for run in case.runs() {
        let inputs = run.inputs.iter().map(|(n, t)| (n.clone(), to_runtime(t))).collect();
        let produced = run_tensors(backend.as_mut(), &manifest, &inputs, &TensorRun::default())?;
        let produced: BTreeMap<_, _> = produced.iter().map(|(n, t)| (n.clone(), to_golden(t))).collect();
        for (name, cosine) in run.cosines(&produced) {
            if cosine.is_nan() || cosine < worst.1 {
                worst = (name, cosine);
            }
        }
    }
    Ok(worst)
}

/// Tokens that a model reads at once in [`said`].
const STRETCH: usize = 64;
/// Most stretches.
const STRETCHES: usize = 8;

/// What a model says about stretches of a text: logits, or embeddings of sentences.
#[derive(Clone, Debug)]
pub struct Said {
    /// Of each stretch.
    pub outputs: Vec<Vec<f32>>,
    /// Size of the vocabulary, if they are logits.
    pub vocabulary: Option<usize>,
    /// Bytes of the weights over those of as many f32 numbers.
    pub size: f64,
}

impl Said {
    /// The smallest cosine of a stretch with what else was said about it.
    pub fn worst_cosine(&self, other: &Said) -> f64 {
        let pairs = self.outputs.iter().zip(&other.outputs);
        pairs.map(|(a, b)| cosine(a, b)).fold(f64::INFINITY, |a, b| if a <= b { a } else { b })
    }

    /// The part of all positions whose best token is the same, 0 to 1; nothing if these are no logits.
    pub fn same_tokens(&self, other: &Said) -> Option<f64> {
        let best = |said: &Said| -> Option<Vec<Option<usize>>> {
            let rows = said.outputs.iter().flat_map(|stretch| stretch.chunks(said.vocabulary.unwrap_or(1)));
            let largest = |row: &[f32]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
            said.vocabulary.map(|_| rows.map(largest).collect())
        };
        let (own, theirs) = (best(self)?, best(other)?);
        let same = own.iter().zip(&theirs).filter(|(a, b)| a == b).count();
        Some(same as f64 / own.len() as f64)
    }
}

/// What a model directory says about up to eight stretches of 64 tokens of a text, with a precision.
///
/// # Errors
/// If it cannot be compiled or run, or the text is shorter than one stretch.
pub fn said(model: &Path, precision: &str, place: Place, text: &str) -> Result<Said, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("bundle");
    let how = CompileOptions { precision: precision.into(), targets: place.targets(), ..CompileOptions::default() };
    compile(model, &out, &how, &Quiet)?;
    let bundle = Bundle::open(&out)?;
    let manifest = bundle.manifest();
    let stored: u64 = manifest.shards.iter().map(|s| s.bytes).sum();
    let plain: u64 = manifest.tensors.iter().map(|t| 4 * t.shape.iter().product::<u64>()).sum();
    let mut said = Said { outputs: Vec::new(), vocabulary: None, size: stored as f64 / plain as f64 };
    let mut backend = place.load(Bundle::open(&out)?)?;
    let ids: Vec<i32> = Tokenizer::from_bundle(&bundle)?.encode(text, false)?.iter().map(|id| *id as i32).collect();
    let embeds = manifest.entries.iter().find(|e| e.role == EntryRole::Embed);
    let (name, entry) = embeds.map_or(("logits", None), |e| ("sentence_embedding", Some(e.name.clone())));
    let call = TensorRun { entry, ..TensorRun::default() };
    for stretch in ids.chunks_exact(STRETCH).take(STRETCHES) {
        let inputs = BTreeMap::from([("input_ids".to_string(), Tensor::i32(vec![1, STRETCH], stretch.to_vec()))]);
        let produced = run_tensors(backend.as_mut(), manifest, &inputs, &call)?;
        let tensor = produced.get(name).ok_or("the model gives neither logits nor embeddings")?;
        said.outputs.push(tensor.as_f32().ok_or("an output of floats")?.to_vec());
        said.vocabulary = tensor.shape.last().copied().filter(|_| name == "logits");
    }
    if said.outputs.is_empty() {
        return Err(format!("the text has {} tokens, fewer than {STRETCH}", ids.len()).into());
    }
    Ok(said)
}
