//! Inputs that index the rows of tables, such as token ids: the number of rows, and whether the tokenizer stays within
//! it.

use gristmill_graph::{DType, Model, Op};

use crate::error::CompileError;
use crate::hf::tokenizer::{FILE, Tokenizer};

/// For each input, the number of rows of the smallest table that it indexes; `None` if it is used for anything else.
pub(crate) fn of_inputs(model: &Model) -> Vec<Option<u32>> {
    let mut rows: Vec<Option<u32>> = vec![None; model.inputs.len()];
    for node in model.graph.nodes.iter().filter(|node| node.op == Op::Gather) {
        let [table, indices] = node.inputs[..] else { continue };
        let Op::Input(input) = model.graph.node(indices).op else { continue };
        let size = model.graph.node(table).shape.first().and_then(|dim| u32::try_from(dim.as_const()?).ok());
        let known = &mut rows[input as usize];
        *known = match (*known, size) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    rows
}

/// Rejects a directory that lists added tokens for which the model has no embedding. Padding tokens are exempt: they
/// are never written here, and many published models have one too many. So are tokens that a class adds on its own,
/// which are rarely used either.
///
/// # Errors
/// Names the token, its id and the input.
pub(crate) fn check(model: &Model, rows: &[Option<u32>], tokenizer: &Tokenizer) -> Result<(), CompileError> {
    let padding = tokenizer.special.iter().find(|(name, _)| name == "pad_token").map(|(_, token)| token);
    let inputs = model.inputs.iter().zip(rows).filter(|(i, _)| i.dtype == DType::I32 && i.default.is_none());
    let smallest = inputs.filter_map(|(input, rows)| Some((rows.as_ref()?, &input.name))).min();
    let Some((rows, input)) = smallest else { return Ok(()) };
    match tokenizer.added.iter().find(|(id, token)| id >= rows && Some(token) != padding) {
        None => Ok(()),
        Some((id, token)) => Err(CompileError::Config(format!(
            "{FILE}: the added token {token:?} has the id {id}, but the table that `{input}` indexes has only {rows} \
             rows; remove the token, or make the table larger with transformers \
             (model.resize_token_embeddings(len(tokenizer)))"
        ))),
    }
}
