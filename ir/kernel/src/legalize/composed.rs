//! Functions that are expressions over other functions.

use std::collections::BTreeMap;

use gristmill_graph::{Binary, DType, Literal, Scalar as Composed};

use super::Legalizer;
use crate::expr::{f, i};
use crate::kernel::{Expr, Scalar, Type};

/// What stands for the argument.
const ARGUMENT: Composed = Composed::Acc(0);

impl Legalizer {
    /// The function of a float `a` that `compose` makes of its argument. Where it compares, vectors go lane by lane.
    pub(super) fn composed(&mut self, compose: fn(Composed) -> Composed, ty: Type, a: Expr) -> Expr {
        let composed = &compose(ARGUMENT);
        let mut compares = false;
        composed.visit(&mut |part| {
            let comparison = matches!(part, Composed::Binary(op, ..) if op.is_comparison());
            compares |= comparison || matches!(part, Composed::Select(..));
        });
        if !compares {
            return self.in_place(composed, ty, a);
        }
        let lane = Type::scalar(Scalar::F32);
        self.lanes(ty, vec![a], |l, args| l.in_place(composed, lane, args[0].clone()))
    }

    /// The expression, with names for parts that occur more than once.
    fn in_place(&mut self, composed: &Composed, ty: Type, a: Expr) -> Expr {
        let mut count: BTreeMap<&Composed, usize> = BTreeMap::new();
        count_parts(composed, &mut count);
        let shared = count.iter().filter(|(_, n)| **n > 1).map(|(part, _)| (*part).clone()).collect();
        let mut parts = Parts { shared, known: BTreeMap::new(), ty };
        let a = if parts.shared.contains(&ARGUMENT) { self.name("x", a) } else { a };
        parts.known.insert(ARGUMENT, a);
        let whole = parts.write(self, composed);
        // What it is composed of may need another form, too.
        self.rewrite(whole)
    }
}

/// How often every part occurs; the parts of one that occurs again are not counted again.
fn count_parts<'e>(part: &'e Composed, count: &mut BTreeMap<&'e Composed, usize>) {
    let n = count.entry(part).or_insert(0);
    *n += 1;
    if *n > 1 {
        return;
    }
    match part {
        Composed::Acc(_) | Composed::Arg(_) | Composed::Lit(_) => {}
        Composed::Unary(_, a) | Composed::Cast(_, a) => count_parts(a, count),
        Composed::Binary(_, a, b) => [a, b].into_iter().for_each(|part| count_parts(part, count)),
        Composed::Select(a, b, c) => [a, b, c].into_iter().for_each(|part| count_parts(part, count)),
    }
}

struct Parts {
    /// Those that get a name.
    shared: Vec<Composed>,
    known: BTreeMap<Composed, Expr>,
    /// The type of the argument.
    ty: Type,
}

impl Parts {
    fn write(&mut self, l: &mut Legalizer, part: &Composed) -> Expr {
        if let Some(known) = self.known.get(part) {
            return known.clone();
        }
        let e = match part {
            // A composed function has one argument, whose value is known.
            Composed::Acc(_) | Composed::Arg(_) => f(f32::NAN),
            Composed::Lit(Literal::F32(value)) => self.float(value.get()),
            Composed::Lit(Literal::I32(value)) => i(*value),
            Composed::Lit(Literal::Bool(value)) => Expr::Bool(*value),
            Composed::Unary(op, a) => self.write(l, a).unary(*op),
            Composed::Binary(op, a, b) => {
                let (a, b) = (self.write(l, a), self.write(l, b));
                binary(*op, a, b)
            }
            Composed::Select(c, a, b) => {
                let (c, a, b) = (self.write(l, c), self.write(l, a), self.write(l, b));
                c.select(a, b)
            }
            Composed::Cast(DType::F32, a) => self.write(l, a).cast(self.ty.scalar),
            Composed::Cast(DType::I32, a) => self.write(l, a).cast(Scalar::I32),
            Composed::Cast(DType::Bool, a) => self.write(l, a).cast(Scalar::Bool),
        };
        if !self.shared.contains(part) {
            return e;
        }
        let e = l.rewrite(e);
        let e = l.name("part", e);
        self.known.insert(part.clone(), e.clone());
        e
    }

    /// A number in the type of the argument.
    fn float(&self, value: f32) -> Expr {
        let number = if self.ty.scalar == Scalar::F32 { f(value) } else { f(value).cast(self.ty.scalar) };
        if self.ty.lanes == 1 { number } else { number.splat(self.ty.lanes) }
    }
}

fn binary(op: Binary, a: Expr, b: Expr) -> Expr {
    crate::simplify::Facts::NONE.binary(op, a, b)
}
