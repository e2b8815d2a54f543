//! Runs lowered entries on the kernel interpreter, as a reference for devices.
//!
//! Slow by design; for tests, and for finding a wrong kernel. Every value has memory of its own, so a difference from a
//! device points to the memory plan, the printer or the driver.

use std::collections::BTreeMap;

use gristmill_graph::array::Data;
use gristmill_graph::{Array, Bindings, DType, Dim, Graph};
use gristmill_kernel::{Kernel, interp};

use crate::codegen::context::{Memory, Place, Setting, state_memory};
use crate::codegen::states::ring;
use crate::profile::CAPACITY;
use crate::select::{Call, KernelSet, Step};

/// Executes a kernel, given the values of the symbols and the memory in binding order.
pub type Execute<'e> = dyn FnMut(&Kernel, &BTreeMap<String, u32>, &mut [Vec<u32>]) -> Result<(), String> + 'e;

/// The memory of a session: weights as stored, states, and the capacity of states.
pub struct Session<'a> {
    setting: &'a Setting<'a>,
    weights: &'a [Vec<u32>],
    states: Vec<Vec<u32>>,
    capacity: u32,
    /// Options of the interpreter.
    pub options: interp::Options,
}

impl<'a> Session<'a> {
    /// A session whose states hold up to `capacity` tokens, for a batch of `batch`.
    ///
    /// # Errors
    /// If the shape of a state depends on anything other than batch and capacity.
    pub fn new(setting: &'a Setting<'a>, weights: &'a [Vec<u32>], batch: u32, capacity: u32) -> Result<Self, String> {
        let largest = |s: &gristmill_graph::Symbol| (s.name.clone(), s.max);
        let mut bindings: Bindings = setting.model.symbols.iter().map(largest).collect();
        bindings.insert("B".to_string(), i64::from(batch));
        let mut states = Vec::new();
        for (i, state) in setting.model.states.iter().enumerate() {
            let mut shape = state.shape.clone();
            if let Some(axis) = state.axis() {
                let rows = ring(state).map_or(capacity, |ring| ring.rows.min(capacity));
                shape[axis as usize] = Dim::from(i64::from(rows));
            }
            let elements = count(&shape, &bindings)?;
            let words = match state_memory(setting.model, i as u32, setting.kv) {
                Memory::F16x2 => elements.div_ceil(2),
                _ => elements,
            };
            states.push(vec![0; words]);
        }
        Ok(Session { setting, weights, states, capacity, options: interp::Options::default() })
    }

    /// Runs the steps of an entry. `graph` is the rewritten graph that they were made from, and `outputs` are the names
    /// of its outputs in the order of lowering. `bindings` has all symbols except the capacity.
    ///
    /// # Errors
    /// Errors of the interpreter, with the name of the kernel.
    pub fn run(
        &mut self,
        graph: &Graph,
        outputs: &[String],
        (steps, set): (&[Step], &KernelSet),
        inputs: &BTreeMap<String, Array>,
        bindings: &Bindings,
    ) -> Result<BTreeMap<String, Array>, String> {
        let options = self.options;
        let interpret = &mut |kernel: &Kernel, symbols: &BTreeMap<String, u32>, memory: &mut [Vec<u32>]| {
            interp::run(kernel, symbols, memory, options)
        };
        self.run_by(graph, outputs, (steps, set), inputs, bindings, interpret)
    }

    /// Like [`Session::run`], but executes kernels with `execute`.
    ///
    /// # Errors
    /// Errors of `execute`, with the name of the kernel.
    pub fn run_by(
        &mut self,
        graph: &Graph,
        outputs: &[String],
        (steps, set): (&[Step], &KernelSet),
        inputs: &BTreeMap<String, Array>,
        bindings: &Bindings,
        execute: &mut Execute<'_>,
    ) -> Result<BTreeMap<String, Array>, String> {
        let size = |(k, v): (&String, &i64)| match u32::try_from(*v) {
            Ok(v) => Ok((k.clone(), v)),
            Err(_) => Err(format!("`{k}` is {v}, which is not a valid size")),
        };
        let mut symbols: BTreeMap<String, u32> = bindings.iter().map(size).collect::<Result<_, _>>()?;
        symbols.insert(CAPACITY.into(), self.capacity);
        let mut memory: BTreeMap<Place, Vec<u32>> = BTreeMap::new();
        for (i, input) in self.setting.model.inputs.iter().enumerate() {
            if let Some(tensor) = inputs.get(&input.name) {
                memory.insert(Place::Input(i as u32), words(&input.name, tensor)?);
            }
        }
        for (i, name) in outputs.iter().enumerate() {
            let node = graph.node(graph.outputs[name]);
            memory.insert(Place::Output(i as u32), vec![0xdead_beef; count(&node.shape, bindings)?]);
        }
        for step in steps {
            for call in &step.calls {
                let kernel = &set.kernels[call.kernel];
                let mut buffers = self.bind((step, call), graph, bindings, &memory)?;
                execute(kernel, &symbols, &mut buffers)
                    .map_err(|e| format!("{} ({}): {e}", kernel.name, step.nodes))?;
                self.keep(kernel, call, buffers, &mut memory);
            }
            memory.retain(|place, _| !matches!(place, Place::Scratch(_)));
        }
        let mut results = BTreeMap::new();
        for (i, name) in outputs.iter().enumerate() {
            let node = graph.node(graph.outputs[name]);
            let shape: Vec<usize> = node
                .shape
                .iter()
                .map(|d| {
                    d.eval(bindings).and_then(|v| usize::try_from(v).ok()).ok_or_else(|| format!("{d} has no value"))
                })
                .collect::<Result<_, _>>()?;
            let data = memory.remove(&Place::Output(i as u32)).ok_or_else(|| format!("output `{name}` is missing"))?;
            let tensor = match node.dtype {
                DType::F32 => Array::f32(&shape, data.into_iter().map(f32::from_bits).collect()),
                _ => Array::i32(&shape, data.into_iter().map(|w| w as i32).collect()),
            };
            results.insert(name.clone(), tensor);
        }
        Ok(results)
    }

    /// The memory of a call in binding order.
    fn bind(
        &self,
        (step, call): (&Step, &Call),
        graph: &Graph,
        bindings: &Bindings,
        memory: &BTreeMap<Place, Vec<u32>>,
    ) -> Result<Vec<Vec<u32>>, String> {
        let garbage = |bytes: &Dim| {
            let bytes = bytes.eval(bindings).ok_or("a size has no value")?;
            Ok(vec![0xdead_beef; bytes as usize / 4])
        };
        let of = |place: &Place| match place {
            Place::Tensor(i) => Ok(self.weights[*i as usize].clone()),
            Place::State(i) => Ok(self.states[*i as usize].clone()),
            Place::Value(id) if !memory.contains_key(place) => garbage(&crate::plan::bytes(graph, *id)),
            Place::Scratch(n) if !memory.contains_key(place) => garbage(&step.scratch[*n as usize]),
            _ => memory.get(place).cloned().ok_or_else(|| format!("{place:?} of {} is missing", step.nodes)),
        };
        call.places.iter().map(of).collect()
    }

    /// Stores what a kernel has written.
    fn keep(&mut self, kernel: &Kernel, call: &Call, buffers: Vec<Vec<u32>>, memory: &mut BTreeMap<Place, Vec<u32>>) {
        for ((place, buffer), declared) in call.places.iter().zip(buffers).zip(&kernel.buffers) {
            match place {
                _ if !declared.writable => {}
                Place::State(i) => self.states[*i as usize] = buffer,
                _ => {
                    memory.insert(*place, buffer);
                }
            }
        }
    }
}

fn count(shape: &[Dim], bindings: &Bindings) -> Result<usize, String> {
    let elements = gristmill_graph::numel(shape).eval(bindings).ok_or("a size has no value")?;
    usize::try_from(elements).map_err(|_| "a size is negative".to_string())
}

fn words(name: &str, tensor: &Array) -> Result<Vec<u32>, String> {
    match &tensor.data {
        Data::F32(data) => Ok(data.iter().map(|x| x.to_bits()).collect()),
        Data::I32(data) => Ok(data.iter().map(|x| *x as u32).collect()),
        Data::Bool(_) => Err(format!("input `{name}`: expected f32 or i32, found bool")),
    }
}
