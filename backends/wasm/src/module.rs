//! Assembles modules: imports and exports, constants, and the order of sections.

use std::collections::HashMap;

use gristmill_kernel::{Expr, Helper, Kernel, Stmt, Table};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, IndirectNameMap, MemoryType, Module, NameMap,
    NameSection, RefType, TableSection, TableType, TypeSection, ValType,
};

use crate::code::Coder;
use crate::driver::{self, Places};
use crate::error::PrintError;
use crate::lower::{Lower, PARAMS, World, scratch, ty};
use crate::node::Ty;
use crate::variant::Variant;

/// The address of the first constant. Nothing is below it, so address 0 is always a bug.
const FIRST: u32 = 1024;
/// Maximum number of 64 KiB pages of a memory.
const MOST_PAGES: u64 = 65536;
/// The alignment of what the host allocates, in bytes.
const ALIGN: u32 = 64;

/// Constant arrays in memory, without duplicates.
#[derive(Default)]
struct Constants {
    bytes: Vec<u8>,
    known: HashMap<Vec<u32>, u32>,
}

impl Constants {
    fn place(&mut self, table: &Table) {
        let bits: Vec<u32> = table.values.iter().map(|x| x.to_bits()).collect();
        if !self.known.contains_key(&bits) {
            let at = FIRST + self.bytes.len() as u32;
            self.bytes.extend(bits.iter().flat_map(|b| b.to_le_bytes()));
            self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
            self.known.insert(bits, at);
        }
    }

    fn at(&self, table: &Table) -> u32 {
        let bits: Vec<u32> = table.values.iter().map(|x| x.to_bits()).collect();
        self.known.get(&bits).copied().unwrap_or(FIRST)
    }
}

/// The sections of an unfinished module.
struct Parts<'k> {
    variant: Variant,
    constants: Constants,
    types: TypeSection,
    /// Type of each function.
    signatures: Vec<u32>,
    code: CodeSection,
    names: NameMap,
    locals: IndirectNameMap,
    /// Helper functions, by their definition including the functions that they call.
    helpers: HashMap<String, u32>,
    kernels: &'k [Kernel],
}

const KERNEL_TYPE: u32 = 0;
const RUN_TYPE: u32 = 1;
const PAIR_TYPE: u32 = 2;
const SERVE_TYPE: u32 = 3;

/// A WebAssembly module with these kernels, in this order in its function table. Their names must be unique, and they
/// must be legalized for [`gristmill_kernel::Caps::CPU`].
///
/// # Errors
/// If a kernel has something that cannot be expressed in WebAssembly, which is a bug of the caller.
pub fn print(kernels: &[Kernel], variant: Variant) -> Result<Vec<u8>, PrintError> {
    let mut parts = Parts {
        variant,
        constants: Constants::default(),
        types: TypeSection::new(),
        signatures: Vec::new(),
        code: CodeSection::new(),
        names: NameMap::new(),
        locals: IndirectNameMap::new(),
        helpers: HashMap::new(),
        kernels,
    };
    parts.types.ty().function([ValType::I32; PARAMS as usize], []);
    parts.types.ty().function([ValType::I32], [ValType::I32]);
    parts.types.ty().function([ValType::I32; 2], [ValType::I32]);
    parts.types.ty().function([ValType::I32; 2], []);
    kernels.iter().flat_map(|k| &k.tables).for_each(|t| parts.constants.place(t));
    let mut called = Vec::new();
    for kernel in kernels {
        let fail = |message: String| PrintError { kernel: kernel.name.clone(), message };
        called.push(parts.helpers_of(kernel).map_err(fail)?);
    }
    let first = parts.signatures.len() as u32;
    for (kernel, helpers) in kernels.iter().zip(&called) {
        parts.kernel(kernel, helpers).map_err(|message| PrintError { kernel: kernel.name.clone(), message })?;
    }
    let scratch_bytes = kernels.iter().map(|k| scratch(k).1).max().unwrap_or(0).next_multiple_of(ALIGN);
    let exports = parts.driver(scratch_bytes);
    Ok(parts.finish(first, scratch_bytes, &exports))
}

impl Parts<'_> {
    fn add(&mut self, ty: u32, name: &str, function: &Function) -> u32 {
        self.signatures.push(ty);
        self.code.function(function);
        let index = self.signatures.len() as u32 - 1;
        self.names.append(index, name);
        index
    }

    /// The functions of the helpers of a kernel.
    fn helpers_of(&mut self, kernel: &Kernel) -> Result<Vec<u32>, String> {
        let mut functions: Vec<u32> = Vec::new();
        for (index, helper) in kernel.helpers.iter().enumerate() {
            let key = format!("{:?}", with_functions(helper, &functions));
            if let Some(function) = self.helpers.get(&key) {
                functions.push(*function);
                continue;
            }
            let constants = &self.constants;
            let world = World { relaxed: self.variant.relaxed, table_at: &|t| constants.at(t), helpers: &functions };
            let (lower, result, of) = Lower::helper(kernel, index, &world)?;
            let mut coder = Coder::new(&lower.graph, helper.params as u32, lower.locals);
            coder.value(result);
            let code = coder.finish();
            let params = helper.vars[..helper.params].iter().map(|v| ty(v.ty).map(Ty::val));
            let params = params.collect::<Result<Vec<_>, _>>()?;
            self.types.ty().function(params, [of.val()]);
            let signature = self.types.len() - 1;
            let function = self.add(signature, &helper.name, &code);
            self.helpers.insert(key, function);
            functions.push(function);
        }
        Ok(functions)
    }

    fn kernel(&mut self, kernel: &Kernel, helpers: &[u32]) -> Result<(), String> {
        let constants = &self.constants;
        let world = World { relaxed: self.variant.relaxed, table_at: &|t| constants.at(t), helpers };
        let (lower, body) = Lower::kernel(kernel, &world)?;
        let mut coder = Coder::new(&lower.graph, PARAMS, lower.locals);
        coder.block(&body);
        let code = coder.finish();
        let mut names = NameMap::new();
        let params = (0u32..).zip(["args", "begin", "end", "scratch"].map(String::from));
        params.chain(lower.names).for_each(|(local, name)| names.append(local, &name));
        let index = self.add(KERNEL_TYPE, &kernel.name, &code);
        self.locals.append(index, &names);
        Ok(())
    }

    /// Adds the functions that run programs; returns those that are exported.
    fn driver(&mut self, scratch_bytes: u32) -> Vec<(&'static str, u32)> {
        let threads = self.variant.threads;
        let next = self.signatures.len() as u32;
        let places = Places { kernel_type: KERNEL_TYPE, work: next, barrier: next + 1 };
        self.add(PAIR_TYPE, "work", &driver::work(&places, scratch_bytes, threads));
        if threads {
            self.add(PAIR_TYPE, "barrier", &driver::barrier());
        }
        let mut exports = vec![("run", self.add(RUN_TYPE, "run", &driver::run(&places, threads)))];
        if threads {
            exports.push(("serve", self.add(SERVE_TYPE, "serve", &driver::serve(&places))));
        }
        exports
    }

    fn finish(self, first: u32, scratch_bytes: u32, driver: &[(&str, u32)]) -> Vec<u8> {
        let heap_base = (FIRST + self.constants.bytes.len() as u32).next_multiple_of(ALIGN);
        let mut imports = ImportSection::new();
        let memory = MemoryType {
            minimum: u64::from(heap_base).div_ceil(65536),
            maximum: Some(MOST_PAGES),
            memory64: false,
            shared: self.variant.threads,
            page_size_log2: None,
        };
        imports.import("gristmill", "memory", EntityType::Memory(memory));
        let mut functions = FunctionSection::new();
        for ty in &self.signatures {
            functions.function(*ty);
        }
        let count = self.kernels.len() as u64;
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: count,
            maximum: Some(count),
            shared: false,
        });
        let mut globals = GlobalSection::new();
        let constant = GlobalType { val_type: ValType::I32, mutable: false, shared: false };
        globals.global(constant, &ConstExpr::i32_const(heap_base as i32));
        globals.global(constant, &ConstExpr::i32_const(scratch_bytes as i32));
        let mut exports = ExportSection::new();
        exports.export("heap_base", ExportKind::Global, 0).export("scratch_bytes", ExportKind::Global, 1);
        for (name, index) in driver {
            exports.export(name, ExportKind::Func, *index);
        }
        for (index, kernel) in (first..).zip(self.kernels) {
            exports.export(&kernel.name, ExportKind::Func, index);
        }
        let mut elements = ElementSection::new();
        let table: Vec<u32> = (first..first + count as u32).collect();
        elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(table.into()));
        let mut names = NameSection::new();
        names.functions(&self.names);
        names.locals(&self.locals);
        let mut module = Module::new();
        module.section(&self.types).section(&imports).section(&functions).section(&tables).section(&globals);
        module.section(&exports).section(&elements).section(&self.code);
        if !self.constants.bytes.is_empty() {
            let mut data = DataSection::new();
            data.active(0, &ConstExpr::i32_const(FIRST as i32), self.constants.bytes.iter().copied());
            module.section(&data);
        }
        module.section(&names);
        module.finish()
    }
}

/// A helper with calls replaced by function indices, so that equal definitions are equal functions.
fn with_functions(helper: &Helper, functions: &[u32]) -> Helper {
    fn replace(e: Expr, functions: &[u32]) -> Expr {
        match e.map_parts(&mut |part| replace(part, functions)) {
            Expr::Call(n, args) => Expr::Call(functions.get(n as usize).copied().unwrap_or(u32::MAX), args),
            other => other,
        }
    }
    let mut helper = helper.clone();
    for stmt in &mut helper.body {
        if let Stmt::Let(_, e) = stmt {
            *e = replace(e.clone(), functions);
        }
    }
    helper.result = replace(helper.result, functions);
    helper
}
