//! A kernel under construction: its builder, the memory that it binds, and the graph that it computes.

use gristmill_graph::{NodeId, Op};
use gristmill_kernel::{Bind, Buf, Builder, Expr, Type, u};

use super::context::{Built, Lowering, Place};
use super::grid::{Count, grid_size};
use crate::error::CompileError;
use crate::profile::CAPACITY;

/// An element of a node: its index and, where the caller has it at hand, its row-major position.
#[derive(Clone, Debug)]
pub struct At {
    /// One expression (u32) per axis.
    pub index: Vec<Expr>,
    /// `flatten(index)`, if it is already computed.
    pub flat: Option<Expr>,
}

impl At {
    /// An element given by its index only.
    pub fn index(index: Vec<Expr>) -> Self {
        At { index, flat: None }
    }
}

/// A kernel under construction, with the memory that it binds.
pub struct Ctx<'a> {
    /// The entry that it belongs to.
    pub low: &'a Lowering<'a>,
    /// The builder of the kernel.
    pub b: Builder,
    /// The memory of each buffer, in binding order.
    pub places: Vec<Place>,
    bound: Vec<(Place, Type, Buf)>,
    names: Vec<String>,
    /// The first error. Loop bodies are closures that cannot return it, so it is kept until [`Ctx::built`].
    failed: Option<CompileError>,
}

impl<'a> Ctx<'a> {
    /// Starts a kernel.
    pub fn new(low: &'a Lowering<'a>, name: &str) -> Self {
        let mut b = Builder::new(name);
        for symbol in &low.setting.model.symbols {
            b.bound_symbol(&symbol.name, u32::try_from(symbol.max).unwrap_or(u32::MAX));
        }
        Ctx { low, b, places: Vec::new(), bound: Vec::new(), names: Vec::new(), failed: None }
    }

    /// Takes the builder out, so that its closures can receive this context with the builder put back.
    pub(crate) fn take_builder(&mut self) -> Builder {
        std::mem::replace(&mut self.b, Builder::new(""))
    }

    /// A loop; see [`Builder::for_`].
    pub fn for_(
        &mut self,
        axis: &str,
        (begin, end, step): (Expr, Expr, u32),
        bind: Bind,
        body: impl FnOnce(&mut Self, Expr),
    ) {
        let mut b = self.take_builder();
        b.for_(axis, begin, end, u(step), bind, |b, position| {
            std::mem::swap(&mut self.b, b);
            body(self, position);
            std::mem::swap(&mut self.b, b);
        });
        self.b = b;
    }

    /// A conditional; see [`Builder::if_`].
    pub fn if_(&mut self, condition: Expr, then: impl FnOnce(&mut Self)) {
        let mut b = self.take_builder();
        b.if_(condition, |b| {
            std::mem::swap(&mut self.b, b);
            then(self);
            std::mem::swap(&mut self.b, b);
        });
        self.b = b;
    }

    /// The value; or, on an error, `placeholder` in a kernel that [`Ctx::built`] will reject with the first error.
    pub(super) fn settle(&mut self, value: Result<Expr, CompileError>, placeholder: Expr) -> Expr {
        value.unwrap_or_else(|error| {
            self.fail(error);
            placeholder
        })
    }

    /// Makes [`Ctx::built`] return this error, unless an earlier one is recorded.
    pub(super) fn fail(&mut self, error: CompileError) {
        self.failed.get_or_insert(error);
    }

    /// The finished kernel and its grid.
    ///
    /// # Errors
    /// An internal error if a part of the kernel could not be built, or if the kernel is ill-typed.
    pub fn built(self, grid: &[Count]) -> Result<Built, CompileError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut symbols: Vec<String> = self.low.setting.model.symbols.iter().map(|s| s.name.clone()).collect();
        symbols.push(CAPACITY.to_string());
        let kernel = self.b.finish(&symbols).map_err(CompileError::Internal)?;
        Ok(Built { kernel, places: self.places, grid: grid_size(grid) })
    }

    /// Binds memory for reading, as elements of type `elem`. Binding the same memory with the same type again returns
    /// the same buffer.
    pub fn read(&mut self, place: Place, elem: Type, name: &str) -> Buf {
        if let Some((_, _, buf)) = self.bound.iter().find(|(p, e, _)| *p == place && *e == elem) {
            return *buf;
        }
        self.bind(place, elem, name, false)
    }

    /// Binds memory for writing.
    pub fn write(&mut self, place: Place, elem: Type, name: &str) -> Buf {
        self.bind(place, elem, name, true)
    }

    fn bind(&mut self, place: Place, elem: Type, name: &str, writable: bool) -> Buf {
        let mut unique = name.to_string();
        let mut n = 2;
        while self.names.contains(&unique) {
            unique = format!("{name}_{n}");
            n += 1;
        }
        self.names.push(unique.clone());
        let buf = self.b.buffer(&unique, elem, writable);
        self.places.push(place);
        self.bound.push((place, elem, buf));
        buf
    }

    /// A name for a constant array, independent of the path of its node.
    pub(super) fn table_name(&self, id: NodeId) -> String {
        let label = self.label(id);
        if label.starts_with('v') && label[1..].chars().all(|c| c.is_ascii_digit()) { "table".into() } else { label }
    }

    /// A short name for a node: the last part of its path. A stored weight has its own name.
    pub fn label(&self, id: NodeId) -> String {
        let node = self.low.graph.node(id);
        if node.op == Op::Dequantize { self.label(node.inputs[0]) } else { label(&node.path) }
    }
}

/// The last part of a path, as an identifier. Parts of a split weight have the name of that weight.
pub fn label(path: &str) -> String {
    let whole = path.split('[').next().unwrap_or(path);
    let last = whole.rsplit(['.', '/']).next().unwrap_or(whole);
    let clean: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match clean.chars().next() {
        Some(c) if c.is_ascii_alphabetic() => clean,
        _ => format!("v{clean}"),
    }
}
