//! Measures what low precision costs: compares outputs with quantized weights with those at full precision.

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

/// The device to measure on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The reference evaluator; only weights are quantized.
    Reference,
    /// WebGPU; quantizes the same.
    Wgpu,
    /// WebAssembly with relaxed SIMD, which also quantizes activations for quantized weights.
    Wasm,
}

impl Place {
    /// The device with this name: `reference`, `wgpu` or `wasm`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "reference" => Place::Reference,
            "wgpu" => Place::Wgpu,
            "wasm" => Place::Wasm,
            _ => return None,
        })
    }

    /// The targets that bundles for it need.
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

/// The final output that suffers most from a precision in all runs of a case, and its cosine similarity with the golden
/// one.
///
/// Matrices are quantized even where padding makes them larger than f16, as in models as small as these.
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

/// Tokens per chunk in [`said`].
const STRETCH: usize = 64;
/// Maximum number of chunks.
const STRETCHES: usize = 8;

/// The outputs of a model for chunks of a text: logits or sentence embeddings.
#[derive(Clone, Debug)]
pub struct Said {
    /// One output per chunk.
    pub outputs: Vec<Vec<f32>>,
    /// Size of the vocabulary, if they are logits.
    pub vocabulary: Option<usize>,
    /// Bytes of the weights, relative to f32.
    pub size: f64,
}

impl Said {
    /// The lowest cosine similarity of a chunk with the same chunk of `other`.
    pub fn worst_cosine(&self, other: &Said) -> f64 {
        let pairs = self.outputs.iter().zip(&other.outputs);
        pairs.map(|(a, b)| cosine(a, b)).fold(f64::INFINITY, |a, b| if a <= b { a } else { b })
    }

    /// The fraction of positions with the same most likely token, from 0 to 1; `None` if the outputs are not logits.
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

/// The outputs of a model for up to eight chunks of 64 tokens of a text, at a precision.
///
/// # Errors
/// If it cannot be compiled or run, or the text is shorter than one chunk.
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
