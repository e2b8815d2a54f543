//! Checks whether two graphs of one model compute the same values.

use std::collections::BTreeMap;
use std::sync::Arc;

use gristmill_graph::array::{Array, Data};
use gristmill_graph::eval::{States, evaluate};
use gristmill_graph::verify::verify_graph;
use gristmill_graph::{Bindings, DType, Graph, Model};

/// Pseudo-random numbers that are the same on every machine (Knuth's constants).
struct Noise(u64);

impl Noise {
    /// In `0 .. 1`.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    fn tensor(&mut self, shape: &[usize], dtype: DType, low: f32) -> Array {
        let n: usize = shape.iter().product();
        let data = match dtype {
            DType::F32 => Data::F32((0..n).map(|_| low + 1.75 * self.next()).collect()),
            DType::I32 => Data::I32((0..n).map(|_| (self.next() * 4.0) as i32).collect()),
            DType::Bool => Data::Bool((0..n).map(|_| self.next() < 0.6).collect()),
        };
        Array { shape: shape.to_vec(), data }
    }
}

/// Evaluates both graphs on random inputs and weights of at least `low`, and compares all outputs.
pub(super) fn same_values(name: &str, model: &Model, before: &Graph, after: &Graph, bindings: &Bindings, low: f32) {
    let mut noise = Noise(7);
    let size = |n: Option<i64>| usize::try_from(n.expect("a bound size")).expect("a size");
    let mut inputs = BTreeMap::new();
    for input in &model.inputs {
        let shape: Vec<usize> = input.shape.iter().map(|d| size(d.eval(bindings))).collect();
        inputs.insert(input.name.clone(), noise.tensor(&shape, input.dtype, low));
    }
    let mut weights: Vec<Arc<Array>> = Vec::new();
    for weight in &model.weights {
        let shape: Vec<usize> = weight.shape.iter().map(|&n| n as usize).collect();
        weights.push(Arc::new(noise.tensor(&shape, DType::F32, low)));
    }
    let run = |graph: &Graph| {
        evaluate(model, graph, &weights, &mut States::default(), &inputs, bindings)
            .unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    let (expected, found) = (run(before), run(after));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{name}");
    for (output, expected) in &expected {
        close(&format!("{name}: {output}"), expected, &found[output]);
    }
}

fn close(place: &str, expected: &Array, found: &Array) {
    assert_eq!(expected.shape, found.shape, "{place}");
    let (Some(a), Some(b)) = (expected.as_f32(), found.as_f32()) else {
        return assert_eq!(expected, found, "{place}");
    };
    // Small elements may be differences of large ones, with rounding errors to match.
    let scale = a.iter().fold(1.0, |most: f32, x| most.max(x.abs()));
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= 1e-5 * scale, "{place}: element {i} is {b}, expected {a}");
    }
}

/// Checks that the graph is well formed.
pub(super) fn well_formed(name: &str, model: &Model, graph: &Graph, bind: &Bindings) {
    if let Err(errors) = verify_graph(model, graph, bind) {
        panic!("{name}:\n{}", errors.join("\n"));
    }
}
