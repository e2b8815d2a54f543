//! Operations without operands: the leaves of a graph.

use std::borrow::Cow;
use std::sync::Arc;

use super::check::{at, declared, not_negative, size};
use super::row::{Declarations, Environment, Evaluated, Operand, Operation, Role, Traits, Typed, Values};
use crate::array::{Array, Data, scalar};
use crate::dim::Dim;
use crate::dtype::DType;
use crate::literal::{Bits, Literal};

/// The row of [`Op::Input`](crate::Op::Input).
pub(super) struct Input(pub(super) u32);

impl Operation for Input {
    fn name(&self) -> Cow<'static, str> {
        "input".into()
    }

    fn traits(&self) -> Traits {
        Traits::leaf(Role::Given)
    }

    fn infer(&self, declarations: Option<Declarations<'_>>, _: &[Operand<'_>]) -> Typed {
        let declarations = declared("input", declarations)?;
        let input = at("input", declarations.inputs, self.0)?;
        Ok((declarations.shape(&input.shape), input.dtype))
    }

    fn eval(&self, environment: &mut dyn Environment, _: Values, shape: Vec<usize>) -> Evaluated {
        environment.input(self.0, &shape)
    }
}

/// The row of [`Op::Weight`](crate::Op::Weight).
pub(super) struct Weight(pub(super) u32);

impl Operation for Weight {
    fn name(&self) -> Cow<'static, str> {
        "weight".into()
    }

    fn traits(&self) -> Traits {
        Traits::leaf(Role::Given)
    }

    fn infer(&self, declarations: Option<Declarations<'_>>, _: &[Operand<'_>]) -> Typed {
        let weight = at("weight", declared("weight", declarations)?.weights, self.0)?;
        let dim = |n: &u64| {
            i64::try_from(*n).map(Dim::constant).map_err(|_| format!("weight `{}` is too large", weight.name))
        };
        Ok((weight.shape.iter().map(dim).collect::<Result<_, _>>()?, DType::F32))
    }

    fn eval(&self, environment: &mut dyn Environment, _: Values, shape: Vec<usize>) -> Evaluated {
        environment.weight(self.0, &shape)
    }
}

/// The row of [`Op::Const`](crate::Op::Const).
pub(super) struct Const(pub(super) Literal);

impl Operation for Const {
    fn name(&self) -> Cow<'static, str> {
        "const".into()
    }

    fn traits(&self) -> Traits {
        Traits::leaf(Role::Constant)
    }

    fn infer(&self, _: Option<Declarations<'_>>, _: &[Operand<'_>]) -> Typed {
        Ok((Vec::new(), self.0.dtype()))
    }

    fn eval(&self, _: &mut dyn Environment, _: Values, _: Vec<usize>) -> Evaluated {
        Ok(Arc::new(scalar(self.0)))
    }
}

/// The row of [`Op::Table`](crate::Op::Table).
pub(super) struct Table<'a>(pub(super) &'a [Bits]);

impl Operation for Table<'_> {
    fn name(&self) -> Cow<'static, str> {
        "table".into()
    }

    fn traits(&self) -> Traits {
        Traits::leaf(Role::Constant)
    }

    fn infer(&self, _: Option<Declarations<'_>>, _: &[Operand<'_>]) -> Typed {
        Ok((vec![Dim::from(self.0.len())], DType::F32))
    }

    fn eval(&self, _: &mut dyn Environment, _: Values, shape: Vec<usize>) -> Evaluated {
        Ok(Arc::new(Array { shape, data: Data::F32(self.0.iter().map(|b| b.get()).collect()) }))
    }
}

/// The row of [`Op::Iota`](crate::Op::Iota).
pub(super) struct Iota<'a>(pub(super) &'a Dim);

impl Operation for Iota<'_> {
    fn name(&self) -> Cow<'static, str> {
        "iota".into()
    }

    fn traits(&self) -> Traits {
        Traits::leaf(Role::Constant)
    }

    fn infer(&self, _: Option<Declarations<'_>>, _: &[Operand<'_>]) -> Typed {
        Ok((vec![not_negative("iota", "length", self.0)?.clone()], DType::I32))
    }

    fn eval(&self, _: &mut dyn Environment, _: Values, shape: Vec<usize>) -> Evaluated {
        Ok(Arc::new(Array { shape, data: Data::I32((0..size(self.0)?).map(|i| i as i32).collect()) }))
    }
}

/// The row of [`Op::Size`](crate::Op::Size).
pub(super) struct Size<'a>(pub(super) &'a Dim);

impl Operation for Size<'_> {
    fn name(&self) -> Cow<'static, str> {
        "size".into()
    }

    fn traits(&self) -> Traits {
        Traits::leaf(Role::Constant)
    }

    fn infer(&self, _: Option<Declarations<'_>>, _: &[Operand<'_>]) -> Typed {
        Ok((Vec::new(), not_negative("size", "value", self.0).map(|_| DType::I32)?))
    }

    fn eval(&self, _: &mut dyn Environment, _: Values, _: Vec<usize>) -> Evaluated {
        let value = i32::try_from(size(self.0)?).map_err(|e| e.to_string())?;
        Ok(Arc::new(scalar(Literal::I32(value))))
    }
}
