//! Shape and type inference, by the rules of the rows in [`crate::ops`].
//!
//! [`infer`] needs only operands. Leaves that are declared by the model ([`Op::Input`], [`Op::Weight`]) and
//! [`Op::StateAppend`] also need its declarations: [`infer_declared`] covers every operation. [`Model::add`]
//! appends a node with its inferred type, which is how graphs are built.
//!
//! Dimensions are compared as polynomials. Only the constant 1 broadcasts; a symbol that may be 1 does not.
//! What cannot be decided without values of symbols (a slice of `P + T`) is accepted here and checked by
//! callers that know the values.

use crate::graph::{Model, Node, NodeId};
use crate::op::Op;
use crate::ops::{Arity, Declarations, Operand, Typed};

/// Shape and type of the result of any operation.
///
/// # Errors
/// A message that says what was expected and what was found, without the place.
pub fn infer_declared(declared: Declarations<'_>, op: &Op, inputs: &[Operand<'_>]) -> Typed {
    typed(Some(declared), op, inputs)
}

/// Shape and type of the result from those of the operands.
///
/// # Errors
/// A message that says what was expected and what was found, without the place. Operations whose type the
/// model declares (inputs, weights, states) are errors here; see [`infer_declared`].
pub fn infer(op: &Op, inputs: &[Operand<'_>]) -> Typed {
    typed(None, op, inputs)
}

fn typed(declared: Option<Declarations<'_>>, op: &Op, inputs: &[Operand<'_>]) -> Typed {
    op.row(|row| match row.traits().arity {
        Arity::Exactly(n) if inputs.len() != n => {
            let plural = if n == 1 { "" } else { "s" };
            Err(format!("{}: expected {n} operand{plural}, found {}", row.name(), inputs.len()))
        }
        Arity::Exactly(_) | Arity::Any => row.infer(declared, inputs),
    })
}

impl Model {
    /// Appends a node to the body, with its inferred type, in the last region, without role and precision.
    ///
    /// # Errors
    /// If an operand does not exist or [`infer_declared`] fails; the message starts with `path`.
    pub fn add(&mut self, op: Op, inputs: &[NodeId], path: &str) -> Result<NodeId, String> {
        let mut operands: Vec<Operand<'_>> = Vec::with_capacity(inputs.len());
        for id in inputs {
            let node = self.graph.nodes.get(id.index());
            let node = node.ok_or_else(|| format!("{path}: operand {} does not exist", id.0))?;
            operands.push((&node.shape, node.dtype));
        }
        let typed = infer_declared(Declarations::of(self), &op, &operands);
        let (shape, dtype) = typed.map_err(|e| format!("{path}: {e}"))?;
        let region = self.graph.regions.len().saturating_sub(1) as u32;
        let (inputs, path) = (inputs.to_vec(), path.to_string());
        self.graph.nodes.push(Node { op, inputs, shape, dtype, path, role: None, precision: None, region });
        Ok(NodeId(self.graph.nodes.len() as u32 - 1))
    }
}
