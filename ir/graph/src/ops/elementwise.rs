//! Element-wise operations: each element of the result depends on the elements of the operands at the same index.
//! [`crate::scalar`] defines the functions themselves.

use std::borrow::Cow;
use std::sync::Arc;

use super::check::{broadcast, want};
use super::movement::broadcast as repeat;
use super::row::{
    Arity, Declarations, Environment, Evaluated, Operand, Operation, Role, StateUse, Traits, Typed, Values, Work,
};
use crate::array::{Array, Data, scalar};
use crate::dtype::DType;
use crate::scalar::{self, Meaning, Scalar};

/// The traits of an element-wise operation.
fn traits(operands: usize, flops: f64, costly: bool) -> Traits {
    Traits {
        arity: Arity::Exactly(operands),
        role: Role::Elementwise { costly },
        work: Work::PerResult(flops),
        state: StateUse::None,
    }
}

/// The row of [`Op::Unary`](crate::Op::Unary).
pub(super) struct Unary(pub(super) scalar::Unary);

impl Operation for Unary {
    fn name(&self) -> Cow<'static, str> {
        self.0.row().name.into()
    }

    fn traits(&self) -> Traits {
        let row = self.0.row();
        traits(1, row.flops, row.costly)
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        Ok((x[0].0.to_vec(), unary_type(self.0, x[0].1)?))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        unary(self.0, &x[0]).map(Arc::new)
    }
}

/// The row of [`Op::Binary`](crate::Op::Binary).
pub(super) struct Binary(pub(super) scalar::Binary);

impl Operation for Binary {
    fn name(&self) -> Cow<'static, str> {
        self.0.row().name.into()
    }

    fn traits(&self) -> Traits {
        let row = self.0.row();
        traits(2, row.flops, row.costly)
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        let dtype = binary_type(self.0, x[0].1, x[1].1)?;
        Ok((broadcast(self.0.row().name, x[0].0, x[1].0)?, dtype))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        binary(self.0, &x[0], &x[1]).map(Arc::new)
    }
}

/// The row of [`Op::Select`](crate::Op::Select).
pub(super) struct Select;

impl Operation for Select {
    fn name(&self) -> Cow<'static, str> {
        "select".into()
    }

    fn traits(&self) -> Traits {
        traits(3, 1.0, false)
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        let dtype = select_type(x[0].1, x[1].1, x[2].1)?;
        Ok((broadcast("select", &broadcast("select", x[0].0, x[1].0)?, x[2].0)?, dtype))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        select(&x[0], &x[1], &x[2]).map(Arc::new)
    }
}

/// The row of [`Op::Cast`](crate::Op::Cast).
pub(super) struct Cast(pub(super) DType);

impl Operation for Cast {
    fn name(&self) -> Cow<'static, str> {
        format!("cast_{}", self.0).into()
    }

    fn traits(&self) -> Traits {
        traits(1, 1.0, false)
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        Ok((x[0].0.to_vec(), self.0))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        Ok(Arc::new(cast(self.0, &x[0])))
    }
}

// ---- types

/// The result type of a one-argument function.
///
/// # Errors
/// If the function does not take this type.
pub fn unary_type(op: scalar::Unary, x: DType) -> Result<DType, String> {
    want(op.row().name, "operand", x, &op.takes())
}

/// The result type of a two-argument function. `Eq` and `Ne` also compare bools.
///
/// # Errors
/// If the argument types differ, or the function does not take them.
pub fn binary_type(op: scalar::Binary, a: DType, b: DType) -> Result<DType, String> {
    let name = op.row().name;
    if a != b {
        return Err(format!("{name}: expected operands of one type, found {a} and {b}"));
    }
    want(name, "operands", a, op.takes())?;
    Ok(if op.is_comparison() { DType::Bool } else { a })
}

fn select_type(condition: DType, then: DType, otherwise: DType) -> Result<DType, String> {
    want("select", "a condition", condition, &[DType::Bool])?;
    if then != otherwise {
        return Err(format!("select: expected alternatives of one type, found {then} and {otherwise}"));
    }
    Ok(then)
}

/// The type of a scalar expression over `accumulators` f32 accumulators and arguments of the given types.
///
/// # Errors
/// If an index is out of range or a function does not take its argument types.
pub fn scalar_type(expr: &Scalar, accumulators: usize, args: &[DType]) -> Result<DType, String> {
    let of = |e: &Scalar| scalar_type(e, accumulators, args);
    match expr {
        Scalar::Acc(i) if usize::from(*i) < accumulators => Ok(DType::F32),
        Scalar::Acc(i) => Err(format!("expected an accumulator below {accumulators}, found {i}")),
        Scalar::Arg(i) => {
            let found = args.get(usize::from(*i)).copied();
            found.ok_or_else(|| format!("expected an argument below {}, found {i}", args.len()))
        }
        Scalar::Lit(value) => Ok(value.dtype()),
        Scalar::Unary(op, a) => unary_type(*op, of(a)?),
        Scalar::Binary(op, a, b) => binary_type(*op, of(a)?, of(b)?),
        Scalar::Select(c, a, b) => select_type(of(c)?, of(a)?, of(b)?),
        Scalar::Cast(to, a) => of(a).map(|_| *to),
    }
}

// ---- values

/// A one-argument function of every element.
fn unary(op: scalar::Unary, x: &Array) -> Result<Array, String> {
    let row = op.row();
    let data = match &x.data {
        Data::F32(v) => row.f32.map(|f| Data::F32(v.iter().map(|a| (f.single)(*a)).collect())),
        Data::I32(v) => row.i32.map(|f| Data::I32(v.iter().map(|a| f(*a)).collect())),
        Data::Bool(v) => row.bool.map(|f| Data::Bool(v.iter().map(|a| f(*a)).collect())),
    };
    let data = data.ok_or_else(|| format!("{} is not a function of {}", row.name, x.dtype()))?;
    Ok(Array { shape: x.shape.clone(), data })
}

/// The common shape of operands, which exists according to inference.
fn common(operands: &[&Array]) -> Vec<usize> {
    let rank = operands.iter().map(|t| t.shape.len()).max().unwrap_or(0);
    let mut shape = vec![1; rank];
    for t in operands {
        for (to, from) in shape[rank - t.shape.len()..].iter_mut().zip(&t.shape) {
            if *from != 1 {
                *to = *from;
            }
        }
    }
    shape
}

/// A two-argument function of every pair of elements, after broadcasting.
fn binary(op: scalar::Binary, a: &Array, b: &Array) -> Result<Array, String> {
    let shape = common(&[a, b]);
    let (a, b) = (repeat(a, &shape), repeat(b, &shape));
    let meaning = op.row().meaning;
    let data = match (&a.data, &b.data) {
        (Data::F32(a), Data::F32(b)) => match meaning {
            Meaning::Arithmetic { single, .. } => Some(Data::F32(zip(a, b, |a, b| single(*a, *b)))),
            Meaning::Comparison { f32, .. } => Some(Data::Bool(zip(a, b, f32))),
            Meaning::Logic(_) => None,
        },
        (Data::I32(a), Data::I32(b)) => match meaning {
            Meaning::Arithmetic { i32, .. } => i32.map(|f| Data::I32(zip(a, b, |a, b| f(*a, *b)))),
            Meaning::Comparison { i32, .. } => Some(Data::Bool(zip(a, b, i32))),
            Meaning::Logic(_) => None,
        },
        (Data::Bool(a), Data::Bool(b)) => match meaning {
            Meaning::Logic(f) => Some(Data::Bool(zip(a, b, |a, b| f(*a, *b)))),
            Meaning::Comparison { bool, .. } => bool.map(|f| Data::Bool(zip(a, b, f))),
            Meaning::Arithmetic { .. } => None,
        },
        _ => None,
    };
    let name = op.row().name;
    let data = data.ok_or_else(|| format!("{name} is not a function of {} and {}", a.dtype(), b.dtype()))?;
    Ok(Array { shape, data })
}

fn zip<T, R>(a: &[T], b: &[T], f: impl Fn(&T, &T) -> R) -> Vec<R> {
    a.iter().zip(b).map(|(a, b)| f(a, b)).collect()
}

/// `then` where the condition holds, `otherwise` elsewhere.
fn select(condition: &Array, then: &Array, otherwise: &Array) -> Result<Array, String> {
    fn pick<T: Copy>(condition: &[bool], then: &[T], otherwise: &[T]) -> Vec<T> {
        condition.iter().zip(then.iter().zip(otherwise)).map(|(c, (a, b))| if *c { *a } else { *b }).collect()
    }
    let shape = common(&[condition, then, otherwise]);
    let [c, a, b] = [condition, then, otherwise].map(|t| repeat(t, &shape));
    let Data::Bool(c) = &c.data else {
        return Err(format!("expected a condition of type bool, found {}", condition.dtype()));
    };
    let data = match (&a.data, &b.data) {
        (Data::F32(a), Data::F32(b)) => Data::F32(pick(c, a, b)),
        (Data::I32(a), Data::I32(b)) => Data::I32(pick(c, a, b)),
        (Data::Bool(a), Data::Bool(b)) => Data::Bool(pick(c, a, b)),
        _ => return Err(format!("expected alternatives of one type, found {} and {}", a.dtype(), b.dtype())),
    };
    Ok(Array { shape, data })
}

/// Conversion of every element. f32 to i32 truncates and saturates; everything but zero is true.
fn cast(to: DType, x: &Array) -> Array {
    let data = match (&x.data, to) {
        (Data::F32(v), DType::I32) => Data::I32(v.iter().map(|a| *a as i32).collect()),
        (Data::F32(v), DType::Bool) => Data::Bool(v.iter().map(|a| *a != 0.0).collect()),
        (Data::I32(v), DType::F32) => Data::F32(v.iter().map(|a| *a as f32).collect()),
        (Data::I32(v), DType::Bool) => Data::Bool(v.iter().map(|a| *a != 0).collect()),
        (Data::Bool(v), DType::F32) => Data::F32(v.iter().map(|a| f32::from(u8::from(*a))).collect()),
        (Data::Bool(v), DType::I32) => Data::I32(v.iter().map(|a| i32::from(*a)).collect()),
        (same @ Data::F32(_), DType::F32) | (same @ Data::I32(_), DType::I32) | (same @ Data::Bool(_), DType::Bool) => {
            same.clone()
        }
    };
    Array { shape: x.shape.clone(), data }
}

/// A scalar expression applied to all elements: accumulators and arguments are whole tensors that broadcast.
pub(super) fn expression(expr: &Scalar, accumulators: &[Array], args: &[&Array]) -> Result<Array, String> {
    let of = |e: &Scalar| expression(e, accumulators, args);
    match expr {
        Scalar::Acc(i) => accumulators.get(usize::from(*i)).cloned().ok_or(format!("no accumulator {i}")),
        Scalar::Arg(i) => args.get(usize::from(*i)).map(|t| (*t).clone()).ok_or(format!("no argument {i}")),
        Scalar::Lit(value) => Ok(scalar(*value)),
        Scalar::Unary(op, a) => unary(*op, &of(a)?),
        Scalar::Binary(op, a, b) => binary(*op, &of(a)?, &of(b)?),
        Scalar::Select(c, a, b) => select(&of(c)?, &of(a)?, &of(b)?),
        Scalar::Cast(to, a) => Ok(cast(*to, &of(a)?)),
    }
}
