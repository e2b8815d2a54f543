//! Feeds a decoder: a prompt in chunks, then one token after the other.

use std::collections::BTreeMap;

use gristmill_bundle::{Advance, Entry, EntryRole, Input, Manifest};

use crate::backend::{Data, Tensor};
use crate::call::{bind_symbols, invalid, symbol};
use crate::error::Error;

/// The inputs of one call, and the tokens before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The entry to run.
    pub entry: String,
    /// Its inputs.
    pub inputs: BTreeMap<String, Tensor>,
    /// Tokens already in the states.
    pub past: u32,
}

/// What an axis of an input counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    /// Something that does not change from call to call.
    Fixed,
    /// The new tokens, `T`.
    New,
    /// All tokens so far, `P + T`.
    Total,
}

/// Turns the inputs of a whole prompt into calls of the `prefill` entry, and chosen tokens into calls of `decode`,
/// continuing each input as the manifest declares.
#[derive(Clone, Debug)]
pub struct Feed<'m> {
    manifest: &'m Manifest,
    prefill: &'m Entry,
    decode: &'m Entry,
    /// Inputs of everything so far; decode cuts off what it needs.
    inputs: BTreeMap<String, Tensor>,
    axes: BTreeMap<String, Vec<Axis>>,
    batch: u32,
    prompt: u32,
    past: u32,
}

impl<'m> Feed<'m> {
    /// Starts with the inputs of the whole prompt. Errors if the model is no decoder, if an input does not fit, or
    /// if it cannot be continued.
    pub fn new(manifest: &'m Manifest, inputs: BTreeMap<String, Tensor>) -> Result<Self, Error> {
        let role = |role: EntryRole, what: &str| {
            let found = manifest.entries.iter().find(|e| e.role == role);
            found.ok_or_else(|| {
                Error::Unsupported(format!("this model does not generate tokens: it has no {what} entry"))
            })
        };
        let (prefill, decode) = (role(EntryRole::Prefill, "prefill")?, role(EntryRole::Decode, "decode")?);
        let symbols = bind_symbols(manifest, prefill, &inputs, 0, Some(manifest.model.max_context))?;
        let value = |name| symbol(manifest, &symbols, name).unwrap_or(1);
        let (batch, prompt) = (value("B"), value("T"));
        let mut axes = BTreeMap::new();
        for name in inputs.keys() {
            // `bind_symbols` has refused inputs that do not exist.
            let Some(input) = manifest.inputs.iter().find(|i| i.name == *name) else { continue };
            axes.insert(name.clone(), classify(manifest, input)?);
        }
        let feed = Feed { manifest, prefill, decode, inputs, axes, batch, prompt, past: 0 };
        feed.check()?;
        Ok(feed)
    }

    /// Rows.
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// Tokens of the prompt per row.
    pub fn prompt_tokens(&self) -> u32 {
        self.prompt
    }

    /// Tokens that the calls given so far leave in the states.
    pub fn past(&self) -> u32 {
        self.past
    }

    /// The next chunk of the prompt; `None` when all were given.
    pub fn next_chunk(&mut self) -> Option<Request> {
        if self.past >= self.prompt {
            return None;
        }
        let most = self.manifest.symbols.iter().find(|s| s.name == "T").map_or(u32::MAX, |s| s.max);
        let chunk = self.manifest.model.prefill_chunk.min(most).max(1);
        let (begin, end) = (self.past, self.prompt.min(self.past.saturating_add(chunk)));
        let request = self.request(self.prefill, begin, end);
        self.past = end;
        Some(request)
    }

    /// The call that continues with one chosen token per row. To be used after all chunks were given.
    pub fn next_token(&mut self, tokens: &[u32]) -> Result<Request, Error> {
        for (name, tensor) in &mut self.inputs {
            let input = self.manifest.inputs.iter().find(|i| i.name == *name);
            let Some(advance) = input.and_then(|i| i.advance) else { continue };
            let axes = &self.axes[name];
            match advance {
                Advance::Token => {
                    let shape: Vec<usize> = axes.iter().zip(&tensor.shape).map(|(a, n)| last_only(*a, *n)).collect();
                    if shape.iter().product::<usize>() != tokens.len() {
                        let found = format!("{} tokens", tokens.len());
                        return Err(Error::Input { name: name.clone(), expected: format!("{shape:?}"), found });
                    }
                    *tensor = Tensor::i32(shape, tokens.iter().map(|t| *t as i32).collect());
                }
                Advance::Increment => {
                    if let Some(axis) = axes.iter().position(|a| *a == Axis::New) {
                        *tensor = slice(tensor, axis, tensor.shape[axis].saturating_sub(1), 1);
                    }
                    match &mut tensor.data {
                        Data::I32(v) => v.iter_mut().for_each(|v| *v = v.saturating_add(1)),
                        Data::F32(v) => v.iter_mut().for_each(|v| *v += 1.0),
                    }
                }
                Advance::Append(value) => append(tensor, value),
            }
        }
        // Inputs that follow the new tokens hold exactly one now, the others all of them.
        let known = |n: &String| self.decode.inputs.iter().any(|i| self.manifest.inputs[*i as usize].name == *n);
        let inputs = self.inputs.iter().filter(|(n, _)| known(n)).map(|(n, t)| (n.clone(), t.clone())).collect();
        let request = Request { entry: self.decode.name.clone(), inputs, past: self.past };
        self.past += 1;
        Ok(request)
    }

    fn request(&self, entry: &Entry, begin: u32, end: u32) -> Request {
        let cut = |(name, tensor): (&String, &Tensor)| {
            let mut tensor = tensor.clone();
            for (axis, kind) in self.axes[name].iter().enumerate() {
                tensor = match kind {
                    Axis::Fixed => tensor,
                    Axis::New => slice(&tensor, axis, begin as usize, (end - begin) as usize),
                    Axis::Total => slice(&tensor, axis, 0, end as usize),
                };
            }
            (name.clone(), tensor)
        };
        Request { entry: entry.name.clone(), inputs: self.inputs.iter().map(cut).collect(), past: begin }
    }

    /// Every given input is as long as the prompt, and can be continued.
    fn check(&self) -> Result<(), Error> {
        for (name, axes) in &self.axes {
            let tensor = &self.inputs[name];
            let long = axes.iter().zip(&tensor.shape).all(|(a, n)| *a == Axis::Fixed || *n == self.prompt as usize);
            if !long || tensor.shape.iter().product::<usize>() != tensor.data.len() {
                let expected = format!("{} tokens per row, as the other inputs", self.prompt);
                return Err(Error::Input { name: name.clone(), expected, found: tensor.describe() });
            }
            let input = self.manifest.inputs.iter().find(|i| i.name == *name);
            let fits = match input.and_then(|i| i.advance) {
                None => axes.iter().all(|a| *a == Axis::Fixed),
                Some(Advance::Token | Advance::Increment) => !axes.contains(&Axis::Total),
                Some(Advance::Append(_)) => axes.iter().rposition(|a| *a == Axis::Total) == Some(axes.len() - 1),
            };
            if !fits {
                return Err(Error::Unsupported(format!("the model does not say how input `{name}` continues")));
            }
        }
        Ok(())
    }
}

fn last_only(axis: Axis, size: usize) -> usize {
    if axis == Axis::New { 1 } else { size }
}

/// Finds out what each axis counts by trying two values of `P`: texts such as `T + P` and `P + T` are the same.
fn classify(manifest: &Manifest, input: &Input) -> Result<Vec<Axis>, Error> {
    let names = manifest.symbol_names();
    let values = |past: u32, new: u32| -> Vec<u32> {
        let value = |name: &&str| match *name {
            "P" => past,
            "T" => new,
            _ => 1000,
        };
        names.iter().map(value).collect()
    };
    let axis = |size: &gristmill_bundle::Size| {
        let expr = size.parse(&names).map_err(invalid)?;
        let at = |past, new| expr.eval(&values(past, new)).map_err(invalid);
        let (base, more_past, more_new) = (at(0, 7)?, at(5, 7)?, at(0, 18)?);
        match (base, more_past, more_new) {
            (7, 7, 18) => Ok(Axis::New),
            (7, 12, 18) => Ok(Axis::Total),
            _ if base == more_past && base == more_new => Ok(Axis::Fixed),
            _ => Err(Error::Unsupported(format!("axis `{size}` of input `{}` cannot be cut into chunks", input.name))),
        }
    };
    input.shape.iter().map(axis).collect()
}

/// `len` positions from `start` on along an axis. Ranges beyond the end are cut off.
fn slice(tensor: &Tensor, axis: usize, start: usize, len: usize) -> Tensor {
    let size = tensor.shape[axis];
    let (start, end) = (start.min(size), start.saturating_add(len).min(size));
    let inner: usize = tensor.shape[axis + 1..].iter().product();
    let outer: usize = tensor.shape[..axis].iter().product();
    let mut shape = tensor.shape.clone();
    shape[axis] = end - start;
    fn pick<T: Copy>(all: &[T], outer: usize, row: usize, from: usize, to: usize) -> Vec<T> {
        (0..outer).flat_map(|o| all[o * row + from..o * row + to].iter().copied()).collect()
    }
    let (row, from, to) = (size * inner, start * inner, end * inner);
    let data = match &tensor.data {
        Data::F32(v) => Data::F32(pick(v, outer, row, from, to)),
        Data::I32(v) => Data::I32(pick(v, outer, row, from, to)),
    };
    Tensor { shape, data }
}

/// Adds one element of `value` at the end of each row of the last axis.
fn append(tensor: &mut Tensor, value: i32) {
    fn grow<T: Copy>(all: &[T], rows: usize, row: usize, value: T) -> Vec<T> {
        (0..rows).flat_map(|r| all[r * row..(r + 1) * row].iter().copied().chain([value])).collect()
    }
    let Some((last, outer)) = tensor.shape.split_last_mut() else { return };
    let rows = outer.iter().product();
    tensor.data = match &tensor.data {
        Data::F32(v) => Data::F32(grow(v, rows, *last, value as f32)),
        Data::I32(v) => Data::I32(grow(v, rows, *last, value)),
    };
    *last += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::decoder_manifest;

    fn prompt() -> BTreeMap<String, Tensor> {
        let ids = Tensor::i32([2, 6], (0..12).collect::<Vec<_>>());
        let mask = Tensor::i32([2, 6], vec![0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        let positions = Tensor::i32([2, 6], vec![0, 0, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5]);
        let names = ["input_ids", "attention_mask", "position_ids"].map(String::from);
        names.into_iter().zip([ids, mask, positions]).collect()
    }

    #[test]
    fn chunks_and_tokens_continue_the_inputs() {
        let m = decoder_manifest();
        let mut feed = Feed::new(&m, prompt()).unwrap();
        let first = feed.next_chunk().unwrap();
        assert_eq!((first.entry.as_str(), first.past), ("prefill", 0));
        assert_eq!(first.inputs["input_ids"], Tensor::i32([2, 4], vec![0, 1, 2, 3, 6, 7, 8, 9]));
        assert_eq!(first.inputs["attention_mask"], Tensor::i32([2, 4], vec![0, 0, 1, 1, 1, 1, 1, 1]));
        let second = feed.next_chunk().unwrap();
        assert_eq!(second.past, 4);
        assert_eq!(second.inputs["position_ids"], Tensor::i32([2, 2], vec![2, 3, 4, 5]));
        assert_eq!(second.inputs["attention_mask"], prompt()["attention_mask"]);
        assert_eq!(feed.next_chunk(), None);

        for step in 0..2 {
            let next = feed.next_token(&[7, 8 + step]).unwrap();
            assert_eq!((next.entry.as_str(), next.past), ("decode", 6 + step));
            assert_eq!(next.inputs["input_ids"], Tensor::i32([2, 1], vec![7, 8 + step as i32]));
            assert_eq!(next.inputs["position_ids"], Tensor::i32([2, 1], vec![4 + step as i32, 6 + step as i32]));
            assert_eq!(next.inputs["attention_mask"].shape, [2, 7 + step as usize]);
            assert_eq!(next.inputs["attention_mask"].as_i32().unwrap()[..4], [0, 0, 1, 1]);
        }
        assert!(feed.next_token(&[1]).is_err());
    }

    #[test]
    fn prompts_that_do_not_fit_are_refused() {
        let m = decoder_manifest();
        let fail = |change: fn(&mut BTreeMap<String, Tensor>)| {
            let mut inputs = prompt();
            change(&mut inputs);
            Feed::new(&m, inputs).unwrap_err().to_string()
        };
        let short = |i: &mut BTreeMap<_, _>| drop(i.insert("attention_mask".into(), Tensor::i32([2, 5], vec![1; 10])));
        assert!(fail(short).contains("6 tokens per row, as the other inputs, found i32 [2, 5]"));
        assert!(fail(|i| drop(i.remove("input_ids"))).contains("found nothing"));
        let mut encoder = decoder_manifest();
        encoder.entries.truncate(1);
        assert!(Feed::new(&encoder, prompt()).unwrap_err().to_string().contains("does not generate tokens"));
    }
}
