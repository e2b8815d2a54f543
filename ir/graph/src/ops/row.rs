//! What every operation has to say about itself.

use std::borrow::Cow;
use std::ops::Index;
use std::sync::Arc;

use crate::array::Array;
use crate::dim::{Bindings, Dim, Shape};
use crate::dtype::DType;
use crate::graph::{Input, Model, State, Weight};

/// Shape and element type of an operand.
pub type Operand<'a> = (&'a [Dim], DType);

/// Shape and element type of a result, or a sentence that says what was expected and what was found.
pub type Typed = Result<(Shape, DType), String>;

/// A value, or why there is none.
pub(crate) type Evaluated = Result<Arc<Array>, String>;

/// What a model declares outside of its graph, as far as types of nodes depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Declarations<'a> {
    /// The inputs that [`Op::Input`](crate::Op::Input) indexes.
    pub inputs: &'a [Input],
    /// The weights that [`Op::Weight`](crate::Op::Weight) indexes.
    pub weights: &'a [Weight],
    /// The states that [`Op::StateAppend`](crate::Op::StateAppend) and its like index.
    pub states: &'a [State],
    /// Symbols that have a fixed value in the graph at hand (those of an entry); they are replaced in
    /// declared shapes.
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

    /// A declared shape in the graph at hand.
    pub(super) fn shape(&self, declared: &[Dim]) -> Shape {
        match self.bind {
            Some(bind) => declared.iter().map(|d| d.bind(bind)).collect(),
            None => declared.to_vec(),
        }
    }
}

/// What an evaluation holds besides operands.
pub(crate) trait Environment {
    /// An input, in the given shape.
    fn input(&self, index: u32, shape: &[usize]) -> Evaluated;
    /// A weight, in the given shape.
    fn weight(&self, index: u32, shape: &[usize]) -> Evaluated;
    /// Appends to a state, and gives all that it holds.
    fn append(&mut self, state: u32, x: &Array) -> Evaluated;
    /// Holds a value in a state, and gives it.
    fn keep(&mut self, state: u32, x: &Array) -> Evaluated;
    /// What a state holds, in the given shape.
    fn recall(&self, state: u32, shape: &[usize]) -> Evaluated;
    /// What a state held before this call, in the given shape.
    fn previous(&self, state: u32, shape: &[usize]) -> Evaluated;
    /// Holds a value in a state for the next call, and gives it.
    fn update(&mut self, state: u32, x: &Array) -> Evaluated;
}

/// The values of operands, whose number and types inference has accepted.
pub(crate) struct Values(pub(crate) Vec<Arc<Array>>);

impl Values {
    /// The first operand, given away.
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

/// How many operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// This many.
    Exactly(usize),
    /// As many as the type rule accepts.
    Any,
}

/// How a compiler treats an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Its value lies in memory before any kernel runs: an input, a weight, what a state holds.
    Given,
    /// It follows from nothing: a constant, a counter, a size.
    Constant,
    /// It renames elements: no arithmetic, no index that depends on data.
    View,
    /// Every element of the result depends on the same-index elements of the operands only. `costly` if several kernels
    /// should not compute it again.
    Elementwise {
        /// Whether it takes long.
        costly: bool,
    },
    /// An element of the result is one of an operand, at an index that depends on data or on which operand it is.
    Movement,
    /// It gets a kernel of its own whatever its surroundings are.
    Anchor(Anchor),
}

/// An operation with a kernel of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// So many operands, from the first on, are read many times or in vectors: they must be memory, seen through
    /// views at most. All others are computed where they are read.
    pub direct: usize,
    /// Whether the result has a layout of its own, so that it cannot be stored in the order in which it is read.
    pub own_layout: bool,
    /// Whether it exists only after rewriting.
    pub fused: bool,
}

/// What one operation costs, as a kernel of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// There is nothing to run.
    None,
    /// So many floating point operations for each element of the result.
    PerResult(f64),
    /// So many for each element of the first operand.
    PerOperand(f64),
    /// Inner products along the last axis of the first operand.
    Products {
        /// How many for each element of the result.
        count: f64,
        /// Operations on an element after them.
        then: f64,
    },
    /// Softmax over products of queries and keys, then products with values.
    Attention {
        /// Operations on a score.
        score: f64,
    },
}

/// What the compiler asks of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traits {
    /// Operands.
    pub arity: Arity,
    /// Treatment.
    pub role: Role,
    /// Cost.
    pub work: Work,
    /// The state that it reads or writes.
    pub state: StateUse,
}

/// What an operation does with a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateUse {
    /// It has nothing to do with one.
    None,
    /// It gives what the state with this index holds.
    Reads(u32),
    /// It changes what the state with this index holds, and gives that.
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

/// A row of the table of operations. Nothing has a default: whoever adds an operation answers every question.
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
