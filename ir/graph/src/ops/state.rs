//! Stored weights and states.

use std::borrow::Cow;

use super::check::{at, declared, want};
use super::row::{
    Anchor, Arity, Declarations, Environment, Evaluated, Operand, Operation, Role, StateUse, Traits, Typed, Values,
    Work,
};
use crate::dim::{Shape, show_shape};
use crate::dtype::DType;
use crate::graph::StateKind;

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

/// The traits of an operation that writes a state: it has a kernel that stores a value computed in place.
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
        let Some(axis) = state.axis() else {
            return Err(format!("state `{name}` has no axis to append along: declare one, or use `keep` or `update`"));
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

/// The shape of a state of this kind, which has a fixed size, and its name.
fn fixed<'a>(
    op: &str,
    declarations: Option<Declarations<'a>>,
    (index, kind): (u32, StateKind),
) -> Result<(Shape, &'a str), String> {
    let declarations = declared(op, declarations)?;
    let state = at("state", declarations.states, index)?;
    match state.kind {
        found if found == kind => Ok((declarations.shape(&state.shape), &state.name)),
        StateKind::Appended { .. } => Err(format!("state `{}` grows along an axis: use `append`", state.name)),
        StateKind::Kept => Err(format!("state `{}` is kept for later calls: use `keep` and `recall`", state.name)),
        StateKind::Overwritten => {
            Err(format!("state `{}` is overwritten in every call: use `previous` and `update`", state.name))
        }
    }
}

/// The type of a value that replaces the content of a state of this kind.
fn whole(op: &str, declarations: Option<Declarations<'_>>, state: (u32, StateKind), (x, dtype): Operand<'_>) -> Typed {
    let (shape, name) = fixed(op, declarations, state)?;
    want(op, "operand", dtype, &[DType::F32])?;
    if x == shape {
        return Ok((shape, DType::F32));
    }
    Err(format!("{op}: expected the shape {} of state `{name}`, found {}", show_shape(&shape), show_shape(x)))
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
        whole("keep", declarations, (self.0, StateKind::Kept), x[0])
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
        fixed("recall", declarations, (self.0, StateKind::Kept)).map(|(shape, _)| (shape, DType::F32))
    }

    fn eval(&self, environment: &mut dyn Environment, _: Values, shape: Vec<usize>) -> Evaluated {
        environment.recall(self.0, &shape)
    }
}

/// The row of [`Op::StatePrevious`](crate::Op::StatePrevious).
pub(super) struct Previous(pub(super) u32);

impl Operation for Previous {
    fn name(&self) -> Cow<'static, str> {
        "previous".into()
    }

    fn traits(&self) -> Traits {
        Traits { state: StateUse::Reads(self.0), ..Traits::leaf(Role::Given) }
    }

    fn infer(&self, declarations: Option<Declarations<'_>>, _: &[Operand<'_>]) -> Typed {
        fixed("previous", declarations, (self.0, StateKind::Overwritten)).map(|(shape, _)| (shape, DType::F32))
    }

    fn eval(&self, environment: &mut dyn Environment, _: Values, shape: Vec<usize>) -> Evaluated {
        environment.previous(self.0, &shape)
    }
}

/// The row of [`Op::StateUpdate`](crate::Op::StateUpdate).
pub(super) struct Update(pub(super) u32);

impl Operation for Update {
    fn name(&self) -> Cow<'static, str> {
        "update".into()
    }

    fn traits(&self) -> Traits {
        writes(self.0)
    }

    fn infer(&self, declarations: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        whole("update", declarations, (self.0, StateKind::Overwritten), x[0])
    }

    fn eval(&self, environment: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        environment.update(self.0, &x[0])
    }
}
