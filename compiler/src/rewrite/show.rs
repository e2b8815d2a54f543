//! Prints operations, for reports and tests.

use gristmill_graph::{DType, Literal, Op, Scalar, Unary};

/// The name of an operation, with the expression inside it if that is not trivial.
pub(super) fn op(op: &Op) -> String {
    if let Op::Linear { weights, epilogue } = op
        && (*weights != 1 || *epilogue != Scalar::identity())
    {
        return format!("linear {{ {} }}", scalar(epilogue));
    }
    if let Op::Attention { score } = op {
        return format!("attention {{ {} }}", scalar(score));
    }
    op.name()
}

/// An expression: `acc0 + arg0`, `select(arg1, acc0, -1)`.
pub(super) fn scalar(s: &Scalar) -> String {
    use gristmill_graph::Binary::{Add, Div, Mul, Sub};
    match s {
        Scalar::Acc(i) => format!("acc{i}"),
        Scalar::Arg(i) => format!("arg{i}"),
        Scalar::Lit(v) => literal(*v),
        Scalar::Unary(Unary::Neg, a) => format!("-{}", inner(a)),
        Scalar::Unary(u, a) => format!("{}({})", u.row().name, scalar(a)),
        Scalar::Binary(Add, a, b) => format!("{} + {}", inner(a), inner(b)),
        Scalar::Binary(Sub, a, b) => format!("{} - {}", inner(a), inner(b)),
        Scalar::Binary(Mul, a, b) => format!("{} * {}", inner(a), inner(b)),
        Scalar::Binary(Div, a, b) => format!("{} / {}", inner(a), inner(b)),
        Scalar::Binary(b, l, r) => format!("{}({}, {})", b.row().name, scalar(l), scalar(r)),
        Scalar::Select(c, a, b) => format!("select({}, {}, {})", scalar(c), scalar(a), scalar(b)),
        Scalar::Cast(t, a) => format!("{}({})", name(*t), scalar(a)),
    }
}

fn name(t: DType) -> String {
    t.to_string()
}

/// An expression as an operand of an infix operator.
fn inner(s: &Scalar) -> String {
    use gristmill_graph::Binary::{Add, Div, Mul, Sub};
    match s {
        Scalar::Binary(Add | Sub | Mul | Div, ..) => format!("({})", scalar(s)),
        _ => scalar(s),
    }
}

/// A literal in the notation of rules and cases.
pub(super) fn literal(v: Literal) -> String {
    match v {
        Literal::F32(x) if x.get().abs() > 1e6 || (x.get() != 0.0 && x.get().abs() < 1e-3) => format!("{:e}", x.get()),
        Literal::F32(x) => x.get().to_string(),
        Literal::I32(x) => format!("{x}i"),
        Literal::Bool(x) => x.to_string(),
    }
}
