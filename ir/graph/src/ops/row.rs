//! The row of an operation: everything that a new operation must define.

use std::borrow::Cow;
use std::ops::Index;
use std::sync::Arc;

use crate::array::Array;
use crate::dim::{Bindings, Dim, Shape};
use crate::dtype::DType;
use crate::graph::{Input, Model, State, Weight};

/// Shape and element type of an operand.
pub type Operand<'a> = (&'a [Dim], DType);

/// Shape and element type of a result, or a message that says what was expected and what was found.
pub type Typed = Result<(Shape, DType), String>;

/// A value, or an error message.
pub(crate) type Evaluated = Result<Arc<Array>, String>;

/// The declarations of a model on which types of nodes depend.
#[derive(Clone, Copy, Debug)]
pub struct Declarations<'a> {
    /// The inputs that [`Op::Input`](crate::Op::Input) indexes.
    pub inputs: &'a [Input],
    /// The weights that [`Op::Weight`](crate::Op::Weight) indexes.
    pub weights: &'a [Weight],
    /// The states that [`Op::StateAppend`](crate::Op::StateAppend) and similar operations index.
    pub states: &'a [State],
    /// Symbols that have a fixed value in the graph of an entry. They are replaced in declared shapes.
    pub bind: Option<&'a Bindings>,
}

impl<'a> Declarations<'a> {
    /// The declarations of a model, for its body (no symbol has a fixed value).
    pub fn of(model: &'a Model) -> Self {
        Self { inputs: &model.inputs, weights: &model.weights, states: &model.states, bind: None }
    }

    /// The same declarations, for a graph in which the symbols of `bind` are replaced by their values.
    pub fn bound(self, bind: &'a Bindings) -> Self {
        Self { bind: Some(bind), ..self }
    }

    /// A declared shape, with fixed symbols replaced.
    pub(super) fn shape(&self, declared: &[Dim]) -> Shape {
        match self.bind {
            Some(bind) => declared.iter().map(|d| d.bind(bind)).collect(),
            None => declared.to_vec(),
        }
    }
}

/// The environment of an evaluation: inputs, weights and states.
pub(crate) trait Environment {
    /// An input, in the given shape.
    fn input(&self, index: u32, shape: &[usize]) -> Evaluated;
    /// A weight, in the given shape.
    fn weight(&self, index: u32, shape: &[usize]) -> Evaluated;
    /// Appends to a state, and returns its entire content.
    fn append(&mut self, state: u32, x: &Array) -> Evaluated;
    /// Stores a value in a state, and returns it.
    fn keep(&mut self, state: u32, x: &Array) -> Evaluated;
    /// The content of a state, in the given shape.
    fn recall(&self, state: u32, shape: &[usize]) -> Evaluated;
    /// The content of a state before this call, in the given shape.
    fn previous(&self, state: u32, shape: &[usize]) -> Evaluated;
    /// Stores a value in a state for the next call, and returns it.
    fn update(&mut self, state: u32, x: &Array) -> Evaluated;
}

/// The values of operands. Inference has accepted their number and types.
pub(crate) struct Values(pub(crate) Vec<Arc<Array>>);

impl Values {
    /// The first operand, by value.
    pub(super) fn into_first(mut self) -> Arc<Array> {
        self.0.swap_remove(0)
    }

    /// All operands.
    pub(super) fn all(&self) -> Vec<&Array> {
        self.0.iter().map(Arc::as_ref).collect()
    }
}

impl Index<usize> for Values {
    type Output = Array;

    fn index(&self, i: usize) -> &Array {
        &self.0[i]
    }
}

/// The number of operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// This many.
    Exactly(usize),
    /// Any number that the type rule accepts.
    Any,
}

/// How a compiler treats an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Its value is in memory before any kernel runs: an input, a weight, the content of a state.
    Given,
    /// It has no operands and is computed where it is read: a constant, a counter, a size.
    Constant,
    /// It only changes indices: no arithmetic, no index that depends on data.
    View,
    /// Each element of the result depends only on the elements of the operands at the same index. `costly` if kernels
    /// should share its result instead of each computing it.
    Elementwise {
        /// Whether it is slow.
        costly: bool,
    },
    /// Each element of the result is an element of an operand. Its index depends on data, or on the operand.
    Movement,
    /// It always gets a kernel of its own.
    Anchor(Anchor),
}

/// An operation with a kernel of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The number of leading operands that are read many times or in vectors: they must be in memory, possibly seen
    /// through views. All others are computed where they are read.
    pub direct: usize,
    /// Whether the result has a fixed layout, so that it cannot be stored in the order in which it is read.
    pub own_layout: bool,
    /// Whether only rewriting introduces it.
    pub fused: bool,
}

/// The cost of an operation as a kernel of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// There is nothing to run.
    None,
    /// The number of floating-point operations per element of the result.
    PerResult(f64),
    /// The number of floating-point operations per element of the first operand.
    PerOperand(f64),
    /// Inner products along the last axis of the first operand.
    Products {
        /// The number of inner products per element of the result.
        count: f64,
        /// Operations on each element after them.
        then: f64,
    },
    /// Softmax over products of queries and keys, then products with values.
    Attention {
        /// Operations on each score.
        score: f64,
    },
}

/// What the compiler asks of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traits {
    /// The number of operands.
    pub arity: Arity,
    /// How a compiler treats it.
    pub role: Role,
    /// Its cost.
    pub work: Work,
    /// The state that it reads or writes.
    pub state: StateUse,
}

/// How an operation uses a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateUse {
    /// It uses none.
    None,
    /// It returns the content of the state with this index.
    Reads(u32),
    /// It changes the content of the state with this index, and returns it.
    Writes(u32),
}

impl Traits {
    /// Of an operation on no operands that costs nothing.
    pub(super) const fn leaf(role: Role) -> Traits {
        Traits { arity: Arity::Exactly(0), role, work: Work::None, state: StateUse::None }
    }

    /// Of a view.
    pub(super) const VIEW: Traits =
        Traits { arity: Arity::Exactly(1), role: Role::View, work: Work::None, state: StateUse::None };
}

/// A row of the table of operations. No method has a default: a new operation must define all of them.
pub(crate) trait Operation {
    /// The name used in traces, errors and shader headers.
    fn name(&self) -> Cow<'static, str>;

    /// What the compiler asks.
    fn traits(&self) -> Traits;

    /// Shape and type of the result, for as many operands as [`Traits::arity`] says. Without declarations, operations
    /// whose type the model declares give an error.
    fn infer(&self, declared: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed;

    /// The value, in the inferred `shape`, of operands that inference has accepted.
    fn eval(&self, environment: &mut dyn Environment, x: Values, shape: Vec<usize>) -> Evaluated;
}
