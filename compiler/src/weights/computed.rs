//! Weights that are constant expressions over tensors.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use gristmill_graph::array::Data;
use gristmill_graph::eval::evaluate;
use gristmill_graph::{Array, Bindings, Graph, Model, Op, States, Weight, WeightSource};

use super::checkpoint::Checkpoint;
use super::convert::first_non_finite;
use super::error::WeightError;
use crate::prepare::{Computed, VALUE};

/// The tensor and the first row, if a computed weight is merely a range of rows, such as a part of a merged projection.
/// Such rows can be read when they are needed.
pub(crate) fn row_slice(recipe: &Computed) -> Option<(&str, u64)> {
    let [Weight { source, .. }] = recipe.weights.as_slice() else { return None };
    let mut node = recipe.graph.node(*recipe.graph.outputs.get(VALUE)?);
    let mut first = 0u64;
    loop {
        if let Op::Weight(_) = node.op {
            return Some((source, first));
        }
        let Op::Slice { axis: 0, start, .. } = &node.op else { return None };
        first += u64::try_from(start.as_const()?).ok()?;
        node = recipe.graph.node(*node.inputs.first()?);
    }
}

/// The values of a computed weight. Its operands are held in memory in full, each until its last use.
pub(crate) fn compute(checkpoint: &Checkpoint, weight: &Weight, recipe: &Computed) -> Result<Vec<f32>, WeightError> {
    let wrong = |message: String| {
        let source = recipe.weights.first().map_or(weight.source.as_str(), |w| w.source.as_str());
        let message = format!("`{}`, computed from it, {message}", weight.name);
        checkpoint.error(source, message, "check the expression in the architecture file, and config.json")
    };
    // The evaluator only needs declared weights and the graph.
    let model = Model { weights: recipe.weights.clone(), graph: Graph::default(), ..Model::default() };
    let operands = Operands { checkpoint, weights: &recipe.weights, failed: RefCell::new(None) };
    let (inputs, bindings) = (BTreeMap::new(), Bindings::new());
    let result = evaluate(&model, &recipe.graph, &operands, &mut States::default(), &inputs, &bindings);
    if let Some(error) = operands.failed.into_inner() {
        return Err(error);
    }
    let mut values = result.map_err(|e| wrong(format!("cannot be evaluated: {e}")))?;
    let Some(Data::F32(values)) = values.remove(VALUE).map(|t| t.data) else {
        return Err(wrong("is not a float tensor".into()));
    };
    match first_non_finite(&values) {
        None => Ok(values),
        Some(i) => Err(wrong(format!("is {} at element {i}", values[i]))),
    }
}

/// Provides the tensors of a checkpoint to the evaluator.
struct Operands<'a> {
    checkpoint: &'a Checkpoint,
    weights: &'a [Weight],
    /// The first error, which says more than the text that the evaluator returns.
    failed: RefCell<Option<WeightError>>,
}

impl WeightSource for Operands<'_> {
    fn weight(&self, index: u32) -> Result<Arc<Array>, String> {
        let weight = self.weights.get(index as usize).ok_or_else(|| format!("weight {index} was not declared"))?;
        let mut values = Vec::new();
        let rows = weight.shape.first().copied().unwrap_or(1);
        if let Err(error) = self.checkpoint.read_rows_f32(&weight.source, 0..rows, &mut values) {
            let text = error.to_string();
            self.failed.borrow_mut().get_or_insert(error);
            return Err(text);
        }
        let shape: Vec<usize> = weight.shape.iter().map(|d| *d as usize).collect();
        Ok(Arc::new(Array::f32(&shape, values)))
    }
}
