//! Splits weights that are larger than a device can bind into parts: ranges of rows that become weights of their own.
//!
//! A product with such a weight becomes the concatenation of the products with its parts, along the last axis. A gather
//! becomes a selection among gathers from the parts, by index range. Element-wise operations after a product are
//! repeated for each part where that is free, so that they can still be fused into the kernels.
//!
//! Every row is quantized separately, and rows are stored in tiles. Parts start at a tile, so they hold exactly the
//! bytes of the whole weight; only their location changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gristmill_graph::quant::{TILE, stored_bytes};
use gristmill_graph::{Binary, DType, Dim, Graph, Literal, Model, Node, NodeId, Op, Precision, Shape, Weight, infer};

use super::prepared::{Part, Prepared, Recipe};
use crate::error::CompileError;

#[cfg(test)]
mod tests;

/// Splits all weights larger than `limit` bytes. The model still computes the same values.
///
/// # Errors
/// If such a weight is used as a whole: only matrices in products and tables in gathers can be split by rows.
pub fn split(prepared: Prepared, limit: u64) -> Result<Prepared, CompileError> {
    let Prepared { model, recipes, precisions } = prepared;
    let cuts: Vec<Option<Vec<u64>>> =
        model.weights.iter().zip(&precisions).map(|(weight, precision)| cut(weight, *precision, limit)).collect();
    if cuts.iter().all(Option::is_none) {
        return Ok(Prepared { model, recipes, precisions });
    }
    let mut parts = Parts { first: Vec::new(), weights: Vec::new(), recipes: Vec::new(), precisions: Vec::new() };
    for (((weight, recipe), precision), borders) in model.weights.iter().zip(recipes).zip(&precisions).zip(&cuts) {
        parts.add(weight, recipe, *precision, borders.as_deref());
    }
    let graph = Splitter::new(&model, &precisions, &cuts, &parts, limit).run()?;
    let Parts { weights, recipes, precisions, .. } = parts;
    Ok(Prepared { model: Model { graph, weights, ..model }, recipes, precisions })
}

/// The boundaries of a weight's parts: `[0, .., rows]`. `None` if the weight fits; a single part if it does not fit but
/// cannot be split into parts that do.
fn cut(weight: &Weight, precision: Precision, limit: u64) -> Option<Vec<u64>> {
    let rows = weight.shape.first().copied().unwrap_or(1);
    let bytes = |rows: u64| {
        let mut shape = weight.shape.clone();
        shape.iter_mut().take(1).for_each(|n| *n = rows);
        stored_bytes(precision, &shape)
    };
    // A weight whose size is unknown is an error when it is stored.
    let whole = bytes(rows).ok().filter(|bytes| *bytes > limit)?;
    Some(borders(rows, |rows| bytes(rows).unwrap_or(whole) <= limit).unwrap_or_else(|| vec![0, rows]))
}

/// Boundaries of parts that all fit, start at tiles, and are as equal in size as possible. `None` if not even one tile
/// fits.
fn borders(rows: u64, fits: impl Fn(u64) -> bool) -> Option<Vec<u64>> {
    let tile = TILE as u64;
    let tiles = rows.div_ceil(tile);
    let (mut fitting, mut too_many) = (0, tiles);
    while fitting + 1 < too_many {
        let middle = fitting + (too_many - fitting) / 2;
        if fits(middle * tile) {
            fitting = middle;
        } else {
            too_many = middle;
        }
    }
    if fitting == 0 {
        return None;
    }
    let size = tiles.div_ceil(tiles.div_ceil(fitting)) * tile;
    Some((0..rows).step_by(size as usize).chain([rows]).collect())
}

/// The stored weights after splitting.
struct Parts {
    /// For each weight before splitting, its only or first part.
    first: Vec<u32>,
    weights: Vec<Weight>,
    recipes: Vec<Recipe>,
    precisions: Vec<Precision>,
}

impl Parts {
    fn add(&mut self, weight: &Weight, recipe: Recipe, precision: Precision, borders: Option<&[u64]>) {
        self.first.push(self.weights.len() as u32);
        let Some(borders) = borders else {
            self.weights.push(weight.clone());
            self.recipes.push(recipe);
            self.precisions.push(precision);
            return;
        };
        let whole = Arc::new(recipe);
        for rows in borders.windows(2) {
            let mut shape = weight.shape.clone();
            shape.iter_mut().take(1).for_each(|n| *n = rows[1] - rows[0]);
            self.weights.push(Weight { name: part_path(&weight.name, rows), shape, ..weight.clone() });
            let part = Part { whole: whole.clone(), shape: weight.shape.clone(), first: rows[0] };
            self.recipes.push(Recipe::Part(part));
            self.precisions.push(precision);
        }
    }
}

/// `embed_tokens[0..32000]`.
fn part_path(path: &str, range: &[u64]) -> String {
    format!("{path}[{}..{}]", range[0], range[1])
}

/// The replacement of a node.
enum Value {
    /// One node.
    Whole(NodeId),
    /// A weight (by index) in parts.
    Rows(usize, Vec<NodeId>),
    /// A value in pieces along the last axis, and the concatenated value once something needs it.
    Columns(Pieces, Option<NodeId>),
}

/// A value in pieces along an axis.
#[derive(Clone)]
struct Pieces {
    borders: Vec<u64>,
    nodes: Vec<NodeId>,
}

/// Builds the new graph.
struct Splitter<'a> {
    model: &'a Model,
    precisions: &'a [Precision],
    cuts: &'a [Option<Vec<u64>>],
    parts: &'a Parts,
    limit: u64,
    users: Vec<Vec<NodeId>>,
    /// Nodes that are only computed in pieces: products with parts, and the element-wise operations after them except
    /// the last.
    inner: Vec<bool>,
    values: Vec<Value>,
    nodes: Vec<Node>,
}

impl<'a> Splitter<'a> {
    fn new(
        model: &'a Model,
        precisions: &'a [Precision],
        cuts: &'a [Option<Vec<u64>>],
        parts: &'a Parts,
        limit: u64,
    ) -> Self {
        let users = model.graph.users();
        let inner = vec![false; users.len()];
        Splitter { model, precisions, cuts, parts, limit, users, inner, values: Vec::new(), nodes: Vec::new() }
    }

    fn run(mut self) -> Result<Graph, CompileError> {
        let old = &self.model.graph;
        for id in old.ids() {
            let value = self.value(id, old.node(id))?;
            self.values.push(value);
        }
        let mut outputs = BTreeMap::new();
        for (name, id) in &old.outputs {
            outputs.insert(name.clone(), self.whole(*id, old.node(*id))?);
        }
        Ok(Graph { nodes: self.nodes, regions: old.regions.clone(), outputs })
    }

    fn value(&mut self, id: NodeId, node: &Node) -> Result<Value, CompileError> {
        let inputs = node.inputs.as_slice();
        if let Op::Weight(w) = node.op {
            return Ok(self.weight(node, w as usize));
        }
        if node.op == Op::Dequantize
            && let Value::Rows(weight, nodes) = &self.values[inputs[0].index()]
        {
            let (weight, nodes) = (*weight, nodes.clone());
            let nodes = self.each(weight, &nodes, |s, part, rows| s.part_of(node, rows, &[part]))?;
            return Ok(Value::Rows(weight, nodes));
        }
        // Axis 0 of a stack of matrices is not an axis of their rows.
        if node.op == (Op::MatMul { transpose_b: true })
            && self.model.graph.node(inputs[1]).shape.len() == 2
            && let Some((weight, nodes)) = self.rows(inputs[1])
        {
            self.follow(id);
            let x = self.whole(inputs[0], node)?;
            let nodes = self.each(weight, &nodes, |s, part, rows| s.part_of(node, rows, &[x, part]))?;
            return Ok(Value::Columns(Pieces { borders: self.borders(weight)?, nodes }, None));
        }
        if node.op == Op::Gather
            && let Some((weight, nodes)) = self.rows(inputs[0])
        {
            let indices = self.whole(inputs[1], node)?;
            return self.choose(node, weight, &nodes, indices).map(Value::Whole);
        }
        if node.op.is_elementwise()
            && let Some(borders) = self.common_borders(node)
        {
            return self.by_columns(node, borders);
        }
        let inputs = inputs.iter().map(|id| self.whole(*id, node)).collect::<Result<Vec<_>, _>>()?;
        self.nodes.push(Node { inputs, ..node.clone() });
        Ok(Value::Whole(self.last()))
    }

    /// The weight, or its parts.
    fn weight(&mut self, node: &Node, weight: usize) -> Value {
        let first = self.parts.first[weight];
        let Some(borders) = &self.cuts[weight] else {
            self.nodes.push(Node { op: Op::Weight(first), ..node.clone() });
            return Value::Whole(self.last());
        };
        let mut nodes = Vec::new();
        for (index, rows) in (first..).zip(borders.windows(2)) {
            let mut shape = node.shape.clone();
            shape.iter_mut().take(1).for_each(|d| *d = length(rows));
            let path = self.parts.weights[index as usize].name.clone();
            self.nodes.push(Node { op: Op::Weight(index), shape, path, ..node.clone() });
            nodes.push(self.last());
        }
        Value::Rows(weight, nodes)
    }

    /// Gathers from each part, and selects the one whose range contains the index.
    fn choose(
        &mut self,
        node: &Node,
        weight: usize,
        parts: &[NodeId],
        indices: NodeId,
    ) -> Result<NodeId, CompileError> {
        let borders = self.borders(weight)?;
        let path = |j: usize| part_path(&node.path, &borders[j..]);
        // Indices out of range are clamped to the first and last row, as for the whole table.
        let mut chosen = self.part_of(node, &borders, &[parts[0], indices])?;
        let mut column: Shape = self.nodes[indices.index()].shape.clone();
        column.resize(node.shape.len(), Dim::constant(1));
        for (j, part) in parts.iter().enumerate().skip(1) {
            let first = i32::try_from(borders[j]).map_err(|_| internal(node, "has too many rows to be indexed"))?;
            let first = self.apply(node, Op::Const(Literal::I32(first)), path(j), &[])?;
            let local = self.apply(node, Op::Binary(Binary::Sub), path(j), &[indices, first])?;
            let row = self.part_of(node, &borders[j..], &[*part, local])?;
            let before = self.apply(node, Op::Binary(Binary::Lt), path(j), &[indices, first])?;
            let before = self.apply(node, Op::Reshape(column.clone()), path(j), &[before])?;
            chosen = self.apply(node, Op::Select, node.path.clone(), &[before, chosen, row])?;
        }
        Ok(chosen)
    }

    /// Finds the element-wise operation where all uses of a product come together, and marks the operations before it.
    fn follow(&mut self, product: NodeId) {
        let graph = &self.model.graph;
        // Taps are outputs of entries for inspection, which may be slower.
        let taps = &self.model.taps;
        let seen = |id: NodeId| graph.outputs.iter().any(|(name, output)| *output == id && !taps.contains(name));
        let mut pending: BTreeSet<NodeId> = BTreeSet::new();
        let (mut way, mut last) = (Vec::new(), product);
        while !seen(last) {
            way.push(last);
            pending.extend(&self.users[last.index()]);
            // Operands precede users, so a node that was removed never comes back.
            let Some(next) = pending.pop_first() else { break };
            if !graph.node(next).op.is_elementwise() || graph.node(next).shape != graph.node(product).shape {
                break;
            }
            if pending.is_empty() {
                way.drain(..).for_each(|id| self.inner[id.index()] = true);
            }
            last = next;
        }
    }

    /// The pieces of an operand that is only computed in pieces.
    fn pieces(&self, id: NodeId) -> Option<&Pieces> {
        match &self.values[id.index()] {
            Value::Columns(pieces, _) if self.inner[id.index()] => Some(pieces),
            _ => None,
        }
    }

    /// The boundaries of the pieces in which an element-wise node is computed, if it is.
    fn common_borders(&self, node: &Node) -> Option<Vec<u64>> {
        let mut borders: Option<&Vec<u64>> = None;
        for id in &node.inputs {
            if !matches!(self.values[id.index()], Value::Columns(..)) {
                continue;
            }
            // A value that is also needed as a whole is concatenated; splitting it again would gain nothing.
            let pieces = self.pieces(*id)?;
            if borders.is_some_and(|other| *other != pieces.borders) {
                return None;
            }
            borders = Some(&pieces.borders);
        }
        borders.cloned()
    }

    fn by_columns(&mut self, node: &Node, borders: Vec<u64>) -> Result<Value, CompileError> {
        let mut nodes = Vec::new();
        for (j, range) in borders.windows(2).enumerate() {
            let mut inputs = Vec::new();
            for id in &node.inputs {
                let piece = self.pieces(*id).map(|pieces| pieces.nodes[j]);
                inputs.push(match piece {
                    Some(piece) => piece,
                    None => {
                        let whole = self.whole(*id, node)?;
                        self.stretch(whole, node, range)?
                    }
                });
            }
            nodes.push(self.part_of(node, range, &inputs)?);
        }
        Ok(Value::Columns(Pieces { borders, nodes }, None))
    }

    /// A range of the last axis of an operand, or the operand itself if it is broadcast along that axis.
    fn stretch(&mut self, operand: NodeId, user: &Node, range: &[u64]) -> Result<NodeId, CompileError> {
        let Node { shape, path, .. } = &self.nodes[operand.index()];
        if shape.last().is_none_or(Dim::is_one) {
            return Ok(operand);
        }
        let axis = shape.len() as u32 - 1;
        let path = part_path(path, range);
        let slice = Op::Slice { axis, start: Dim::constant(range[0] as i64), len: length(range) };
        self.apply(user, slice, path, &[operand])
    }

    /// The node for the whole of a value, for `user`.
    fn whole(&mut self, id: NodeId, user: &Node) -> Result<NodeId, CompileError> {
        let node = self.model.graph.node(id);
        let pieces = match &self.values[id.index()] {
            Value::Whole(new) | Value::Columns(_, Some(new)) => return Ok(*new),
            Value::Rows(weight, parts) => return Err(self.refused(*weight, parts.len(), user)),
            Value::Columns(pieces, None) => pieces.clone(),
        };
        let axis = node.shape.len() as u32 - 1;
        let joined = self.apply(node, Op::Concat { axis }, node.path.clone(), &pieces.nodes)?;
        self.values[id.index()] = Value::Columns(pieces, Some(joined));
        Ok(joined)
    }

    fn refused(&self, weight: usize, parts: usize, user: &Node) -> CompileError {
        let (index, weight) = (weight, &self.model.weights[weight]);
        let precision = self.precisions[index];
        let reason = match parts {
            1 => format!("even {TILE} of its rows are too large"),
            _ => "it cannot be split: only the weights of linear layers and lookup tables can".into(),
        };
        let needed = stored_bytes(precision, &weight.shape).unwrap_or(u64::MAX);
        let message = format!(
            "{:?} at {precision} takes {needed} bytes, but a device may bind no more than {} at once, and {reason}",
            weight.shape, self.limit
        );
        CompileError::Binding { node: user.path.clone(), weight: weight.name.clone(), message }
    }

    /// The parts of a split weight, unless it could not be split into parts that fit.
    fn rows(&self, id: NodeId) -> Option<(usize, Vec<NodeId>)> {
        match &self.values[id.index()] {
            Value::Rows(weight, nodes) if nodes.len() > 1 => Some((*weight, nodes.clone())),
            _ => None,
        }
    }

    /// The boundaries of a split weight.
    fn borders(&self, weight: usize) -> Result<Vec<u64>, CompileError> {
        let uncut =
            || CompileError::Internal(format!("cutting weights: weight {weight} is used in parts, but is whole"));
        self.cuts[weight].clone().ok_or_else(uncut)
    }

    /// One node per part of a weight, made from the part and its range of rows.
    fn each(
        &mut self,
        weight: usize,
        parts: &[NodeId],
        make: impl Fn(&mut Self, NodeId, &[u64]) -> Result<NodeId, CompileError>,
    ) -> Result<Vec<NodeId>, CompileError> {
        let borders = self.borders(weight)?;
        parts.iter().zip(borders.windows(2)).map(|(part, rows)| make(self, *part, rows)).collect()
    }

    /// A node that computes a range of what `node` computes.
    fn part_of(&mut self, node: &Node, range: &[u64], inputs: &[NodeId]) -> Result<NodeId, CompileError> {
        self.apply(node, node.op.clone(), part_path(&node.path, range), inputs)
    }

    /// A new node in the region of `near`, with its role.
    fn apply(&mut self, near: &Node, op: Op, path: String, inputs: &[NodeId]) -> Result<NodeId, CompileError> {
        let operands: Vec<(&[Dim], DType)> =
            inputs.iter().map(|id| &self.nodes[id.index()]).map(|n| (n.shape.as_slice(), n.dtype)).collect();
        let (shape, dtype) = infer(&op, &operands).map_err(|e| internal(near, &e))?;
        self.nodes.push(Node { op, inputs: inputs.to_vec(), shape, dtype, path, ..near.clone() });
        Ok(self.last())
    }

    fn last(&self) -> NodeId {
        NodeId(self.nodes.len() as u32 - 1)
    }
}

fn length(range: &[u64]) -> Dim {
    Dim::constant((range[1] - range[0]) as i64)
}

fn internal(node: &Node, message: &str) -> CompileError {
    CompileError::Internal(format!("cutting weights: {}: {message}", node.path))
}
