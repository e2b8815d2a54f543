//! Calls: special forms, blocks, and the implementation of functions.

use std::collections::BTreeMap;

use super::arith::{self, MAX_VECTOR};
use super::binder::{Binder, Eval, Frame};
use super::blocks::Block;
use super::diagnostics::{nearest, nearest_hint};
use super::expr::{Argument, Expr, Kind, Operator};
use super::functions::{Function, all, find, form, match_arguments, parameters};
use super::value::Value;
use crate::dim::{Dim, numel};
use crate::dtype::DType;
use crate::graph::{NodeId, PAST, State, StateKind};
use crate::literal::Literal;
use crate::op::{Op, Reduction};
use crate::scalar::{Binary, Unary};

/// Evaluated arguments of a function, in the order of its parameters.
struct Args<'e, 'a> {
    at: &'a str,
    slots: Vec<Option<(&'e Expr<'a>, Value<'a>)>>,
}

impl<'e, 'a> Args<'e, 'a> {
    fn get(&self, i: usize) -> Option<&Value<'a>> {
        self.slots.get(i).and_then(|s| s.as_ref()).map(|(_, v)| v)
    }
    fn value(&self, i: usize) -> &Value<'a> {
        self.get(i).unwrap_or(&Value::Absent)
    }
    fn text(&self, i: usize) -> &'a str {
        self.slots.get(i).and_then(|s| s.as_ref()).map_or(self.at, |(e, _)| e.text)
    }
}

impl<'a> Binder<'a> {
    /// `name(arguments)`.
    pub(super) fn call(&mut self, name: &'a str, arguments: &[Argument<'a>], expr: &Expr<'a>) -> Eval<Value<'a>> {
        match name {
            "present" => return self.call_present(arguments, expr.text),
            "choose" => return self.call_choose(arguments, expr.text),
            _ => {}
        }
        if let Some(form) = form(name) {
            return self.call_state(form, arguments, expr.text);
        }
        if let Some(function) = find(name) {
            let params = parameters(function);
            let slots = self.formula(match_arguments(name, &params, arguments, expr.text))?;
            let mut values = Vec::new();
            for (slot, (param, _)) in slots.into_iter().zip(&params) {
                let value = match slot {
                    Some(e) => Some((e, self.eval(e)?)),
                    None => None,
                };
                if let Some((e, Value::Absent)) = &value {
                    return Err(self.fail(e.text, format!("the argument `{param}` of `{name}` is null here")));
                }
                values.push(value);
            }
            return self.call_function(name, &Args { at: expr.text, slots: values });
        }
        let Some(block) = self.blocks.get(name).cloned() else {
            let names = all().map(|f| f.name);
            let hint = nearest_hint(name, names.chain(self.blocks.keys().copied()));
            return Err(self.fail_with(expr.text, format!("unknown function or block `{name}`"), hint));
        };
        self.call_block(&block, arguments, expr.text)
    }

    // ---- special forms

    /// `present(x)`: whether a weight, config key or argument exists.
    fn call_present(&mut self, arguments: &[Argument<'a>], at: &'a str) -> Eval<Value<'a>> {
        let slots = self.formula(match_arguments("present", &[("x", false)], arguments, at))?;
        let Some(Some(expr)) = slots.first() else { return Err(self.fail(at, "`present` needs an argument")) };
        if let Kind::Name(name) = expr.kind {
            let arch = self.arch.clone();
            let shadowed = self.frame().block || self.frame().scopes.iter().any(|s| s.contains_key(name));
            if let (Some(weight), false) = (arch.weights.get(name), shadowed) {
                return self.weight_source(weight, at).map(|s| Value::Bool(s.is_some()));
            }
        }
        Ok(Value::Bool(self.eval_maybe(expr)? != Value::Absent))
    }

    /// `choose(key, a: .., b: ..)`: the argument whose name is `key`; only that one is evaluated.
    fn call_choose(&mut self, arguments: &[Argument<'a>], at: &'a str) -> Eval<Value<'a>> {
        let Some((first, cases)) = arguments.split_first() else {
            return Err(self.fail(at, "`choose` needs a text and named cases"));
        };
        let key = match self.eval(&first.value)? {
            Value::Text(t) => t,
            other => {
                let found = self.describe(&other);
                return Err(self.fail(
                    first.value.text,
                    format!(
                        "the first argument of `choose` must be a text, found \
                    {found}"
                    ),
                ));
            }
        };
        if let Some(case) = cases.iter().find(|c| c.name == Some(key.as_str())) {
            cases.iter().filter(|c| c.name != case.name).for_each(|other| self.note_mentioned(&other.value));
            return self.eval(&case.value);
        }
        let names: Vec<&str> = cases.iter().filter_map(|c| c.name).collect();
        let near = nearest(&key, names.iter().copied()).map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
        let hint = Some(format!("supported are {}{near}", names.join(", ")));
        Err(self.fail_with(first.value.text, format!("'{key}' is not supported for `{}`", first.value.text), hint))
    }

    /// `append(state, x, window)`, `keep(state, x)`, `previous(state)` and `update(state, x)`.
    fn call_state(&mut self, form: Function, arguments: &[Argument<'a>], at: &'a str) -> Eval<Value<'a>> {
        let (form, params) = (form.name, parameters(form));
        let slots = self.formula(match_arguments(form, &params, arguments, at))?;
        let (Some(Some(state)), x) = (slots.first(), slots.get(1).copied().flatten()) else {
            return Err(self.fail(at, format!("`{form}` needs a state")));
        };
        let arch = self.arch.clone();
        let name = match state.kind {
            Kind::Name(name) if !self.frame().block => name,
            _ => {
                return Err(self.fail(
                    state.text,
                    format!(
                        "`{form}` needs the name of a state, and must be in the \
                body"
                    ),
                ));
            }
        };
        let Some(decl) = arch.states.get(name) else {
            let hint = nearest_hint(name, arch.states.keys());
            return Err(self.fail_with(state.text, format!("unknown state `{name}`"), hint));
        };
        let kind = match (form, decl.axis) {
            ("append", Some(axis)) => {
                let window = slots.get(2).copied().flatten();
                let window = window.map(|window| self.window(window)).transpose()?.flatten();
                StateKind::Appended { axis, window }
            }
            ("append", None) => {
                let message = format!("state `{name}` has no axis to append along");
                let hint = Some("declare one, or use `keep` or `update`".to_string());
                return Err(self.fail_with(state.text, message, hint));
            }
            (_, Some(_)) => {
                let message = format!("state `{name}` grows along an axis: use `append`");
                return Err(self.fail(state.text, message));
            }
            ("keep", None) => StateKind::Kept,
            (_, None) => StateKind::Overwritten,
        };
        if kind == StateKind::Overwritten && !self.symbols.iter().any(|s| s.name == PAST) {
            let message = format!("`{form}` needs the symbol `{PAST}`, which counts the tokens before a call");
            return Err(self.fail(at, message));
        }
        let declared = State { name: format!("{}{name}", self.prefix()), shape: self.dims_of(decl.shape.0)?, kind };
        if kind == StateKind::Overwritten && !declared.has_one_size() {
            let message = format!(
                "state `{name}` is overwritten in every call, so its size must be the same in all \
                calls"
            );
            let hint = Some("`B` is the only symbol with the same value in all calls".to_string());
            return Err(self.fail_with(decl.shape.0, message, hint));
        }
        let value = x.map(|x| self.eval(x).and_then(|value| self.node_of(&value, DType::F32, x.text))).transpose()?;
        let result = match (value, form) {
            (None, _) => self.builder.previous(declared),
            (Some(x), "update") => self.builder.update(declared, x).map(|()| x),
            (Some(x), "keep") => self.builder.store(Op::StateKeep, declared, x),
            (Some(x), _) => self.builder.store(Op::StateAppend, declared, x),
        };
        self.at(at, result).map(Value::Node)
    }

    /// The window, in tokens: `null` stands for all.
    fn window(&mut self, window: &Expr<'a>) -> Eval<Option<u32>> {
        let value = self.eval(window)?;
        match (&value, value.as_int().and_then(|n| u32::try_from(n).ok())) {
            (Value::Absent, _) => Ok(None),
            (_, Some(n)) if n > 0 => Ok(Some(n)),
            _ => {
                let found = self.describe(&value);
                let message = format!("a window must be a number of tokens of at least 1, or null, found {found}");
                Err(self.fail(window.text, message))
            }
        }
    }

    // ---- blocks

    fn call_block(&mut self, block: &Block<'a>, arguments: &[Argument<'a>], at: &'a str) -> Eval<Value<'a>> {
        let params: Vec<(&str, bool)> =
            block.signature.params.iter().map(|p| (p.name, p.optional || p.default.is_some())).collect();
        let slots = self.formula(match_arguments(block.name(), &params, arguments, at))?;
        let mut values = Vec::new();
        for (slot, param) in slots.iter().zip(&block.signature.params) {
            let value = match slot {
                Some(e) => self.eval(e)?,
                None => Value::Absent,
            };
            if let (Value::Absent, Some(e), false) = (&value, slot, param.optional || param.default.is_some()) {
                let message = format!("the argument `{}` of `{}` is null here", param.name, block.name());
                return Err(self.fail(e.text, message));
            }
            values.push(value);
        }
        let frame = Frame { scopes: vec![BTreeMap::new()], block: true };
        self.frames.push(frame);
        self.calls.push((block.name(), at));
        self.builder.path.push(block.name().to_string());
        let result = self.run_block(block, values);
        self.builder.path.pop();
        self.calls.pop();
        self.frames.pop();
        result
    }

    fn run_block(&mut self, block: &Block<'a>, values: Vec<Value<'a>>) -> Eval<Value<'a>> {
        for (value, param) in values.into_iter().zip(&block.signature.params) {
            let value = match (&value, &param.default) {
                (Value::Absent, Some(default)) => self.eval(default)?,
                _ => value,
            };
            self.assign(param.name, value);
        }
        for step in &block.body {
            let value = self.eval(&step.value)?;
            self.assign(step.name, value);
        }
        self.eval(&block.result)
    }

    // ---- functions

    fn call_function(&mut self, name: &'a str, args: &Args<'_, 'a>) -> Eval<Value<'a>> {
        if let Some(op) = Unary::named(name) {
            return self.apply_unary(op, args.value(0), args.at);
        }
        match name {
            "pow" => self.apply_binary(Operator::Op(Binary::Pow), args.value(0), args.value(1), args.at),
            "max" => self.extremum(args, Binary::Max, Reduction::Max),
            "min" => self.extremum(args, Binary::Min, Reduction::Min),
            "sum" => self.reduce(args, Reduction::Sum, 1),
            "mean" => self.reduce(args, Reduction::Mean, 1),
            "select" => self.call_select(args),
            "f32" => self.cast(args, DType::F32),
            "i32" => self.cast(args, DType::I32),
            "argmax" => self.on_node(args, Op::ArgMax),
            "top_k" => self.call_top_k(args),
            "matmul" => self.call_matmul(args),
            "gather" => self.indexed(args, Op::Gather),
            "take_last" => self.indexed(args, Op::TakeLast),
            "concat" => self.call_concat(args),
            "iota" => {
                let n = self.arg_dim(args, 0)?;
                self.leaf(args.at, Op::Iota(n)).map(Value::Node)
            }
            "range" => self.call_range(args),
            "vector" => match args.value(0) {
                Value::List(all) => self.call_vector(all, args),
                _ => Err(self.wrong(args, 0, "a list of numbers")),
            },
            "table" => match args.value(0) {
                Value::Vector(all) => self.table(all, args.at).map(Value::Node),
                _ => Err(self.wrong(args, 0, "a vector such as `range(n)`")),
            },
            "length" => match args.value(0) {
                Value::List(all) => Ok(Value::Int(all.len() as i64)),
                Value::Vector(all) => Ok(Value::Int(all.len() as i64)),
                Value::Object(all) => Ok(Value::Int(all.len() as i64)),
                _ => Err(self.wrong(args, 0, "a list")),
            },
            "is_list" => Ok(Value::Bool(matches!(args.value(0), Value::List(_)))),
            "fail" => match args.value(0) {
                Value::Text(t) => Err(self.fail(args.at, t.clone())),
                _ => Err(self.wrong(args, 0, "a text")),
            },
            _ => self.call_movement(name, args),
        }
    }

    fn call_movement(&mut self, name: &'a str, args: &Args<'_, 'a>) -> Eval<Value<'a>> {
        let x = self.arg_node(args, 0)?;
        let shape = self.shape(x);
        let op = match name {
            "rank" => return Ok(Value::Int(shape.len() as i64)),
            "shape" => return Ok(Value::List(shape.into_iter().map(Value::from_dim).collect())),
            "dim" => {
                let axis = self.arg_axis(args, 1, shape.len())?;
                return Ok(Value::from_dim(shape[axis].clone()));
            }
            "reshape" => {
                let wanted = self.arg_dims(args, 1)?;
                let wanted = self.fill_in(wanted, &shape, args)?;
                if wanted == shape {
                    return Ok(Value::Node(x));
                }
                Op::Reshape(wanted)
            }
            "permute" => Op::Transpose(self.arg_axes(args, 1, shape.len())?),
            "transpose" => {
                if shape.len() < 2 {
                    return Err(self.wrong(args, 0, "a tensor of rank 2 or more"));
                }
                let mut axes: Vec<u32> = (0..shape.len() as u32).collect();
                axes.swap(shape.len() - 1, shape.len() - 2);
                Op::Transpose(axes)
            }
            "broadcast" => Op::Broadcast(self.arg_dims(args, 1)?),
            "squeeze" => {
                let axis = self.arg_axis(args, 1, shape.len())?;
                let mut rest = shape;
                let removed = rest.remove(axis);
                if !removed.is_one() {
                    return Err(self.fail(args.at, format!("axis {axis} has length {removed}, not 1")));
                }
                Op::Reshape(rest)
            }
            "unsqueeze" => {
                let axis = self.arg_axis(args, 1, shape.len() + 1)?;
                let mut more = shape;
                more.insert(axis, Dim::constant(1));
                Op::Reshape(more)
            }
            "slice" => {
                let axis = self.arg_axis(args, 1, shape.len())?;
                let (start, len) = (self.arg_dim(args, 2)?, self.arg_dim(args, 3)?);
                return self.slice(x, axis, start, len, args.at).map(Value::Node);
            }
            "pad" => self.pad(args, x, shape.len())?,
            "windows" => self.windows(args, shape.len())?,
            _ => return Err(self.fail(args.at, format!("unknown function `{name}`"))),
        };
        self.push(args.at, op, &[x]).map(Value::Node)
    }

    fn pad(&mut self, args: &Args<'_, 'a>, x: NodeId, rank: usize) -> Eval<Op> {
        let axis = self.arg_axis(args, 1, rank)? as u32;
        let zero = Dim::constant(0);
        let before = if args.get(2).is_some() { self.arg_dim(args, 2)? } else { zero.clone() };
        let after = if args.get(3).is_some() { self.arg_dim(args, 3)? } else { zero };
        let value = match (args.get(4), self.dtype(x)) {
            (None, DType::F32) => Literal::f32(0.0),
            (None, DType::I32) => Literal::I32(0),
            (None, DType::Bool) => Literal::Bool(false),
            (Some(Value::Bool(b)), DType::Bool) => Literal::Bool(*b),
            (Some(v), DType::F32) if v.as_number().is_some() => Literal::f32(v.as_number().unwrap_or_default() as f32),
            (Some(v), DType::I32) if v.as_int().is_some_and(|i| i32::try_from(i).is_ok()) => {
                Literal::I32(v.as_int().unwrap_or_default() as i32)
            }
            _ => return Err(self.wrong(args, 4, "a number of the type of the tensor")),
        };
        Ok(Op::Pad { axis, before, after, value })
    }

    fn windows(&mut self, args: &Args<'_, 'a>, rank: usize) -> Eval<Op> {
        let axis = self.arg_axis(args, 1, rank)? as u32;
        let mut numbers = [1u32; 3];
        for (i, number) in numbers.iter_mut().enumerate() {
            if args.get(2 + i).is_some() {
                let given = self.arg_int(args, 2 + i)?;
                *number = match u32::try_from(given) {
                    Ok(n) if n > 0 => n,
                    _ => return Err(self.wrong(args, 2 + i, "a positive number")),
                };
            }
        }
        let [size, stride, dilation] = numbers;
        Ok(Op::Windows { axis, size, stride, dilation })
    }

    /// Replaces one `-1` by the inferred dimension.
    fn fill_in(&mut self, mut wanted: Vec<Dim>, shape: &[Dim], args: &Args<'_, 'a>) -> Eval<Vec<Dim>> {
        let open = wanted.iter().position(|d| d.as_const() == Some(-1));
        if let Some(i) = open {
            let rest: Vec<Dim> = wanted.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, d)| d.clone()).collect();
            match numel(shape).exact_div(&numel(&rest)) {
                Some(d) => wanted[i] = d,
                None => return Err(self.fail(args.at, "the `-1` of this shape cannot be inferred")),
            }
        }
        Ok(wanted)
    }

    fn extremum(&mut self, args: &Args<'_, 'a>, op: Binary, reduction: Reduction) -> Eval<Value<'a>> {
        match (args.get(1).is_some(), args.get(2).is_some()) {
            (true, false) => self.apply_binary(Operator::Op(op), args.value(0), args.value(1), args.at),
            (false, true) => self.reduce(args, reduction, 2),
            _ => Err(self.fail(args.at, "pass two values, or one tensor and `axis: ..`")),
        }
    }

    fn reduce(&mut self, args: &Args<'_, 'a>, op: Reduction, axis: usize) -> Eval<Value<'a>> {
        let x = self.arg_node(args, 0)?;
        let axis = self.arg_axis(args, axis, self.shape(x).len())? as u32;
        self.push(args.at, Op::Reduce { op, axis }, &[x]).map(Value::Node)
    }

    fn call_select(&mut self, args: &Args<'_, 'a>) -> Eval<Value<'a>> {
        match args.value(0) {
            Value::Bool(b) => Ok(args.value(if *b { 1 } else { 2 }).clone()),
            Value::Mask(mask) => self.at(args.at, arith::select(mask, args.value(1), args.value(2))),
            Value::Node(c) => self.select(*c, args.value(1), args.value(2), args.at),
            _ => Err(self.wrong(args, 0, "a condition")),
        }
    }

    /// Conversion of a tensor. Numbers and vectors are rounded to f32, or truncated to integers.
    fn cast(&mut self, args: &Args<'_, 'a>, dtype: DType) -> Eval<Value<'a>> {
        let round = |v: f64| if dtype == DType::F32 { f64::from(v as f32) } else { v.trunc() };
        match args.value(0) {
            Value::Vector(all) => Ok(Value::Vector(all.iter().map(|v| round(*v)).collect())),
            Value::Int(v) if dtype == DType::F32 => Ok(Value::Float(round(*v as f64))),
            Value::Int(v) => Ok(Value::Int(*v)),
            Value::Float(v) if dtype == DType::F32 => Ok(Value::Float(round(*v))),
            Value::Float(v) if v.abs() < 9e15 => Ok(Value::Int(*v as i64)),
            value => {
                let x = self.natural_node(value, args.text(0))?;
                if self.dtype(x) == dtype {
                    return Ok(Value::Node(x));
                }
                self.push(args.at, Op::Cast(dtype), &[x]).map(Value::Node)
            }
        }
    }

    fn on_node(&mut self, args: &Args<'_, 'a>, op: Op) -> Eval<Value<'a>> {
        let x = self.arg_node(args, 0)?;
        self.push(args.at, op, &[x]).map(Value::Node)
    }

    fn call_top_k(&mut self, args: &Args<'_, 'a>) -> Eval<Value<'a>> {
        let k = self.arg_int(args, 1)?;
        match u32::try_from(k) {
            Ok(k) if k > 0 => self.on_node(args, Op::TopK { k }),
            _ => Err(self.wrong(args, 1, "a positive number")),
        }
    }

    fn call_matmul(&mut self, args: &Args<'_, 'a>) -> Eval<Value<'a>> {
        let (a, b) = (self.arg_node(args, 0)?, self.arg_node(args, 1)?);
        let transpose_b = match args.value(2) {
            Value::Absent => false,
            Value::Bool(b) => *b,
            _ => return Err(self.wrong(args, 2, "true or false")),
        };
        self.push(args.at, Op::MatMul { transpose_b }, &[a, b]).map(Value::Node)
    }

    fn indexed(&mut self, args: &Args<'_, 'a>, op: Op) -> Eval<Value<'a>> {
        let x = self.arg_node(args, 0)?;
        let indices = self.natural_node(args.value(1), args.text(1))?;
        self.push(args.at, op, &[x, indices]).map(Value::Node)
    }

    fn call_concat(&mut self, args: &Args<'_, 'a>) -> Eval<Value<'a>> {
        let Value::List(parts) = args.value(0) else {
            return Err(self.wrong(args, 0, "a list such as `[a, b]`"));
        };
        if parts.iter().any(|p| matches!(p, Value::Vector(_))) {
            let vectors: Option<Vec<&Vec<f64>>> =
                parts.iter().map(|p| if let Value::Vector(v) = p { Some(v) } else { None }).collect();
            return match vectors {
                Some(all) if all.iter().map(|v| v.len()).sum::<usize>() <= MAX_VECTOR => {
                    Ok(Value::Vector(all.into_iter().flatten().copied().collect()))
                }
                _ => Err(self.wrong(args, 0, "vectors only, of limited length")),
            };
        }
        let mut nodes = Vec::new();
        for part in parts {
            match part {
                Value::Node(id) => nodes.push(*id),
                Value::Absent => {}
                _ => return Err(self.wrong(args, 0, "a list of tensors")),
            }
        }
        let Some(first) = nodes.first() else { return Err(self.wrong(args, 0, "at least one tensor")) };
        let rank = self.shape(*first).len();
        let axis = if args.get(1).is_some() { self.arg_axis(args, 1, rank)? } else { rank.saturating_sub(1) };
        self.push(args.at, Op::Concat { axis: axis as u32 }, &nodes).map(Value::Node)
    }

    fn call_range(&mut self, args: &Args<'_, 'a>) -> Eval<Value<'a>> {
        let n = self.arg_int(args, 0)?;
        match usize::try_from(n) {
            Ok(n) if n > 0 && n <= MAX_VECTOR => Ok(Value::Vector((0..n).map(|i| i as f64).collect())),
            _ => Err(self.wrong(args, 0, "a length from 1 to 65536")),
        }
    }

    /// A list of numbers, as in config.json, as a vector.
    fn call_vector(&mut self, list: &[Value<'a>], args: &Args<'_, 'a>) -> Eval<Value<'a>> {
        let numbers: Option<Vec<f64>> = list.iter().map(Value::as_number).collect();
        match numbers {
            Some(all) if !all.is_empty() && all.len() <= MAX_VECTOR => Ok(Value::Vector(all)),
            _ => Err(self.wrong(args, 0, "a list of 1 to 65536 numbers")),
        }
    }

    // ---- arguments

    fn wrong(&mut self, args: &Args<'_, 'a>, i: usize, expected: &str) -> super::binder::Stop {
        let found = self.describe(args.value(i));
        self.fail(args.text(i), format!("expected {expected}, found {found}"))
    }

    fn arg_node(&mut self, args: &Args<'_, 'a>, i: usize) -> Eval<NodeId> {
        match args.value(i) {
            Value::Node(id) => Ok(*id),
            Value::Vector(_) | Value::Dim(_) => self.natural_node(args.value(i), args.text(i)),
            _ => Err(self.wrong(args, i, "a tensor")),
        }
    }

    fn arg_int(&mut self, args: &Args<'_, 'a>, i: usize) -> Eval<i64> {
        match args.value(i).as_int() {
            Some(v) => Ok(v),
            None => Err(self.wrong(args, i, "an integer")),
        }
    }

    fn arg_dim(&mut self, args: &Args<'_, 'a>, i: usize) -> Eval<Dim> {
        match args.value(i).as_dim() {
            Some(d) => Ok(d),
            None => Err(self.wrong(args, i, "a dimension")),
        }
    }

    fn arg_dims(&mut self, args: &Args<'_, 'a>, i: usize) -> Eval<Vec<Dim>> {
        let dims = match args.value(i) {
            Value::List(all) => all.iter().map(Value::as_dim).collect::<Option<Vec<Dim>>>(),
            _ => None,
        };
        match dims {
            Some(dims) => Ok(dims),
            None => Err(self.wrong(args, i, "a shape such as `[B, T, 64]`")),
        }
    }

    fn arg_axis(&mut self, args: &Args<'_, 'a>, i: usize, rank: usize) -> Eval<usize> {
        let axis = self.arg_int(args, i)?;
        self.axis(axis, rank, args.text(i))
    }

    fn arg_axes(&mut self, args: &Args<'_, 'a>, i: usize, rank: usize) -> Eval<Vec<u32>> {
        let axes = match args.value(i) {
            Value::List(all) => all.iter().map(Value::as_int).collect::<Option<Vec<i64>>>(),
            _ => None,
        };
        let Some(axes) = axes else { return Err(self.wrong(args, i, "a list of axes such as `[0, 2, 1, 3]`")) };
        axes.into_iter().map(|axis| self.axis(axis, rank, args.text(i)).map(|a| a as u32)).collect()
    }
}
