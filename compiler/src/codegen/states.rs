//! The memory layout of states: their shapes, and ring buffers for states with a window.

use gristmill_bundle::{Ring, Size, SizeOp};
use gristmill_graph::{Dim, Model, NodeId, Op, PAST, State, StateKind, View};
use gristmill_kernel::{Expr, u};

use super::context::{Lowering, Place};
use super::index::{dim_expr, flatten, flatten_in};
use crate::profile::CAPACITY;
use crate::size::size;

/// The maximum number of prompt tokens per call.
pub const PREFILL_CHUNK: u32 = 128;

/// The ring buffer that holds the newest tokens of a state, if it has one: position `p` is in row `p` modulo the number
/// of rows. A call writes its tokens before any are read, so the ring has room for the window of the call's first token
/// and for all tokens of the call.
pub fn ring(state: &State) -> Option<Ring> {
    let window = state.window()?;
    Some(Ring { window, rows: window.saturating_add(PREFILL_CHUNK - 1) })
}

/// Removes the window of states for which it saves no memory in sessions of up to `max_context` tokens.
pub fn keep_small_windows(model: &mut Model, max_context: u32) {
    for state in &mut model.states {
        let saves = ring(state).is_some_and(|ring| ring.rows < max_context);
        if let StateKind::Appended { window, .. } = &mut state.kind
            && !saves
        {
            *window = None;
        }
    }
}

/// The shape in memory. A growing axis has as many rows as the session has tokens, or as the ring buffer has rows.
pub fn shape(state: &State) -> Vec<Size> {
    let mut shape: Vec<Size> = state.shape.iter().map(size).collect();
    if let Some(axis) = state.axis() {
        let tokens = Size::symbol(CAPACITY);
        shape[axis as usize] = match ring(state) {
            Some(ring) => Size::of(SizeOp::Min, tokens, Size::Int(ring.rows.into())),
            None => tokens,
        };
    }
    shape
}

/// What kernels that use a state depend on besides its shape and element type.
pub(crate) fn layout(state: &State) -> String {
    format!("+{:?}{:?}", state.axis(), ring(state))
}

/// The row-major position, in the memory of a state, of the element `index` of a node of shape `shape` that reads the
/// state.
pub fn position(state: &State, index: &[Expr], shape: &[Dim]) -> Expr {
    let mut extents: Vec<Expr> = shape.iter().map(dim_expr).collect();
    let mut index = index.to_vec();
    if let Some(axis) = state.axis().map(|axis| axis as usize) {
        extents[axis] = Expr::Symbol(CAPACITY.into());
        if let Some(ring) = ring(state) {
            extents[axis] = extents[axis].min(u(ring.rows));
            index[axis] = index[axis].clone() % u(ring.rows);
        }
    }
    flatten_in(&index, &extents)
}

impl Lowering<'_> {
    /// The row-major position of an element in memory.
    pub fn flat(&self, place: Place, id: NodeId, index: &[Expr]) -> Expr {
        let shape = &self.graph.node(id).shape;
        match place {
            Place::State(s) => position(&self.setting.model.states[s as usize], index, shape),
            _ => flatten(index, shape),
        }
    }

    /// The first of the `all` keys of an attention that a query of this call may see; earlier keys were overwritten in
    /// the ring buffers of these operands. Zero if none of the operands has a ring buffer.
    pub fn first_key(&self, operands: &[NodeId], all: &Dim) -> Expr {
        let windows = operands.iter().filter_map(|operand| self.window_of(*operand, all));
        match windows.min() {
            Some(window) => {
                let before = u(window.saturating_sub(1));
                Expr::Symbol(PAST.into()).max(before.clone()) - before
            }
            None => u(0),
        }
    }

    /// The window of the state that an operand reads, if the operand's keys are the `all` tokens of that state.
    fn window_of(&self, mut id: NodeId, all: &Dim) -> Option<u32> {
        loop {
            let node = self.graph.node(id);
            if let Op::StateAppend(s) = node.op {
                let state = &self.setting.model.states[s as usize];
                let tokens = node.shape.get(state.axis()? as usize)?;
                return ring(state).filter(|_| tokens == all).map(|ring| ring.window);
            }
            match node.op.view()? {
                View::Reshape(_) | View::Transpose(_) | View::Broadcast(_) => id = node.inputs[0],
                View::Slice { .. } | View::Windows { .. } => return None,
            }
        }
    }
}
