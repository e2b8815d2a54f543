//! The cost model: estimates the time of an operation on the target from three numbers.

use std::collections::BTreeMap;

use egg::Id;
use gristmill_graph::{Binary, Bindings, Dim, Op, Precision, Work, numel};
use serde::{Deserialize, Serialize};

use super::body::{Head, Origin, Term, Type};

/// Three numbers of the target, and the symbol values at which operations are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostModel {
    /// Microseconds from one dispatch to the next if the kernels do nothing.
    pub launch_us: f64,
    /// Bytes read or written per microsecond.
    pub bytes_per_us: f64,
    /// Floating-point operations per microsecond.
    pub flops_per_us: f64,
    /// Maximum number of operands of a fused operation. Every adapter supports eight storage buffers per shader, one of
    /// which is the result.
    pub max_operands: usize,
    /// Values of symbols for comparing costs.
    pub nominal: BTreeMap<String, i64>,
    /// The value of symbols that are not in `nominal`, such as the height and width of images.
    pub nominal_of_others: i64,
}

/// Breaks ties in favour of fewer operations; negligible compared to real costs.
const TERM_US: f64 = 1e-4;

impl CostModel {
    /// The nominal value of a symbol.
    pub fn nominal_of(&self, symbol: &str) -> i64 {
        self.nominal.get(symbol).copied().unwrap_or(self.nominal_of_others)
    }

    /// The nominal value of a dimension, at least 0.
    fn dim(&self, dim: &Dim) -> f64 {
        let bindings: Bindings = dim.symbols().into_iter().map(|s| (s.clone(), self.nominal_of(&s))).collect();
        dim.eval(&bindings).unwrap_or(i64::MAX).max(0) as f64
    }

    /// The nominal number of elements.
    fn elements(&self, ty: &Type) -> f64 {
        self.dim(&numel(&ty.shape))
    }

    /// The nominal size of a value in bytes. Elements take four bytes, except in weights.
    pub(super) fn bytes(&self, ty: &Type, from: Option<Origin>) -> f64 {
        let bits = match from {
            Some(Origin::Weight(Precision::Quant(spec))) => spec.nominal_bits(),
            Some(Origin::Weight(Precision::F16)) => 16.0,
            _ => 32.0,
        };
        self.elements(ty) * bits / 8.0
    }

    /// The time in microseconds of one operation as a kernel of its own, with operands in memory.
    pub(super) fn term(&self, term: &Term, result: &Type, operands: &[(&Type, Option<Origin>)]) -> f64 {
        let elements = self.elements(result);
        let op = match &term.head {
            Head::Leaf(_) => return 0.0,
            // A state write stores only the new rows, not the whole result.
            Head::Store(_) => {
                let new: f64 = operands.iter().map(|(ty, from)| self.bytes(ty, *from)).sum();
                return TERM_US + self.launch_us + 2.0 * new / self.bytes_per_us;
            }
            Head::Op(op) => op,
        };
        let (traits, constant) = (op.traits(), matches!(op, Op::Const(_)));
        let flops = match traits.work {
            Work::None => return if constant { 0.0 } else { TERM_US },
            // A scalar is recomputed wherever it is read.
            Work::PerResult(flops) if op.is_elementwise() && result.shape.is_empty() => return TERM_US * flops,
            Work::PerResult(flops) => elements * flops,
            Work::PerOperand(flops) => flops * operands.first().map_or(0.0, |o| self.elements(o.0)),
            Work::Products { count, then } => elements * (2.0 * count * self.inner(operands) + then),
            Work::Attention { score } => self.attention(score, operands),
        };
        // An operand that occurs twice is read once.
        let mut seen: Vec<Id> = Vec::new();
        let mut bytes = self.bytes(result, None);
        for (&arg, (ty, from)) in term.args.iter().zip(operands) {
            if !seen.contains(&arg) {
                seen.push(arg);
                bytes += self.bytes(ty, *from);
            }
        }
        // `pow` needs a positive base on many targets and then becomes several operations, unlike products.
        let launches = if matches!(op, Op::Binary(Binary::Pow)) { 3.0 } else { 1.0 };
        // A fused form that does the same work as the plain form is still preferred.
        let term = if op.is_fused() { TERM_US / 2.0 } else { TERM_US };
        term + launches * self.launch_us + bytes / self.bytes_per_us + flops / self.flops_per_us
    }

    /// The length of the contracted axis of a product.
    fn inner(&self, operands: &[(&Type, Option<Origin>)]) -> f64 {
        operands.first().and_then(|(ty, _)| ty.shape.last()).map_or(0.0, |d| self.dim(d))
    }

    fn attention(&self, score: f64, operands: &[(&Type, Option<Origin>)]) -> f64 {
        let last = |i: usize, back: usize| {
            let shape = operands.get(i).map(|(ty, _)| &ty.shape);
            shape.and_then(|s| s.get(s.len().checked_sub(back)?)).map_or(0.0, |d| self.dim(d))
        };
        let queries = operands.first().map_or(0.0, |(ty, _)| self.elements(ty)) / last(0, 1).max(1.0);
        queries * last(1, 2) * (2.0 * last(0, 1) + 2.0 * last(2, 1) + 20.0 + score)
    }
}
