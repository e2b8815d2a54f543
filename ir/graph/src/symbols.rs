//! Values of symbols and of absent inputs, from the inputs that a caller gives.

use std::collections::BTreeMap;

use crate::array::{Array, Data, MAX_ELEMENTS};
use crate::dim::{Bindings, Dim, Factor, show_shape};
use crate::dtype::DType;
use crate::error::EvalError;
use crate::graph::{Input, InputDefault, Model, PAST};

/// Binds symbols from the shapes of given inputs, checks those shapes, and fills in absent inputs that have a default.
///
/// `bindings` has the symbols that are known before: the fixed ones of the entry, and [`PAST`]. A dimension determines
/// a symbol if it is linear in it and has no other unknown one (`T` in `P + T`). Absent inputs stay absent if their
/// shape is still unknown.
///
/// # Errors
/// If an input is not declared, has another type or rank, if dimensions contradict each other, or if a symbol is
/// outside its range. The message names the input and the axis.
pub fn apply_defaults(
    model: &Model,
    inputs: &mut BTreeMap<String, Array>,
    bindings: &mut Bindings,
) -> Result<(), EvalError> {
    let mut given = Vec::new();
    for (name, tensor) in inputs.iter() {
        let Some(input) = model.inputs.iter().find(|i| i.name == *name) else {
            let known: Vec<&str> = model.inputs.iter().map(|i| i.name.as_str()).collect();
            return Err(EvalError::new(name, format!("is not an input; expected one of {}", known.join(", "))));
        };
        check_kind(input, tensor)?;
        given.push((input, tensor.shape.as_slice()));
    }
    while solve_more(&given, bindings)? {}
    check_shapes(&given, bindings)?;
    check_ranges(model, bindings)?;
    for input in &model.inputs {
        if let Some(default) = &input.default
            && !inputs.contains_key(&input.name)
            && let Some(shape) = known_shape(input, bindings)
        {
            let tensor = default_tensor(default, input.dtype, shape, bindings.get(PAST).copied().unwrap_or(0))
                .map_err(|e| EvalError::new(&input.name, e))?;
            inputs.insert(input.name.clone(), tensor);
        }
    }
    Ok(())
}

fn check_kind(input: &Input, tensor: &Array) -> Result<(), EvalError> {
    if tensor.dtype() != input.dtype {
        let message = format!("expected type {}, found {}", input.dtype, tensor.dtype());
        return Err(EvalError::new(&input.name, message));
    }
    if tensor.shape.len() != input.shape.len() {
        let message = format!("expected shape {}, found {:?}", show_shape(&input.shape), tensor.shape);
        return Err(EvalError::new(&input.name, message));
    }
    Ok(())
}

/// Binds the symbols that are determined now; returns whether there was one.
fn solve_more(given: &[(&Input, &[usize])], bindings: &mut Bindings) -> Result<bool, EvalError> {
    let mut progress = false;
    for (input, shape) in given {
        for (axis, (dim, found)) in input.shape.iter().zip(*shape).enumerate() {
            let open = dim.bind(bindings);
            let Some((symbol, coefficient, constant)) = linear(&open) else { continue };
            let found = i64::try_from(*found).unwrap_or(i64::MAX);
            let rest = found.checked_sub(constant).filter(|r| r.checked_rem(coefficient) == Some(0));
            let value = rest.and_then(|r| r.checked_div(coefficient)).filter(|v| *v >= 0);
            let Some(value) = value else {
                return Err(EvalError::new(
                    &input.name,
                    format!("axis {axis} is {found}, which is not a possible value of {open} (declared as {dim})"),
                ));
            };
            bindings.insert(symbol, value);
            progress = true;
        }
    }
    Ok(progress)
}

/// `(s, a, b)` if the dimension is `a*s + b` with one symbol `s`.
fn linear(dim: &Dim) -> Option<(String, i64, i64)> {
    let (mut symbol, mut constant) = (None, 0);
    for (factors, coefficient) in dim.terms() {
        match (factors, &symbol) {
            ([], _) => constant = coefficient,
            ([Factor::Symbol(one)], None) => symbol = Some((one.clone(), coefficient)),
            _ => return None,
        }
    }
    symbol.map(|(s, a)| (s, a, constant))
}

fn check_shapes(given: &[(&Input, &[usize])], bindings: &Bindings) -> Result<(), EvalError> {
    for (input, shape) in given {
        for (axis, (dim, found)) in input.shape.iter().zip(*shape).enumerate() {
            let expected = dim.eval(bindings).ok_or_else(|| {
                EvalError::new(&input.name, format!("the symbols of axis {axis} ({dim}) are not known"))
            })?;
            if i64::try_from(*found) != Ok(expected) {
                let message = format!("axis {axis} is {found}, expected {expected} ({dim})");
                return Err(EvalError::new(&input.name, message));
            }
        }
    }
    Ok(())
}

fn check_ranges(model: &Model, bindings: &Bindings) -> Result<(), EvalError> {
    for s in &model.symbols {
        if let Some(value) = bindings.get(&s.name).filter(|v| **v < s.min || **v > s.max) {
            let message = format!("is {value}, expected {} to {}", s.min, s.max);
            return Err(EvalError::new(&format!("symbol {}", s.name), message));
        }
    }
    Ok(())
}

fn known_shape(input: &Input, bindings: &Bindings) -> Option<Vec<usize>> {
    input.shape.iter().map(|d| d.eval(bindings).and_then(|v| usize::try_from(v).ok())).collect()
}

fn default_tensor(default: &InputDefault, dtype: DType, shape: Vec<usize>, past: i64) -> Result<Array, String> {
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n <= MAX_ELEMENTS);
    let count = count.ok_or_else(|| format!("shape {shape:?} is too large"))?;
    let data = match (default, dtype) {
        (InputDefault::Value(v), DType::F32) => Data::F32(vec![*v as f32; count]),
        (InputDefault::Value(v), DType::I32) => Data::I32(vec![*v; count]),
        (InputDefault::Value(v), DType::Bool) => Data::Bool(vec![*v != 0; count]),
        (InputDefault::Positions, _) => {
            let row = shape.last().copied().unwrap_or(1).max(1);
            let position = |i: usize| i32::try_from(past.saturating_add((i % row) as i64)).unwrap_or(i32::MAX);
            Data::I32((0..count).map(position).collect())
        }
    };
    Ok(Array { shape, data })
}
