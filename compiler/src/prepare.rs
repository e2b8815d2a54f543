//! Prepares a model for compilation: folds constant expressions over weights into weights, and assigns each weight its
//! stored precision.
//!
//! Folding finds maximal subgraphs that depend only on weights and constants: transposes of weights that are stored as
//! `[in, out]`, slices of merged projections, `1 + w` in a norm. A weight that is used as `[K, N]` in a product is
//! stored transposed, so that all weight matrices are `[N, K]`.
//!
//! Afterwards, `Model::weights` lists the weights that a bundle stores, by component and in order of first use. A
//! weight that is not stored as f32 is read through [`Op::Dequantize`]. A weight that several regions use has a node in
//! each of them, because regions are rewritten separately. [`split()`] then splits weights that are too large for one
//! binding.

mod fold;

mod prepared;

mod split;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use gristmill_graph::quant::stored_bytes;
use gristmill_graph::{DType, Dim, Graph, Model, Node, NodeId, Op, Precision, Weight};

use crate::error::CompileError;
use fold::Folding;

pub use prepared::{Computed, Part, Prepared, Recipe, VALUE, WeightUse};
pub use split::split;

/// Folds constants and applies precisions; see the module documentation.
///
/// A weight can be quantized if it is a matrix and every use is either the second operand of a transposed `matmul` or
/// the table of a `gather`. Other weights are stored as f32 if a quantized precision is requested. If uses request
/// different precisions, the widest wins. A weight whose quantized form would be larger than f16 (because of row
/// padding, or row factors of short rows) is stored as f16, which is smaller and more accurate, unless `narrow` is set.
///
/// # Errors
/// An internal error if something to be stored has no constant shape.
pub fn prepare(
    model: Model,
    narrow: bool,
    precision_of: &dyn Fn(&WeightUse) -> Precision,
) -> Result<Prepared, CompileError> {
    let model = Model { graph: fold::orient(&model), ..model };
    let folding = Folding::of(&model);
    let mut stored = StoredWeights::new(&model, &folding);
    let uses = stored.collect()?;
    let precisions: Vec<Precision> =
        stored.weights.iter().zip(&uses).map(|(w, uses)| choose(w, narrow, uses, precision_of)).collect();
    let StoredWeights { mut weights, mut recipes, mut index, .. } = stored;
    // The weights of a component are contiguous; within it, they are in order of first use.
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|i| weights[*i].component);
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, old)| place[*old] = new as u32);
    weights = order.iter().map(|i| weights[*i].clone()).collect();
    recipes = order.iter().map(|i| recipes[*i].clone()).collect();
    let precisions: Vec<Precision> = order.iter().map(|i| precisions[*i]).collect();
    index.values_mut().for_each(|i| *i = place[*i as usize]);
    let graph = Emitter::new(&model.graph, &folding, &index, &weights, &precisions).run();
    Ok(Prepared { model: Model { graph, weights, ..model }, recipes, precisions })
}

/// The precision of a weight with the given uses.
fn choose(
    weight: &Weight,
    narrow: bool,
    uses: &[WeightUse],
    precision_of: &dyn Fn(&WeightUse) -> Precision,
) -> Precision {
    let wanted = uses.iter().map(|u| u.demanded.unwrap_or_else(|| precision_of(u)));
    let widest = wanted.max_by_key(|p| width(*p)).unwrap_or(Precision::F32);
    if !matches!(widest, Precision::Quant(_)) {
        return widest;
    }
    if !uses.iter().all(|u| u.quantizable) {
        return Precision::F32;
    }
    let bytes = |p| stored_bytes(p, &weight.shape);
    match (bytes(widest), bytes(Precision::F16)) {
        (Ok(quantized), Ok(half)) if quantized > half && !narrow => Precision::F16,
        _ => widest,
    }
}

/// Orders precisions by accuracy: the number of values that a code distinguishes, then the bytes of block headers.
fn width(precision: Precision) -> (u32, u32) {
    match precision {
        Precision::F32 => (u32::MAX, 0),
        Precision::F16 => (1 << 16, 0),
        Precision::Quant(spec) => {
            let format = spec.format();
            (format.levels(), 128 * format.header.bytes() as u32 / u32::from(spec.group()))
        }
    }
}

/// The weights to store, in order of first use.
struct StoredWeights<'a> {
    model: &'a Model,
    folding: &'a Folding,
    weights: Vec<Weight>,
    recipes: Vec<Recipe>,
    /// The index of a stored weight, by its canonical root node.
    index: BTreeMap<NodeId, u32>,
    names: BTreeSet<String>,
}

impl<'a> StoredWeights<'a> {
    fn new(model: &'a Model, folding: &'a Folding) -> Self {
        let (weights, recipes) = (Vec::new(), Vec::new());
        Self { model, folding, weights, recipes, index: BTreeMap::new(), names: BTreeSet::new() }
    }

    /// Finds all weights; returns the uses of each.
    fn collect(&mut self) -> Result<Vec<Vec<WeightUse>>, CompileError> {
        let mut uses: Vec<Vec<WeightUse>> = Vec::new();
        let mut add = |index: u32, weight_use: WeightUse| {
            uses.resize_with(uses.len().max(index as usize + 1), Vec::new);
            uses[index as usize].push(weight_use);
        };
        let graph = &self.model.graph;
        for id in self.folding.emitted(graph) {
            let user = graph.node(id);
            for (operand, root) in user.inputs.iter().enumerate() {
                if self.folding.is_root(*root) {
                    let index = self.store(*root)?;
                    let quantizable = self.weights[index as usize].shape.len() == 2 && reads_rows(&user.op, operand);
                    add(index, self.describe(index, *root, user, quantizable));
                }
            }
        }
        for root in graph.outputs.values().filter(|id| self.folding.is_root(**id)) {
            let index = self.store(*root)?;
            add(index, self.describe(index, *root, graph.node(*root), false));
        }
        Ok(uses)
    }

    fn describe(&self, index: u32, root: NodeId, user: &Node, quantizable: bool) -> WeightUse {
        let (weight, root) = (&self.weights[index as usize], self.model.graph.node(root));
        let region = self.model.graph.regions.get(user.region as usize);
        WeightUse {
            weight: weight.name.clone(),
            source: weight.source.clone(),
            component: self.model.components.get(weight.component as usize).cloned().unwrap_or_default(),
            shape: weight.shape.clone(),
            node: user.path.clone(),
            role: user.role.clone().or_else(|| root.role.clone()),
            layer: region.and_then(|r| r.index),
            demanded: user.precision.or(root.precision),
            quantizable,
        }
    }

    /// The index of the stored weight for a root.
    fn store(&mut self, root: NodeId) -> Result<u32, CompileError> {
        let root = self.folding.canonical(root);
        if let Some(index) = self.index.get(&root) {
            return Ok(*index);
        }
        let node = self.model.graph.node(root);
        let (name, source, component, recipe) = if let Op::Weight(w) = node.op {
            let Weight { name, source, component, .. } = &self.model.weights[w as usize];
            (name.clone(), source.clone(), *component, Recipe::Direct(source.clone()))
        } else {
            let computed = self.folding.expression(self.model, root);
            let sources: Vec<&str> = computed.weights.iter().map(|w| w.source.as_str()).collect();
            // A weight from several components belongs to the first.
            let component = computed.weights.first().map_or(0, |w| w.component);
            (node.path.clone(), sources.join(" + "), component, Recipe::Computed(computed))
        };
        let index = self.weights.len() as u32;
        let size = |d: &Dim| d.as_const().and_then(|n| u64::try_from(n).ok());
        let shape: Option<Vec<u64>> = node.shape.iter().map(size).collect();
        let shape = shape.ok_or_else(|| CompileError::unlowered(node, "constant shape, but is a weight"))?;
        let name = self.unique(name);
        self.weights.push(Weight { name, source, shape, component });
        self.recipes.push(recipe);
        self.index.insert(root, index);
        Ok(index)
    }

    /// A unique name for a stored weight.
    fn unique(&mut self, name: String) -> String {
        let mut candidate = name.clone();
        let mut count = 1;
        while !self.names.insert(candidate.clone()) {
            count += 1;
            candidate = format!("{name}~{count}");
        }
        candidate
    }
}

/// Whether an operation reads this operand by whole rows of `[N, K]`, which quantized weights support.
fn reads_rows(op: &Op, operand: usize) -> bool {
    matches!((op, operand), (Op::MatMul { transpose_b: true }, 1) | (Op::Gather, 0))
}

/// Builds the new graph.
struct Emitter<'a> {
    old: &'a Graph,
    folding: &'a Folding,
    index: &'a BTreeMap<NodeId, u32>,
    weights: &'a [Weight],
    precisions: &'a [Precision],
    nodes: Vec<Node>,
    /// The new node of each old one.
    renumbered: BTreeMap<NodeId, NodeId>,
    /// The node of each stored weight in each region.
    leaves: BTreeMap<(u32, u32), NodeId>,
}

impl<'a> Emitter<'a> {
    fn new(
        old: &'a Graph,
        folding: &'a Folding,
        index: &'a BTreeMap<NodeId, u32>,
        weights: &'a [Weight],
        precisions: &'a [Precision],
    ) -> Self {
        let (renumbered, leaves) = (BTreeMap::new(), BTreeMap::new());
        Self { old, folding, index, weights, precisions, nodes: Vec::new(), renumbered, leaves }
    }

    fn run(mut self) -> Graph {
        for id in self.folding.emitted(self.old) {
            let mut node = self.old.node(id).clone();
            let region = node.region;
            for input in &mut node.inputs {
                *input = self.operand(*input, region);
            }
            let new = self.push(node);
            self.renumbered.insert(id, new);
        }
        let outputs = self.old.outputs.iter();
        let outputs = outputs.map(|(name, id)| (name.clone(), self.operand(*id, self.old.node(*id).region))).collect();
        Graph { nodes: self.nodes, regions: self.old.regions.clone(), outputs }
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// The new node for an operand of a node in `region`.
    fn operand(&mut self, old: NodeId, region: u32) -> NodeId {
        let Some(index) = self.index.get(&self.folding.canonical(old)).filter(|_| self.folding.is_root(old)).copied()
        else {
            return self.renumbered[&old];
        };
        if let Some(leaf) = self.leaves.get(&(region, index)) {
            return *leaf;
        }
        let (weight, root) = (&self.weights[index as usize], self.old.node(old));
        let node = Node {
            op: Op::Weight(index),
            inputs: Vec::new(),
            shape: root.shape.clone(),
            dtype: DType::F32,
            path: weight.name.clone(),
            role: root.role.clone(),
            precision: root.precision,
            region,
        };
        let mut leaf = self.push(node.clone());
        if self.precisions[index as usize] != Precision::F32 {
            let path = format!("{}/dequantize", weight.name);
            leaf = self.push(Node { op: Op::Dequantize, inputs: vec![leaf], path, ..node });
        }
        self.leaves.insert((region, index), leaf);
        leaf
    }
}
