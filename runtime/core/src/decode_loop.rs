//! The calls of a decoder: the prompt in chunks, then one call per token.

use gristmill_bundle::{Advance, Entry, EntryRole, Input, Manifest};

use crate::backend::{Data, DeviceInput, Request, Tensor, Tensors};
use crate::call::{bind_symbols, encoder, invalid, symbol};
use crate::error::Error;
use crate::gather::gather;

/// The output of `prefill` and `decode` with the most probable next token of each row.
pub const NEXT_TOKEN: &str = "next_token";

/// What the length of an axis of an input depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    /// It is the same in all calls.
    Fixed,
    /// The number of new tokens, `T`.
    New,
    /// The number of all tokens so far, `P + T`.
    Total,
}

/// Turns the inputs of a prompt into calls of the `prefill` entry, and chosen tokens into calls of the `decode` entry.
/// Each input continues as the manifest declares.
#[derive(Clone, Debug)]
pub struct DecodeLoop {
    prefill: String,
    decode: String,
    /// The call of the encoder, which comes first, if there is one.
    encode: Option<Request>,
    /// The entry of that call.
    encoder: Option<String>,
    inputs: Vec<Continued>,
    /// The largest number of tokens per call of `prefill`.
    chunk: u32,
    batch: u32,
    prompt: u32,
    past: u32,
}

/// An input that continues with every call.
#[derive(Clone, Debug)]
struct Continued {
    name: String,
    /// Its elements so far.
    tensor: Tensor,
    axes: Vec<Axis>,
    advance: Option<Advance>,
    /// Whether `decode` takes it.
    decoded: bool,
}

impl DecodeLoop {
    /// Starts with the inputs of the entire prompt, including those of an encoder. The decoder of an encoder-decoder
    /// model starts with the start tokens of the model if `inputs` has no others.
    ///
    /// # Errors
    /// If the model has no decoder, an input is invalid, or an input cannot be continued.
    pub fn new(manifest: &Manifest, mut inputs: Tensors) -> Result<Self, Error> {
        let role = |role: EntryRole, what: &str| {
            let found = manifest.entries.iter().find(|e| e.role == role);
            found.ok_or_else(|| {
                Error::Unsupported(format!("this model does not generate tokens: it has no {what} entry"))
            })
        };
        let (prefill, decode) = (role(EntryRole::Prefill, "prefill")?, role(EntryRole::Decode, "decode")?);
        let takes = |entry: &Entry, name: &str| entry.inputs.iter().any(|i| manifest.inputs[*i as usize].name == name);
        let encode = match encoder(manifest) {
            Some(encoder) => {
                start_decoder(manifest, encoder, &mut inputs)?;
                let mut own = inputs.clone();
                own.retain(|name, _| takes(encoder, name));
                inputs.retain(|name, _| takes(prefill, name) || !takes(encoder, name));
                Some(Request::new(&encoder.name, &own, 0))
            }
            None => None,
        };
        let symbols = bind_symbols(manifest, prefill, &inputs, 0, Some(manifest.model.max_context), None)?;
        let value = |name| symbol(manifest, &symbols, name).unwrap_or(1);
        let (batch, prompt) = (value("B"), value("T"));
        let mut continued = Vec::with_capacity(inputs.len());
        for (name, tensor) in inputs {
            // `bind_symbols` has rejected unknown inputs.
            let Some(input) = manifest.inputs.iter().find(|i| i.name == name) else { continue };
            let axes = classify(manifest, input)?;
            let one = Continued { decoded: takes(decode, &name), advance: input.advance, name, tensor, axes };
            one.check(prompt)?;
            continued.push(one);
        }
        let most = manifest.symbols.iter().find(|s| s.name == "T").map_or(u32::MAX, |s| s.max);
        Ok(DecodeLoop {
            prefill: prefill.name.clone(),
            decode: decode.name.clone(),
            encoder: encode.as_ref().map(|e| e.entry.clone()),
            encode,
            inputs: continued,
            chunk: manifest.model.prefill_chunk.min(most).max(1),
            batch,
            prompt,
            past: 0,
        })
    }

    /// The number of rows.
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// The number of tokens of the prompt per row.
    pub fn prompt_tokens(&self) -> u32 {
        self.prompt
    }

    /// The number of tokens in the states after the calls so far.
    pub fn past(&self) -> u32 {
        self.past
    }

    /// Skips the encoder and this many tokens of the prompt, because the states have them.
    pub fn skip(&mut self, tokens: u32) {
        self.encode = None;
        self.past = tokens.min(self.prompt);
    }

    /// Whether a request is the call of the encoder.
    pub fn encodes(&self, request: &Request) -> bool {
        self.encoder.as_ref() == Some(&request.entry)
    }

    /// The call for the next chunk of the prompt, after that of the encoder if there is one; `None` after the last
    /// chunk.
    pub fn next_chunk(&mut self) -> Option<Request> {
        if let Some(encode) = self.encode.take() {
            return Some(encode);
        }
        if self.past >= self.prompt {
            return None;
        }
        let (begin, end) = (self.past, self.prompt.min(self.past.saturating_add(self.chunk)));
        let inputs = gather(self.inputs.iter().map(|i| (i.name.clone(), i.cut(begin, end))));
        self.past = end;
        Some(Request { entry: self.prefill.clone(), inputs, past: begin, device_input: None })
    }

    /// The call that continues with one chosen token per row. All chunks must come before it.
    ///
    /// # Errors
    /// If the number of tokens is not the number of rows.
    pub fn next_token(&mut self, tokens: &[u32]) -> Result<Request, Error> {
        self.inputs.iter_mut().try_for_each(|i| i.advance(tokens))?;
        let inputs = gather(self.inputs.iter().filter(|i| i.decoded).map(|i| (i.name.clone(), i.tensor.clone())));
        let request = Request { entry: self.decode.clone(), inputs, past: self.past, device_input: None };
        self.past += 1;
        Ok(request)
    }

    /// The call that continues with the token of each row that is the `output` of the previous call, which is still in
    /// flight.
    ///
    /// # Errors
    /// If the model takes no token ids; see also [`Self::next_token`].
    pub fn next_fed(&mut self, output: &str) -> Result<Request, Error> {
        let input = self.inputs.iter().find(|i| i.advance == Some(Advance::Token)).map(|i| i.name.clone());
        let input = input
            .ok_or_else(|| Error::Unsupported("this model takes no token ids, so it cannot generate text".into()))?;
        let unknown = vec![0; self.batch as usize];
        let request = self.next_token(&unknown)?;
        Ok(Request { device_input: Some(DeviceInput { input, output: output.to_string() }), ..request })
    }
}

/// The input that takes the tokens to continue.
pub(crate) fn token_input(manifest: &Manifest) -> Result<&Input, Error> {
    let input = manifest.inputs.iter().find(|i| i.advance == Some(Advance::Token));
    input.ok_or_else(|| Error::Unsupported("this model takes no token ids, so it cannot generate text".into()))
}

/// Adds the start tokens of the decoder, in as many rows as the encoder has.
fn start_decoder(manifest: &Manifest, encoder: &Entry, inputs: &mut Tensors) -> Result<(), Error> {
    let name = &token_input(manifest)?.name;
    if inputs.contains_key(name) {
        return Ok(());
    }
    let start = &manifest.model.decoder_start_tokens;
    if start.is_empty() {
        let expected = "the decoder's start tokens, which config.json lacks".to_string();
        return Err(Error::Input { name: name.clone(), expected, found: "nothing".to_string() });
    }
    let mut own = inputs.clone();
    own.retain(|name, _| encoder.inputs.iter().any(|i| manifest.inputs[*i as usize].name == *name));
    let symbols = bind_symbols(manifest, encoder, &own, 0, None, None)?;
    let rows = symbol(manifest, &symbols, "B").unwrap_or(1) as usize;
    let ids: Vec<i32> = start.iter().map(|t| *t as i32).collect();
    inputs.insert(name.clone(), Tensor::i32([rows, ids.len()], ids.repeat(rows)));
    Ok(())
}

impl Continued {
    /// The part for the tokens from `begin` to `end`.
    fn cut(&self, begin: u32, end: u32) -> Tensor {
        let mut tensor = self.tensor.clone();
        for (axis, kind) in self.axes.iter().enumerate() {
            tensor = match kind {
                Axis::Fixed => tensor,
                Axis::New => slice(&tensor, axis, begin as usize, (end - begin) as usize),
                Axis::Total => slice(&tensor, axis, 0, end as usize),
            };
        }
        tensor
    }

    /// Continues by one token per row. Inputs of length `T` then have one element per row, the others have all.
    fn advance(&mut self, tokens: &[u32]) -> Result<(), Error> {
        let tensor = &mut self.tensor;
        match self.advance {
            None => {}
            Some(Advance::Token) => {
                let shape: Vec<usize> = self.axes.iter().zip(&tensor.shape).map(|(a, n)| last_only(*a, *n)).collect();
                if shape.iter().product::<usize>() != tokens.len() {
                    let found = format!("{} tokens", tokens.len());
                    return Err(Error::Input { name: self.name.clone(), expected: format!("{shape:?}"), found });
                }
                *tensor = Tensor::i32(shape, tokens.iter().map(|t| *t as i32).collect());
            }
            Some(Advance::Increment) => {
                if let Some(axis) = self.axes.iter().position(|a| *a == Axis::New) {
                    *tensor = slice(tensor, axis, tensor.shape[axis].saturating_sub(1), 1);
                }
                match &mut tensor.data {
                    Data::I32(v) => v.iter_mut().for_each(|v| *v = v.saturating_add(1)),
                    Data::F32(v) => v.iter_mut().for_each(|v| *v += 1.0),
                }
            }
            Some(Advance::Append(value)) => append(tensor, value),
        }
        Ok(())
    }

    /// Checks that it is as long as the prompt, and can be continued.
    fn check(&self, prompt: u32) -> Result<(), Error> {
        let (axes, tensor) = (&self.axes, &self.tensor);
        let long = axes.iter().zip(&tensor.shape).all(|(a, n)| *a == Axis::Fixed || *n == prompt as usize);
        if !long || tensor.shape.iter().product::<usize>() != tensor.data.len() {
            let expected = format!("{prompt} tokens per row, like the other inputs");
            return Err(Error::Input { name: self.name.clone(), expected, found: tensor.describe() });
        }
        let fits = match self.advance {
            None => axes.iter().all(|a| *a == Axis::Fixed),
            Some(Advance::Token | Advance::Increment) => !axes.contains(&Axis::Total),
            Some(Advance::Append(_)) => axes.iter().rposition(|a| *a == Axis::Total) == Some(axes.len() - 1),
        };
        match fits {
            true => Ok(()),
            false => Err(Error::Unsupported(format!("the model does not say how input `{}` continues", self.name))),
        }
    }
}

fn last_only(axis: Axis, size: usize) -> usize {
    if axis == Axis::New { 1 } else { size }
}

/// Finds out what each axis depends on by trying two values of `P`, because `T + P` and `P + T` are the same.
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
        let expr = size.resolve(&names).map_err(invalid)?;
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

/// `len` elements from `start` on along an axis. Ranges are truncated at the end.
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

/// Appends one element `value` to each row of the last axis.
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

    fn prompt() -> Tensors {
        let ids = Tensor::i32([2, 6], (0..12).collect::<Vec<_>>());
        let mask = Tensor::i32([2, 6], vec![0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        let positions = Tensor::i32([2, 6], vec![0, 0, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5]);
        let names = ["input_ids", "attention_mask", "position_ids"].map(String::from);
        names.into_iter().zip([ids, mask, positions]).collect()
    }

    #[test]
    fn chunks_and_tokens_continue_the_inputs() {
        let m = decoder_manifest();
        let mut decode_loop = DecodeLoop::new(&m, prompt()).unwrap();
        let first = decode_loop.next_chunk().unwrap();
        assert_eq!((first.entry.as_str(), first.past), ("prefill", 0));
        assert_eq!(first.inputs["input_ids"], Tensor::i32([2, 4], vec![0, 1, 2, 3, 6, 7, 8, 9]));
        assert_eq!(first.inputs["attention_mask"], Tensor::i32([2, 4], vec![0, 0, 1, 1, 1, 1, 1, 1]));
        let second = decode_loop.next_chunk().unwrap();
        assert_eq!(second.past, 4);
        assert_eq!(second.inputs["position_ids"], Tensor::i32([2, 2], vec![2, 3, 4, 5]));
        assert_eq!(second.inputs["attention_mask"], prompt()["attention_mask"]);
        assert_eq!(decode_loop.next_chunk(), None);

        for step in 0..2 {
            let next = decode_loop.next_token(&[7, 8 + step]).unwrap();
            assert_eq!((next.entry.as_str(), next.past), ("decode", 6 + step));
            assert_eq!(next.inputs["input_ids"], Tensor::i32([2, 1], vec![7, 8 + step as i32]));
            assert_eq!(next.inputs["position_ids"], Tensor::i32([2, 1], vec![4 + step as i32, 6 + step as i32]));
            assert_eq!(next.inputs["attention_mask"].shape, [2, 7 + step as usize]);
            assert_eq!(next.inputs["attention_mask"].as_i32().unwrap()[..4], [0, 0, 1, 1]);
        }
        assert!(decode_loop.next_token(&[1]).is_err());

        // The values of unknown tokens do not affect anything else.
        let mut decode_loop = DecodeLoop::new(&m, prompt()).unwrap();
        while decode_loop.next_chunk().is_some() {}
        let mut known = decode_loop.clone();
        let (fed, known) = (decode_loop.next_fed(NEXT_TOKEN).unwrap(), known.next_token(&[7, 8]).unwrap());
        assert_eq!(fed.device_input, Some(DeviceInput { input: "input_ids".into(), output: "next_token".into() }));
        assert_eq!(fed.inputs["input_ids"].shape, known.inputs["input_ids"].shape);
        for name in ["attention_mask", "position_ids"] {
            assert_eq!(fed.inputs[name], known.inputs[name]);
        }
    }

    #[test]
    fn prompts_that_do_not_fit_are_refused() {
        let m = decoder_manifest();
        let fail = |change: fn(&mut Tensors)| {
            let mut inputs = prompt();
            change(&mut inputs);
            DecodeLoop::new(&m, inputs).unwrap_err().to_string()
        };
        let short = |i: &mut Tensors| drop(i.insert("attention_mask".into(), Tensor::i32([2, 5], vec![1; 10])));
        assert!(fail(short).contains("6 tokens per row, like the other inputs, found i32 [2, 5]"));
        assert!(fail(|i| drop(i.remove("input_ids"))).contains("found nothing"));
        let mut encoder = decoder_manifest();
        encoder.entries.truncate(1);
        assert!(DecodeLoop::new(&encoder, prompt()).unwrap_err().to_string().contains("does not generate tokens"));
    }

    #[test]
    fn an_encoder_comes_first_and_the_decoder_gets_its_start_tokens() {
        let m = crate::testing::encoder_manifest();
        let source = Tensor::i32([2, 5], vec![3; 10]);
        let mask = Tensor::i32([2, 5], vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
        let given = Tensors::from([("source".to_string(), source.clone()), ("source_mask".to_string(), mask.clone())]);
        let mut decode_loop = DecodeLoop::new(&m, given.clone()).unwrap();
        assert_eq!((decode_loop.batch(), decode_loop.prompt_tokens()), (2, 2));
        let encode = decode_loop.next_chunk().unwrap();
        assert!(decode_loop.encodes(&encode));
        assert_eq!(encode.inputs, given);
        let prefill = decode_loop.next_chunk().unwrap();
        assert!(!decode_loop.encodes(&prefill) && prefill.entry == "prefill");
        assert_eq!(prefill.inputs["input_ids"], Tensor::i32([2, 2], vec![7, 8, 7, 8]));
        assert_eq!(prefill.inputs["source_mask"], mask, "it does not grow");
        assert!(!prefill.inputs.contains_key("source"));
        assert_eq!(decode_loop.next_chunk(), None);
        let decode = decode_loop.next_token(&[1, 2]).unwrap();
        assert_eq!((decode.past, &decode.inputs["source_mask"]), (2, &mask));

        let mut nameless = m.clone();
        nameless.model.decoder_start_tokens.clear();
        let message = DecodeLoop::new(&nameless, given.clone()).unwrap_err().to_string();
        assert!(message.starts_with("input `input_ids`: expected the decoder's start tokens"), "{message}");
        let own = Tensor::i32([2, 1], vec![4, 4]);
        let told = [given, Tensors::from([("input_ids".to_string(), own.clone())])].into_iter().flatten().collect();
        let mut decode_loop = DecodeLoop::new(&nameless, told).unwrap();
        decode_loop.next_chunk();
        assert_eq!(decode_loop.next_chunk().unwrap().inputs["input_ids"], own);
    }
}
