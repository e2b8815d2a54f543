//! `--backend reference`: executes a bundle by evaluating its graph, without a device.
//!
//! The bundle's `graph.json` is the [`Model`] after precisions were applied and constants folded. Its weights are
//! found in the weight stream by name, decoded to f32 when they are first used, and kept. Slow and obvious: this
//! is what the kernels of the same bundle are compared with, quantization included.
//!
//! # Example
//!
//! A model compiled, and its first token computed from the graph:
//!
//! ```
//! use std::path::Path;
//!
//! use gristmill_bundle::Bundle;
//! use gristmill_compiler::{CompileOptions, Quiet, compile};
//! use gristmill_reference::ReferenceBackend;
//! use gristmill_runtime::blocking;
//! use gristmill_runtime::generate::Options;
//!
//! let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/stories260K");
//! let folder = tempfile::tempdir()?;
//! let out = folder.path().join("story");
//! compile(&model, &out, &CompileOptions { targets: vec!["wasm".into()], ..Default::default() }, &Quiet)?;
//!
//! let bundle = Bundle::open(&out)?;
//! let manifest = bundle.manifest().clone();
//! let mut backend = ReferenceBackend::open(bundle)?;
//! let options = Options { max_new_tokens: 1, ..Options::default() };
//! let start = [1]; // the token that texts begin with
//! let outcome = blocking::generate(&mut backend, &manifest, &start, &options, &mut || 0.0, &mut |_| None)?;
//! assert_eq!(outcome.tokens.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use gristmill_bundle::{Bundle, Elem, GRAPH, Manifest};
use gristmill_compiler::activations::quantize_activations;
use gristmill_graph::array::{Array, Data as ArrayData};
use gristmill_graph::dim::Bindings;
use gristmill_graph::eval::{States, WeightSource, evaluate};
use gristmill_graph::{Graph, Model, Precision, quant, verify};
use gristmill_runtime::backend::{Pending, nothing_started};
use gristmill_runtime::call::{Session, prepare, wanted_outputs};
use gristmill_runtime::{Backend, Data, Error, Request, Tensor, Tensors};

/// End of the name of an entry that also gives intermediate values.
const TAPS: &str = ".taps";

/// Executes the entries of one bundle with the reference evaluator of the graph IR.
pub struct ReferenceBackend {
    manifest: Manifest,
    model: Model,
    weights: Box<dyn WeightSource>,
    states: States,
    session: Option<Session>,
    /// Entry graphs that were needed so far, by entry name.
    graphs: BTreeMap<String, Arc<(Graph, Bindings)>>,
    /// Whether activations are rounded where quantized weights meet them.
    rounds: bool,
    /// Results that were not asked for yet.
    results: VecDeque<Tensors>,
}

impl std::fmt::Debug for ReferenceBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReferenceBackend").field("model", &self.manifest.model.name).finish_non_exhaustive()
    }
}

impl ReferenceBackend {
    /// Reads and verifies the graph of a bundle. Weights are read when they are needed.
    ///
    /// # Errors
    /// If the bundle has no graph, or the graph is not well formed.
    pub fn open(bundle: Bundle) -> Result<Self, Error> {
        let text = bundle.read(GRAPH)?;
        let model: Model = serde_json::from_slice(&text).map_err(|e| Error::Backend(format!("{GRAPH}: {e}")))?;
        let manifest = bundle.manifest().clone();
        let weights = BundleWeights::new(bundle, &model)?;
        Self::new(manifest, model, Box::new(weights))
    }

    /// Executes a model whose weights come from anywhere. The manifest gives inputs, entries and element types of
    /// states; its tensors and files are not used.
    ///
    /// # Errors
    /// If the model is not well formed.
    pub fn new(manifest: Manifest, model: Model, weights: Box<dyn WeightSource>) -> Result<Self, Error> {
        verify(&model).map_err(|all| Error::Backend(format!("{GRAPH}: {}", all.join("; "))))?;
        let half = |name: &str| manifest.states.iter().any(|s| s.name == name && s.elem == Elem::F16);
        let states = (0u32..).zip(&model.states).filter(|(_, s)| half(&s.name)).map(|(i, _)| i);
        let states = States::with_half(states);
        let (graphs, results) = (BTreeMap::new(), VecDeque::new());
        Ok(Self { manifest, model, weights, states, session: None, graphs, rounds: false, results })
    }

    /// The same with 8-bit activations, as targets compute that multiply bytes. It is what the kernels of such a
    /// target are compared with, so that errors of kernels and of rounding are not mixed up.
    #[must_use]
    pub fn quantizing_activations(mut self) -> Self {
        self.rounds = true;
        self.graphs.clear();
        self
    }

    /// The precision of every weight of the model.
    fn precisions(&self) -> Vec<Precision> {
        let stored = |name: &str| self.manifest.tensors.iter().find(|t| t.name == name);
        let of = |w: &gristmill_graph::Weight| stored(&w.name).and_then(|t| t.precision.parse().ok());
        self.model.weights.iter().map(|w| of(w).unwrap_or(Precision::F32)).collect()
    }

    /// The graph of an entry with its fixed symbols. The compiler adds entries with intermediate values, whose name
    /// is that of an entry of the model and `.taps`.
    fn entry(&mut self, name: &str) -> Result<Arc<(Graph, Bindings)>, Error> {
        if let Some(known) = self.graphs.get(name) {
            return Ok(known.clone());
        }
        let find = |name: &str| self.model.entries.iter().find(|e| e.name == name);
        let (entry, taps) = match (find(name), name.strip_suffix(TAPS)) {
            (Some(entry), _) => (Some(entry), false),
            (None, Some(base)) => (find(base), true),
            (None, None) => (None, false),
        };
        let entry = entry.ok_or_else(|| Error::Backend(format!("{GRAPH} has no entry `{name}`")))?;
        let (mut graph, fixed) = (self.model.entry_graph(entry, taps), entry.bind.clone());
        if self.rounds {
            graph = quantize_activations(&graph, &self.precisions());
        }
        let graph = Arc::new((graph, fixed));
        self.graphs.insert(name.to_string(), graph.clone());
        Ok(graph)
    }

    fn compute(&mut self, request: &Request, want: &[&str]) -> Result<Tensors, Error> {
        let whole = self.entry(&request.entry);
        let call = prepare(&self.manifest, &request.entry, &request.inputs, request.past, self.session.as_ref())?;
        let whole = whole?;
        let (graph, fixed) = whole.as_ref();
        let described = &self.manifest.entries[call.entry];
        let named = described.inputs.iter().map(|i| &self.manifest.inputs[*i as usize].name);
        let given = named.zip(&call.inputs).map(|(name, t)| (name.clone(), to_graph(t))).collect();
        let symbols = self.manifest.symbols.iter().zip(&call.symbols);
        let mut bindings: Bindings = symbols.map(|(s, v)| (s.name.clone(), i64::from(*v))).collect();
        bindings.extend(fixed.iter().map(|(name, value)| (name.clone(), *value)));
        let wanted = wanted_outputs(described, want)?;
        let wanted: Vec<String> = wanted.into_iter().map(|i| described.outputs[i].name.clone()).collect();
        let part = graph.giving(&wanted);
        let weights = self.weights.as_ref();
        let outputs = evaluate(&self.model, &part, weights, &mut self.states, &given, &bindings)
            .map_err(|e| Error::Backend(e.to_string()))?;
        if let Some(session) = &mut self.session {
            session.called(&self.manifest, &call);
        }
        outputs.into_iter().map(|(name, t)| from_graph(&name, t).map(|t| (name, t))).collect()
    }
}

impl Backend for ReferenceBackend {
    fn describe(&self) -> String {
        "reference evaluator on one thread of the CPU".to_string()
    }

    fn begin(&mut self, batch: u32, capacity: u32) -> Pending<'_, ()> {
        self.states.reset();
        self.results.clear();
        self.session = Some(Session::new(batch, capacity));
        Box::pin(ready(Ok(())))
    }

    fn start<'a>(&'a mut self, request: &'a Request, want: &'a [&'a str]) -> Pending<'a, ()> {
        let computed = self.compute(request, want).map(|outputs| self.results.push_back(outputs));
        Box::pin(ready(computed))
    }

    fn finish(&mut self) -> Pending<'_, Tensors> {
        Box::pin(ready(self.results.pop_front().ok_or_else(nothing_started)))
    }
}

fn to_graph(tensor: &Tensor) -> Array {
    match &tensor.data {
        Data::F32(v) => Array::f32(&tensor.shape, v.clone()),
        Data::I32(v) => Array::i32(&tensor.shape, v.clone()),
    }
}

fn from_graph(name: &str, tensor: Array) -> Result<Tensor, Error> {
    match tensor.data {
        ArrayData::F32(v) => Ok(Tensor::f32(tensor.shape, v)),
        ArrayData::I32(v) => Ok(Tensor::i32(tensor.shape, v)),
        ArrayData::Bool(_) => Err(Error::Backend(format!("output `{name}` is bool, expected f32 or i32"))),
    }
}

/// Weights of a bundle, decoded on first use.
struct BundleWeights {
    bundle: Bundle,
    /// For each weight of the model, its index in the manifest and its format.
    places: Vec<(usize, Precision)>,
    decoded: Mutex<BTreeMap<u32, Arc<Array>>>,
}

impl BundleWeights {
    fn new(bundle: Bundle, model: &Model) -> Result<Self, Error> {
        let tensors = &bundle.manifest().tensors;
        let by_name: BTreeMap<&str, usize> = tensors.iter().enumerate().map(|(i, t)| (t.name.as_str(), i)).collect();
        let mut places = Vec::with_capacity(model.weights.len());
        for weight in &model.weights {
            let index = by_name.get(weight.name.as_str());
            let index = *index.ok_or_else(|| Error::Backend(format!("the bundle has no tensor `{}`", weight.name)))?;
            let tensor = &tensors[index];
            if tensor.shape != weight.shape {
                return Err(Error::Backend(format!(
                    "tensor `{}`: {GRAPH} expects shape {:?}, the manifest has {:?}",
                    weight.name, weight.shape, tensor.shape
                )));
            }
            let precision = tensor.precision.parse();
            let precision = precision.map_err(|e| Error::Backend(format!("tensor `{}`: {e}", weight.name)))?;
            places.push((index, precision));
        }
        Ok(Self { bundle, places, decoded: Mutex::new(BTreeMap::new()) })
    }
}

impl WeightSource for BundleWeights {
    fn weight(&self, index: u32) -> Result<Arc<Array>, String> {
        // A poisoned lock still holds whole tensors.
        let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = decoded.get(&index) {
            return Ok(known.clone());
        }
        let (place, precision) = self.places.get(index as usize).ok_or_else(|| format!("no weight {index}"))?;
        let shape = &self.bundle.manifest().tensors[*place].shape;
        let bytes = self.bundle.tensor(*place).map_err(|e| e.to_string())?;
        let values = quant::decode_stored(*precision, shape, &bytes)?;
        let sizes: Vec<usize> = shape.iter().map(|n| *n as usize).collect();
        let tensor = Arc::new(Array::f32(&sizes, values));
        decoded.insert(index, tensor.clone());
        Ok(tensor)
    }
}

#[cfg(test)]
mod tests;
