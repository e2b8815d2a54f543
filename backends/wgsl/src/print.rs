//! Prints kernels, statement by statement.

use std::fmt::Write;

use gristmill_graph::Binary;
use gristmill_kernel::types::type_of;
use gristmill_kernel::{Axis, Expr, Kernel, Stmt, Var};

use crate::error::PrintError;
use crate::expr::{Scope, float};
use crate::names::Names;

/// The WGSL text of a legalized kernel.
///
/// # Errors
/// If the kernel has something that legalization should have replaced, or is ill-typed.
pub fn print(kernel: &Kernel) -> Result<String, PrintError> {
    Printer::new(kernel).run().map_err(|message| PrintError { kernel: kernel.name.clone(), message })
}

struct Printer<'a> {
    kernel: &'a Kernel,
    out: String,
    depth: usize,
    names: Names,
    /// Names of registers, assigned at their declaration.
    vars: Vec<String>,
    buffers: Vec<String>,
    shared: Vec<String>,
    tables: Vec<String>,
    constants: Vec<(&'static str, u32, String)>,
    helpers: Vec<String>,
    thread: String,
}

type Done = Result<(), String>;

/// The built-in values that the body reads.
#[derive(Default)]
struct Uses {
    vars: Vec<bool>,
    /// Named literals, without duplicates.
    constants: Vec<(&'static str, u32)>,
    thread: bool,
    subgroup_lane: bool,
    subgroup_size: bool,
}

impl Uses {
    fn of(kernel: &Kernel) -> Self {
        let mut uses = Uses { vars: vec![false; kernel.vars.len()], ..Uses::default() };
        kernel.for_each_expr(&mut |e| {
            e.any(&mut |e| {
                match e {
                    Expr::Var(v) => {
                        if let Some(used) = uses.vars.get_mut(v.0 as usize) {
                            *used = true;
                        }
                    }
                    Expr::Named(name, value) if !uses.constants.contains(&(*name, *value)) => {
                        uses.constants.push((*name, *value));
                    }
                    Expr::LocalIndex => uses.thread = true,
                    Expr::SubgroupLane => uses.subgroup_lane = true,
                    Expr::SubgroupSize => uses.subgroup_size = true,
                    _ => {}
                }
                false
            });
        });
        uses.thread |= kernel.group.iter().any(|axis| uses.var(axis.var));
        uses
    }

    fn var(&self, var: Var) -> bool {
        self.vars.get(var.0 as usize).is_some_and(|used| *used)
    }
}

impl<'a> Printer<'a> {
    fn new(kernel: &'a Kernel) -> Self {
        let mut names = Names::new();
        let buffers = kernel.buffers.iter().map(|b| names.unique(&b.name)).collect();
        let shared = kernel.shared.iter().map(|s| names.unique(&s.name)).collect();
        let tables = kernel.tables.iter().map(|t| names.unique(&t.name)).collect();
        let mut constants = Uses::of(kernel).constants;
        constants.sort_by_key(|(_, value)| *value);
        let constants = constants.into_iter().map(|(name, value)| (name, value, names.unique(name))).collect();
        let helpers = kernel.helpers.iter().map(|h| names.unique(&h.name)).collect();
        let vars = vec![String::new(); kernel.vars.len()];
        Printer {
            kernel,
            out: String::new(),
            depth: 0,
            names,
            vars,
            buffers,
            shared,
            tables,
            constants,
            helpers,
            thread: String::new(),
        }
    }

    fn run(mut self) -> Result<String, String> {
        self.header();
        self.memory();
        self.constants();
        self.tables()?;
        for index in 0..self.kernel.helpers.len() {
            self.helper(index)?;
        }
        self.entry()?;
        Ok(self.out)
    }

    fn line(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        let indent = if text.is_empty() { 0 } else { 4 * self.depth };
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{:indent$}{text}", "");
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            kernel: self.kernel,
            decls: &self.kernel.vars,
            vars: &self.vars,
            buffers: &self.buffers,
            shared: &self.shared,
            tables: &self.tables,
            constants: &self.constants,
            helpers: &self.helpers,
            thread: &self.thread,
        }
    }

    fn text(&self, e: &Expr) -> Result<String, String> {
        self.scope().text(e)
    }

    /// Assigns a name to a register at its declaration.
    fn declare(&mut self, var: Var) -> Result<String, String> {
        let decl = self.kernel.vars.get(var.0 as usize).ok_or_else(|| format!("no register {}", var.0))?;
        let name = self.names.unique(&decl.name);
        self.vars[var.0 as usize] = name.clone();
        Ok(name)
    }

    fn name(&self, var: Var) -> &str {
        self.vars.get(var.0 as usize).map_or("", String::as_str)
    }

    fn header(&mut self) {
        self.line(format!("// {}", self.kernel.name));
        self.kernel.doc.iter().for_each(|line| self.line(format!("// {line}")));
        if self.kernel.needs.subgroups {
            self.line("enable subgroups;");
        }
        self.line("");
    }

    fn memory(&mut self) {
        let kernel = self.kernel;
        self.line("struct Symbols {");
        kernel.symbols.iter().for_each(|symbol| self.line(format!("    {symbol}: u32,")));
        // The size of uniform memory is a multiple of 16 bytes, and a struct must not be empty.
        let words = kernel.symbols.len().max(1).next_multiple_of(4);
        (0..words - kernel.symbols.len()).for_each(|n| self.line(format!("    pad{n}: u32,")));
        self.line("}");
        self.line("");
        self.line("@group(0) @binding(0) var<uniform> symbols: Symbols;");
        for (i, buffer) in kernel.buffers.iter().enumerate() {
            let access = if buffer.writable { "read_write" } else { "read" };
            let (binding, name, elem) = (i + 1, &self.buffers[i], buffer.elem);
            self.line(format!("@group(0) @binding({binding}) var<storage, {access}> {name}: array<{elem}>;"));
        }
        self.line("");
        for (i, shared) in kernel.shared.iter().enumerate() {
            self.line(format!("var<workgroup> {}: array<{}, {}>;", self.shared[i], shared.elem, shared.len));
        }
        if !kernel.shared.is_empty() {
            self.line("");
        }
    }

    fn constants(&mut self) {
        let lines: Vec<String> =
            self.constants.iter().map(|(_, value, name)| format!("const {name} = {value}u;")).collect();
        lines.iter().for_each(|line| self.line(line));
        if !lines.is_empty() {
            self.line("");
        }
    }

    /// Prints constant arrays, a few elements per line.
    fn tables(&mut self) -> Done {
        for (i, table) in self.kernel.tables.iter().enumerate() {
            let values = table.values.iter().map(|x| float(*x)).collect::<Result<Vec<_>, _>>()?;
            self.line(format!("const {} = array<f32, {}>(", self.tables[i], values.len()));
            values.chunks(8).for_each(|few| self.line(format!("    {},", few.join(", "))));
            self.line(");");
            self.line("");
        }
        Ok(())
    }

    /// Prints a helper, which has registers of its own.
    fn helper(&mut self, index: usize) -> Done {
        let (kernel, helper) = (self.kernel, &self.kernel.helpers[index]);
        // It cannot access memory, so its names may equal those of buffers.
        let mut names = Names::new();
        self.helpers.iter().for_each(|name| drop(names.unique(name)));
        let vars: Vec<String> = helper.vars.iter().map(|v| names.unique(&v.name)).collect();
        let scope = Scope {
            kernel,
            decls: &helper.vars,
            vars: &vars,
            buffers: &[],
            shared: &[],
            tables: &[],
            constants: &[],
            helpers: &self.helpers[..index],
            thread: "",
        };
        let params = vars.iter().zip(&helper.vars).take(helper.params);
        let params = params.map(|(name, decl)| format!("{name}: {}", decl.ty)).collect::<Vec<_>>().join(", ");
        let result = type_of(&helper.result, kernel, &helper.vars)?;
        let mut lines: Vec<String> = helper.doc.iter().map(|line| format!("// {line}")).collect();
        lines.push(format!("fn {}({params}) -> {result} {{", self.helpers[index]));
        for stmt in &helper.body {
            lines.push(match stmt {
                Stmt::Comment(text) => format!("    // {text}"),
                Stmt::Let(v, e) => format!("    let {} = {};", vars[v.0 as usize], scope.text(e)?),
                _ => return Err(format!("helper `{}` holds a statement other than let", helper.name)),
            });
        }
        lines.push(format!("    return {};", scope.text(&helper.result)?));
        lines.extend(["}".to_string(), String::new()]);
        lines.iter().for_each(|line| self.line(line));
        Ok(())
    }

    fn entry(&mut self) -> Done {
        let uses = Uses::of(self.kernel);
        let (grid, group) = (&self.kernel.grid, &self.kernel.group);
        self.names.open();
        self.thread = match group.as_slice() {
            [only] => self.declare(only.var)?,
            _ => self.names.unique("thread"),
        };
        let mut params = Vec::new();
        if !grid.is_empty() {
            params.push("@builtin(workgroup_id) workgroup_id: vec3<u32>".to_string());
            params.push("@builtin(num_workgroups) num_workgroups: vec3<u32>".to_string());
        }
        if uses.thread {
            params.push(format!("@builtin(local_invocation_index) {}: u32", self.thread));
        }
        if uses.subgroup_lane {
            params.push("@builtin(subgroup_invocation_id) lane_id: u32".to_string());
        }
        if uses.subgroup_size {
            params.push("@builtin(subgroup_size) lane_count: u32".to_string());
        }
        self.line(format!("@compute @workgroup_size({})", self.kernel.workgroup_size()));
        if params.is_empty() {
            self.line("fn main() {");
        } else {
            self.line("fn main(");
            params.iter().for_each(|param| self.line(format!("    {param},")));
            self.line(") {");
        }
        self.depth = 1;
        self.grid()?;
        if group.len() > 1 {
            let thread = self.thread.clone();
            self.split(&thread, group, &uses)?;
        }
        self.block(&self.kernel.body)?;
        self.depth = 0;
        self.line("}");
        Ok(())
    }

    /// Prints the computation of the grid index; workgroups past the end return.
    fn grid(&mut self) -> Done {
        let grid = &self.kernel.grid;
        let number = "workgroup_id.x + workgroup_id.y * num_workgroups.x";
        let size = match grid.as_slice() {
            [] => return Ok(()),
            [only] => self.scope().operand(&only.extent)?,
            all => {
                let extents: Vec<String> =
                    all.iter().map(|axis| self.scope().factor(&axis.extent)).collect::<Result<_, _>>()?;
                extents.join(" * ")
            }
        };
        let position = match grid.as_slice() {
            [only] => self.declare(only.var)?,
            _ => self.names.unique("position"),
        };
        self.line(format!("let {position} = {number};"));
        self.line(format!("if ({position} >= {size}) {{"));
        self.line("    return;");
        self.line("}");
        if grid.len() > 1 {
            let uses = Uses::of(self.kernel);
            self.split(&position, grid, &uses)?;
        }
        Ok(())
    }

    /// Prints the split of an index into axes, the last one fastest; only those that are used.
    fn split(&mut self, whole: &str, axes: &[Axis], uses: &Uses) -> Done {
        for (i, axis) in axes.iter().enumerate() {
            if !uses.var(axis.var) {
                continue;
            }
            let faster: Vec<String> =
                axes[i + 1..].iter().map(|axis| self.scope().factor(&axis.extent)).collect::<Result<_, _>>()?;
            let quotient = match faster.as_slice() {
                [] => whole.to_string(),
                [only] => format!("{whole} / {only}"),
                many => format!("{whole} / ({})", many.join(" * ")),
            };
            let extent = self.scope().factor(&axis.extent)?;
            let name = self.declare(axis.var)?;
            let slowest = axes[..i].iter().all(|axis| axis.extent == Expr::U32(1));
            let value = if slowest { quotient } else { format!("{quotient} % {extent}") };
            self.line(format!("let {name} = {value};"));
        }
        Ok(())
    }

    /// Prints statements, with blank lines around loops and before comments.
    fn block(&mut self, stmts: &[Stmt]) -> Done {
        let mut before: Option<&Stmt> = None;
        for stmt in stmts {
            let apart = |s: &Stmt| matches!(s, Stmt::Comment(_) | Stmt::Loop { .. });
            let told = matches!(before, Some(Stmt::Comment(_)));
            if before.is_some_and(|b| apart(stmt) || matches!(b, Stmt::Loop { .. })) && !told {
                self.line("");
            }
            self.stmt(stmt)?;
            before = Some(stmt);
        }
        Ok(())
    }

    fn nested(&mut self, stmts: &[Stmt]) -> Done {
        self.depth += 1;
        self.names.open();
        self.block(stmts)?;
        self.names.close();
        self.depth -= 1;
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt) -> Done {
        let text = match stmt {
            Stmt::Comment(text) => format!("// {text}"),
            Stmt::Let(v, e) => {
                let value = self.text(e)?;
                format!("let {} = {value};", self.declare(*v)?)
            }
            Stmt::Mut(v, e) => {
                let value = self.text(e)?;
                format!("var {} = {value};", self.declare(*v)?)
            }
            Stmt::Assign(v, e) => self.assign(*v, e)?,
            Stmt::Store(buf, i, e) => {
                let place = Expr::Load(*buf, Box::new(i.clone()));
                format!("{} = {};", self.text(&place)?, self.text(e)?)
            }
            Stmt::StoreShared(sh, i, e) => {
                let place = Expr::LoadShared(*sh, Box::new(i.clone()));
                format!("{} = {};", self.text(&place)?, self.text(e)?)
            }
            Stmt::Barrier => "workgroupBarrier();".to_string(),
            Stmt::GroupReduce(..) => return Err("a group reduction was not legalised".into()),
            Stmt::Loop { var, begin, end, step, body, .. } => {
                let (begin, end) = (self.text(begin)?, self.scope().operand(end)?);
                let step = match step {
                    Expr::U32(1) => None,
                    step => Some(self.text(step)?),
                };
                self.names.open();
                let name = self.declare(*var)?;
                let step = step.map_or_else(|| format!("{name}++"), |step| format!("{name} += {step}"));
                self.line(format!("for (var {name} = {begin}; {name} < {end}; {step}) {{"));
                self.nested(body)?;
                self.names.close();
                "}".to_string()
            }
            Stmt::If(condition, then, otherwise) => return self.conditional("if", condition, then, otherwise),
        };
        self.line(text);
        Ok(())
    }

    fn conditional(&mut self, keyword: &str, condition: &Expr, then: &[Stmt], otherwise: &[Stmt]) -> Done {
        let condition = self.text(condition)?;
        self.line(format!("{keyword} ({condition}) {{"));
        self.nested(then)?;
        match otherwise {
            [] => {}
            [Stmt::If(condition, then, otherwise)] => {
                return self.conditional("} else if", condition, then, otherwise);
            }
            otherwise => {
                self.line("} else {");
                self.nested(otherwise)?;
            }
        }
        self.line("}");
        Ok(())
    }

    /// Prints `x += e` where it means the same as `x = x + e`.
    fn assign(&self, var: Var, e: &Expr) -> Result<String, String> {
        let name = self.name(var);
        if let Expr::Binary(op, a, b) = e
            && **a == Expr::Var(var)
        {
            let sign = match op {
                Binary::Add => Some("+="),
                Binary::Sub => Some("-="),
                Binary::Mul => Some("*="),
                Binary::Div => Some("/="),
                _ => None,
            };
            if let Some(sign) = sign {
                return Ok(format!("{name} {sign} {};", self.text(b)?));
            }
        }
        Ok(format!("{name} = {};", self.text(e)?))
    }
}
