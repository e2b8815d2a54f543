//! Stored weights and states.

use std::borrow::Cow;

use super::check::{at, declared, want};
use super::row::{
    Anchor, Arity, Declarations, Environment, Evaluated, Operand, Operation, Role, StateUse, Traits, Typed, Values,
    Work,
};
use crate::dim::{Dim, Shape, show_shape};
use crate::dtype::DType;

/// The row of [`Op::Dequantize`](crate::Op::Dequantize).
pub(super) struct Dequantize;

impl Operation for Dequantize {
    fn name(&self) -> Cow<'static, str> {
        "dequantize".into()
    }

    fn traits(&self) -> Traits {
        Traits { arity: Arity::Exactly(1), ..Traits::leaf(Role::Given) }
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        want("dequantize", "operand", x[0].1, &[DType::F32])?;
        Ok((x[0].0.to_vec(), DType::F32))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        Ok(x.into_first())
    }
}

/// Of an operation that writes a state: a kernel of its own that only moves what it computes in place.
fn writes(state: u32) -> Traits {
    Traits {
        arity: Arity::Exactly(1),
        role: Role::Anchor(Anchor { direct: 0, own_layout: true, fused: false }),
        work: Work::PerOperand(1.0),
        state: StateUse::Writes(state),
    }
}

/// The row of [`Op::StateAppend`](crate::Op::StateAppend).
pub(super) struct Append(pub(super) u32);

impl Operation for Append {
    fn name(&self) -> Cow<'static, str> {
        "append".into()
    }

    fn traits(&self) -> Traits {
        writes(self.0)
    }

    fn infer(&self, declarations: Option<Declarations<'_>>, operands: &[Operand<'_>]) -> Typed {
        let declarations = declared("append", declarations)?;
        let state = at("state", declarations.states, self.0)?;
        let ((x, dtype), name) = (operands[0], &state.name);
        want("append", "operand", dtype, &[DType::F32])?;
        let Some(axis) = state.axis else {
            return Err(format!("state `{name}` has no axis to append along: declare one, or `keep` the whole"));
        };
        let (at, state) = (axis as usize, declarations.shape(&state.shape));
        if at >= state.len() {
            return Err(format!("state `{name}` has shape {} and no axis {axis}", show_shape(&state)));
        }
        let fits = x.len() == state.len() && x.iter().zip(&state).enumerate().all(|(i, (a, b))| i == at || a == b);
        if !fits {
            return Err(format!(
                "append: expected the shape {} of state `{name}` in all but axis {axis}, found {}",
                show_shape(&state),
                show_shape(x)
            ));
        }
        let mut shape = x.to_vec();
        shape[at] = &state[at] + &x[at];
        Ok((shape, DType::F32))
    }

    fn eval(&self, environment: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        environment.append(self.0, &x[0])
    }
}

/// The shape of a state that is kept as a whole, and its name.
fn kept<'a>(op: &str, declarations: Option<Declarations<'a>>, index: u32) -> Result<(Shape, &'a str), String> {
    let declarations = declared(op, declarations)?;
    let state = at("state", declarations.states, index)?;
    match state.axis {
        Some(_) => Err(format!("state `{}` grows along an axis: `append` to it", state.name)),
        None => Ok((declarations.shape(&state.shape), &state.name)),
    }
}

/// The row of [`Op::StateKeep`](crate::Op::StateKeep).
pub(super) struct Keep(pub(super) u32);

impl Operation for Keep {
    fn name(&self) -> Cow<'static, str> {
        "keep".into()
    }

    fn traits(&self) -> Traits {
        writes(self.0)
    }

    fn infer(&self, declarations: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        let (state, name) = kept("keep", declarations, self.0)?;
        let (x, dtype): (&[Dim], DType) = x[0];
        want("keep", "operand", dtype, &[DType::F32])?;
        if x == state {
            return Ok((state, DType::F32));
        }
        Err(format!("keep: expected the shape {} of state `{name}`, found {}", show_shape(&state), show_shape(x)))
    }

    fn eval(&self, environment: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        environment.keep(self.0, &x[0])
    }
}

/// The row of [`Op::StateRead`](crate::Op::StateRead).
pub(super) struct Read(pub(super) u32);

impl Operation for Read {
    fn name(&self) -> Cow<'static, str> {
        "recall".into()
    }

    fn traits(&self) -> Traits {
        Traits { state: StateUse::Reads(self.0), ..Traits::leaf(Role::Given) }
    }

    fn infer(&self, declarations: Option<Declarations<'_>>, _: &[Operand<'_>]) -> Typed {
        kept("recall", declarations, self.0).map(|(shape, _)| (shape, DType::F32))
    }

    fn eval(&self, environment: &mut dyn Environment, _: Values, shape: Vec<usize>) -> Evaluated {
        environment.recall(self.0, &shape)
    }
}
