//! Builds the bodies of helper functions.

use crate::expr::f;
use crate::kernel::{Expr, Helper, Stmt, Type, Var, VarDecl};

/// Writes a helper.
pub(super) struct Body {
    vars: Vec<VarDecl>,
    params: usize,
    body: Vec<Stmt>,
}

impl Body {
    pub(super) fn new(params: &[(&str, Type)]) -> Self {
        let vars = params.iter().map(|(name, ty)| VarDecl { name: name.to_string(), ty: *ty }).collect();
        Body { vars, params: params.len(), body: Vec::new() }
    }

    pub(super) fn param(&self, i: u32) -> Expr {
        Expr::Var(Var(i))
    }

    pub(super) fn let_(&mut self, name: &str, ty: Type, e: Expr) -> Expr {
        self.vars.push(VarDecl { name: name.to_string(), ty });
        let var = Var(self.vars.len() as u32 - 1);
        self.body.push(Stmt::Let(var, e));
        Expr::Var(var)
    }

    pub(super) fn finish(self, name: &str, doc: &[&str], result: Expr) -> Helper {
        let doc = doc.iter().map(|line| line.to_string()).collect();
        Helper { name: name.to_string(), doc, vars: self.vars, params: self.params, body: self.body, result }
    }
}

/// Horner's scheme, lowest coefficient first.
pub(super) fn polynomial(x: &Expr, coefficients: &[f32]) -> Expr {
    let (last, rest) = coefficients.split_last().unwrap_or((&0.0, &[]));
    rest.iter().rev().fold(f(*last), |sum, c| sum * x + *c)
}
