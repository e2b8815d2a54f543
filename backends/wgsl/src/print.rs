//! Kernels, statement by statement.

use std::fmt::Write;

use gristmill_kernel::{Axis, Expr, Helper, Kernel, Stmt, Var, VarDecl};

use crate::PrintError;
use crate::expr::Scope;
use crate::names::Names;

/// The WGSL text of a legalised kernel.
///
/// # Errors
/// If the kernel holds something that legalisation should have replaced, or is ill-typed.
pub fn print(kernel: &Kernel) -> Result<String, PrintError> {
    Printer::new(kernel).run().map_err(|message| PrintError { kernel: kernel.name.clone(), message })
}

struct Printer<'a> {
    kernel: &'a Kernel,
    out: String,
    depth: usize,
    names: Names,
    vars: Vec<String>,
    buffers: Vec<String>,
    shared: Vec<String>,
    helpers: Vec<String>,
}

type Done = Result<(), String>;

impl<'a> Printer<'a> {
    fn new(kernel: &'a Kernel) -> Self {
        let mut names = Names::default();
        let buffers = kernel.buffers.iter().map(|b| names.unique(&b.name)).collect();
        let shared = kernel.shared.iter().map(|s| names.unique(&s.name)).collect();
        let helpers = kernel.helpers.iter().map(|h| names.unique(&h.name)).collect();
        let vars = kernel.vars.iter().map(|v| names.unique(&v.name)).collect();
        Printer { kernel, out: String::new(), depth: 0, names, vars, buffers, shared, helpers }
    }

    fn run(mut self) -> Result<String, String> {
        self.header();
        self.memory();
        for (index, helper) in self.kernel.helpers.iter().enumerate() {
            self.helper(index, helper)?;
        }
        self.entry()?;
        Ok(self.out)
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{:indent$}{text}", "", indent = 4 * self.depth);
    }

    fn text(&self, e: &Expr) -> Result<String, String> {
        self.scope(&self.vars).text(e)
    }

    fn scope<'s>(&'s self, vars: &'s [String]) -> Scope<'s> {
        Scope { kernel: self.kernel, vars, buffers: &self.buffers, shared: &self.shared, helpers: &self.helpers }
    }

    fn name(&self, var: Var) -> &str {
        &self.vars[var.0 as usize]
    }

    fn header(&mut self) {
        self.line(&format!("// {}", self.kernel.name));
        for line in &self.kernel.doc {
            self.line(&format!("// {line}"));
        }
        if self.kernel.needs.f16 {
            self.line("enable f16;");
        }
        if self.kernel.needs.subgroups {
            self.line("enable subgroups;");
        }
        self.line("");
    }

    fn memory(&mut self) {
        self.line("struct Symbols {");
        for symbol in &self.kernel.symbols {
            self.line(&format!("    {symbol}: u32,"));
        }
        // Uniform memory comes in multiples of 16 bytes.
        for n in 0..self.kernel.symbols.len().next_multiple_of(4) - self.kernel.symbols.len() {
            self.line(&format!("    pad{n}: u32,"));
        }
        self.line("}");
        self.line("");
        self.line("@group(0) @binding(0) var<uniform> symbols: Symbols;");
        for (i, buffer) in self.kernel.buffers.iter().enumerate() {
            let access = if buffer.writable { "read_write" } else { "read" };
            let text = format!(
                "@group(0) @binding({}) var<storage, {access}> {}: array<{}>;",
                i + 1,
                self.buffers[i],
                buffer.elem
            );
            self.line(&text);
        }
        self.line("");
        for (i, shared) in self.kernel.shared.iter().enumerate() {
            let text = format!("var<workgroup> {}: array<{}, {}>;", self.shared[i], shared.elem, shared.len);
            self.line(&text);
        }
        if !self.kernel.shared.is_empty() {
            self.line("");
        }
    }

    /// A helper has registers of its own; its names need to be unique in it alone.
    fn helper(&mut self, index: usize, helper: &Helper) -> Done {
        for line in &helper.doc {
            self.line(&format!("// {line}"));
        }
        let mut names = Names::default();
        let vars: Vec<String> = helper.vars.iter().map(|v| names.unique(&v.name)).collect();
        let as_kernel =
            Kernel { vars: helper.vars.clone(), helpers: self.kernel.helpers[..index].to_vec(), ..Kernel::default() };
        let result = helper.result.ty(&as_kernel)?;
        let parameter = |(v, decl): (&String, &VarDecl)| format!("{v}: {}", decl.ty);
        let parameters: Vec<String> = vars.iter().zip(&helper.vars).take(helper.params).map(parameter).collect();
        self.line(&format!("fn {}({}) -> {} {{", self.helpers[index], parameters.join(", "), result));
        let scope =
            Scope { kernel: &as_kernel, vars: &vars, buffers: &[], shared: &[], helpers: &self.helpers[..index] };
        let mut lines = Vec::new();
        for stmt in &helper.body {
            lines.push(match stmt {
                Stmt::Comment(text) => format!("// {text}"),
                Stmt::Let(v, e) => format!("let {} = {};", vars[v.0 as usize], scope.text(e)?),
                _ => return Err(format!("helper `{}` holds a statement other than let", helper.name)),
            });
        }
        lines.push(format!("return {};", scope.text(&helper.result)?));
        self.depth = 1;
        for line in lines {
            self.line(&line);
        }
        self.depth = 0;
        self.line("}");
        self.line("");
        Ok(())
    }

    fn entry(&mut self) -> Done {
        self.line(&format!("@compute @workgroup_size({})", self.kernel.workgroup_size()));
        self.line("fn main(");
        self.line("    @builtin(workgroup_id) workgroup_id: vec3<u32>,");
        self.line("    @builtin(num_workgroups) num_workgroups: vec3<u32>,");
        self.line("    @builtin(local_invocation_index) thread_index: u32,");
        if self.kernel.needs.subgroups {
            self.line("    @builtin(subgroup_invocation_id) lane_id: u32,");
            self.line("    @builtin(subgroup_size) lane_count: u32,");
        }
        self.line(") {");
        self.depth = 1;
        self.grid()?;
        self.split("thread_index", &self.kernel.group)?;
        self.block(&self.kernel.body)?;
        self.depth = 0;
        self.line("}");
        Ok(())
    }

    /// Finds the position in the grid; workgroups beyond its end have nothing to do.
    fn grid(&mut self) -> Done {
        let extents: Vec<String> =
            self.kernel.grid.iter().map(|a| self.scope(&self.vars).text(&a.extent)).collect::<Result<_, _>>()?;
        self.line("let position = workgroup_id.x + workgroup_id.y * num_workgroups.x;");
        let size = match extents.len() {
            0 => "1u".to_string(),
            1 => extents[0].clone(),
            _ => extents.iter().map(|e| format!("({e})")).collect::<Vec<_>>().join(" * "),
        };
        self.line(&format!("if (position >= {size}) {{ return; }}"));
        self.split("position", &self.kernel.grid)
    }

    /// Splits a number into axes, the last the fastest.
    fn split(&mut self, whole: &str, axes: &[Axis]) -> Done {
        let mut rest = whole.to_string();
        let mut lines = Vec::new();
        for (i, axis) in axes.iter().enumerate().rev() {
            let name = self.name(axis.var).to_string();
            if i == 0 {
                lines.push(format!("let {name} = {rest};"));
                continue;
            }
            let extent = self.text(&axis.extent)?;
            let extent = if extent.contains(' ') { format!("({extent})") } else { extent };
            lines.push(format!("let {name} = {rest} % {extent};"));
            if rest == whole && i == 1 {
                rest = format!("{whole} / {extent}");
            } else {
                let left = self.names.unique(&format!("{whole}_rest"));
                lines.push(format!("let {left} = {} / {extent};", rest));
                rest = left;
            }
        }
        for line in lines {
            self.line(&line);
        }
        Ok(())
    }

    fn block(&mut self, stmts: &[Stmt]) -> Done {
        stmts.iter().try_for_each(|s| self.stmt(s))
    }

    fn nested(&mut self, stmts: &[Stmt]) -> Done {
        self.depth += 1;
        self.block(stmts)?;
        self.depth -= 1;
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt) -> Done {
        let text = match stmt {
            Stmt::Comment(text) => format!("// {text}"),
            Stmt::Let(v, e) => format!("let {} = {};", self.name(*v), self.text(e)?),
            Stmt::Mut(v, e) => format!("var {} = {};", self.name(*v), self.text(e)?),
            Stmt::Assign(v, e) => self.assign(*v, e)?,
            Stmt::AssignLane(v, lane, e) => {
                let lane = ["x", "y", "z", "w"].get(usize::from(*lane)).ok_or("a vector has four lanes at most")?;
                format!("{}.{lane} = {};", self.name(*v), self.text(e)?)
            }
            Stmt::Store(buf, index, value) => {
                format!("{}[{}] = {};", self.buffers[buf.0 as usize], self.text(index)?, self.text(value)?)
            }
            Stmt::StoreShared(sh, index, value) => {
                format!("{}[{}] = {};", self.shared[sh.0 as usize], self.text(index)?, self.text(value)?)
            }
            Stmt::Barrier => "workgroupBarrier();".to_string(),
            Stmt::GroupReduce(..) => return Err("a group reduction was not legalised".into()),
            Stmt::Loop { axis, var, begin, end, step, body, .. } => {
                let name = self.name(*var).to_string();
                let step = match step.as_u32() {
                    Some(1) => format!("{name}++"),
                    _ => format!("{name} += {}", self.text(step)?),
                };
                self.line(&format!("// every {}", axis.replace('_', " ")));
                let (begin, end) = (self.text(begin)?, self.text(end)?);
                self.line(&format!("for (var {name} = {begin}; {name} < {end}; {step}) {{"));
                self.nested(body)?;
                "}".to_string()
            }
            Stmt::If(condition, then, otherwise) => {
                let condition = self.text(condition)?;
                self.line(&format!("if ({condition}) {{"));
                self.nested(then)?;
                if !otherwise.is_empty() {
                    self.line("} else {");
                    self.nested(otherwise)?;
                }
                "}".to_string()
            }
        };
        self.line(&text);
        Ok(())
    }

    /// `x += e` where it says the same as `x = x + e`.
    fn assign(&self, var: Var, e: &Expr) -> Result<String, String> {
        use gristmill_graph::Binary;
        let name = self.name(var);
        if let Expr::Binary(op @ (Binary::Add | Binary::Sub | Binary::Mul), a, b) = e
            && **a == Expr::Var(var)
        {
            let sign = match op {
                Binary::Add => "+",
                Binary::Sub => "-",
                _ => "*",
            };
            return Ok(format!("{name} {sign}= {};", self.text(b)?));
        }
        Ok(format!("{name} = {};", self.text(e)?))
    }
}
