//! Parsing and rendering a template.

use std::rc::Rc;

use crate::ast::{Block, Body};
use crate::fault::{Error, Res, fail};
use crate::interp::Interp;
use crate::value::Value;
use crate::{json, parser};

/// A parsed template.
pub(crate) struct Template {
    file: String,
    body: Body,
    blocks: Vec<Rc<Block>>,
}

impl Template {
    /// Parses a template.
    pub(crate) fn parse(file: &str, source: &str) -> Result<Self, Error> {
        let (body, blocks) = parser::parse(source).map_err(|fault| fault.at(file, 0))?;
        Ok(Template { file: file.to_string(), body, blocks })
    }

    /// Renders the template with these variables.
    pub(crate) fn render(&self, variables: Vec<(Rc<str>, Value)>, now: i64) -> Result<String, Error> {
        let mut interp = Interp::new(&self.blocks, variables, now);
        let root = interp.root.clone();
        interp.scopes.push(root.clone());
        match interp.body(&self.body, &root) {
            Ok(_) => Ok(std::mem::take(&mut interp.out)),
            Err(fault) => Err(fault.at(&self.file, interp.line)),
        }
    }
}

/// The entries of a JSON object.
pub(crate) fn object(text: &str) -> Res<Vec<(Rc<str>, Value)>> {
    let Value::Dict(dict) = json::parse(text)? else { return fail("JSON: not an object") };
    let name = |key: &Value| match key {
        Value::Str(s) => s.text.clone(),
        _ => "".into(),
    };
    Ok(dict.entries.iter().map(|(k, v)| (name(k), v.clone())).collect())
}

/// Runs on a stack that is large enough for the deepest template; the caller's may be small.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn with_stack<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    const STACK: usize = 64 << 20;
    let failed = |message: String| Error { kind: crate::fault::Kind::Limit, file: String::new(), line: 0, message };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("chat template".into()).stack_size(STACK);
        let thread =
            thread.spawn_scoped(scope, work).map_err(|e| failed(format!("no thread for the template: {e}")))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// In a page there is one stack. An overflow is a WebAssembly error, which the page reports.
#[cfg(target_family = "wasm")]
pub(crate) fn with_stack<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    work()
}
