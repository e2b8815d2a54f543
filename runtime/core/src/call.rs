//! Prepares calls for backends: binds symbols, fills in absent inputs, and checks the rest.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gristmill_bundle::size::{Expr, SizeError};
use gristmill_bundle::{Advance, Elem, Entry, EntryRole, Held, Input, InputDefault, Manifest, Size, StateKind};

use crate::backend::{Data, Tensor};
use crate::error::Error;

/// A session: the arguments of [`crate::Backend::begin`], and the content of states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The number of rows.
    pub batch: u32,
    /// The number of tokens for which the states of each row have space.
    pub capacity: u32,
    /// The symbols of the encoding call, in the order of [`Manifest::symbols`].
    encoded: Option<Vec<u32>>,
    /// The content of each state, in the order of [`Manifest::states`]; states that are not listed are empty.
    held: Vec<Held>,
}

impl Session {
    /// A session without calls so far.
    pub fn new(batch: u32, capacity: u32) -> Self {
        Session { batch, capacity, encoded: None, held: Vec::new() }
    }

    /// Records a call in flight: later calls read what it keeps, in a layout that depends on its symbols.
    pub fn called(&mut self, manifest: &Manifest, call: &Call<'_>) {
        let entry = &manifest.entries[call.entry];
        let count = |name| symbol(manifest, &call.symbols, name).unwrap_or(0);
        let (past, new) = (count("P"), count("T"));
        self.held.resize(manifest.states.len(), Held::default());
        for state in &entry.states {
            let held = &mut self.held[*state as usize];
            *held = held.after(past, new);
        }
        match entry.role {
            EntryRole::Encode => self.encoded = Some(call.symbols.clone()),
            EntryRole::Prefill | EntryRole::Decode => {}
            _ if entry.states.is_empty() => {}
            // They write states of any kind, in a layout of their own.
            EntryRole::Tensors | EntryRole::Embed | EntryRole::Taps => self.encoded = None,
        }
    }
}

/// A call that was checked.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Index in [`Manifest::entries`].
    pub entry: usize,
    /// Values in the order of [`Manifest::symbols`].
    pub symbols: Vec<u32>,
    /// One tensor for each of [`Entry::inputs`], in that order.
    pub inputs: Vec<Cow<'a, Tensor>>,
}

/// Binds the symbols of a call, fills in absent inputs, and checks everything else.
///
/// `session` is that of the last `begin`, if any; entries with states need it.
///
/// # Errors
/// If there is no such entry, no session for an entry with states, or no encoder cache for one that reads it; if an
/// input is missing, unknown or has the wrong shape; if a symbol is out of range; or if the states cannot continue from
/// `past`.
pub fn prepare<'a>(
    manifest: &Manifest,
    entry: &str,
    inputs: &'a BTreeMap<String, Tensor>,
    past: u32,
    session: Option<&Session>,
) -> Result<Call<'a>, Error> {
    let index = find_entry(manifest, entry)?;
    let entry = &manifest.entries[index];
    let stateless = entry.states.is_empty();
    let session = match (stateless, session) {
        (false, None) => return Err(Error::Unsupported("`begin` was not called before `run`".to_string())),
        (_, session) => session,
    };
    let encoded = session.and_then(|s| s.encoded.as_deref()).filter(|_| recalls(manifest, entry));
    if let (true, None, Some(encoder)) = (recalls(manifest, entry), encoded, encoder(manifest)) {
        let (reader, encoder) = (&entry.name, &encoder.name);
        return Err(Error::Unsupported(format!("`{reader}` reads the encoder cache: run `{encoder}` first")));
    }
    let symbols = bind_symbols(manifest, entry, inputs, past, session.map(|s| s.capacity), encoded)?;
    if let Some(session) = session.filter(|_| !stateless) {
        check_session(manifest, &symbols, session)?;
        check_past(manifest, entry, &symbols, session)?;
    }
    let inputs = entry.inputs.iter().map(|i| {
        let input = &manifest.inputs[*i as usize];
        match inputs.get(&input.name) {
            Some(given) => check_input(manifest, input, given, &symbols).map(|()| Cow::Borrowed(given)),
            None => default_input(manifest, input, &symbols).map(Cow::Owned),
        }
    });
    Ok(Call { entry: index, inputs: inputs.collect::<Result<_, Error>>()?, symbols })
}

/// The entry with the role `Encode`, if the model has one.
pub fn encoder(manifest: &Manifest) -> Option<&Entry> {
    manifest.entries.iter().find(|e| e.role == EntryRole::Encode)
}

/// The encoder of an encoder-decoder model, whose decoder starts with tokens of its own. Other encoders read the prompt
/// that the decoder continues, together with other inputs such as images.
pub fn separate_encoder(manifest: &Manifest) -> Option<&Entry> {
    let continues = |i: &u32| manifest.inputs[*i as usize].advance == Some(Advance::Token);
    encoder(manifest).filter(|e| !e.inputs.iter().any(continues))
}

/// Whether an entry reads states that another one has kept.
fn recalls(manifest: &Manifest, entry: &Entry) -> bool {
    matches!(entry.role, EntryRole::Prefill | EntryRole::Decode) && encoder(manifest).is_some()
}

/// The index of the entry with this name.
///
/// # Errors
/// [`Error::UnknownEntry`], which lists the entries.
pub fn find_entry(manifest: &Manifest, name: &str) -> Result<usize, Error> {
    manifest.entries.iter().position(|e| e.name == name).ok_or_else(|| Error::UnknownEntry {
        name: name.to_string(),
        known: names(manifest.entries.iter().map(|e| &e.name)),
    })
}

/// Names in backticks, separated by commas.
pub(crate) fn names<'a>(all: impl Iterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = all.map(|n| format!("`{n}`")).collect();
    if quoted.is_empty() { "none".to_string() } else { quoted.join(", ") }
}

/// The values of all symbols, in the order of [`Manifest::symbols`].
///
/// `P` is `past`, `C` the capacity. The others come from the fixed values of the entry, and from axes of given inputs
/// that are a single symbol. `encoded` has the symbols of the encoding call, whose values all symbols except `B`, `T`,
/// `P` and `C` keep. Remaining symbols get their smallest value. Values are checked against the declared ranges, shapes
/// only as far as they determine symbols.
///
/// # Errors
/// If inputs contradict each other, a symbol is out of its range, or the entry does not continue from `past`.
pub fn bind_symbols(
    manifest: &Manifest,
    entry: &Entry,
    inputs: &BTreeMap<String, Tensor>,
    past: u32,
    capacity: Option<u32>,
    encoded: Option<&[u32]>,
) -> Result<Vec<u32>, Error> {
    let symbols = manifest.symbol_names();
    let mut values: Vec<Option<u32>> = manifest.symbols.iter().map(|s| entry.bind.get(&s.name).copied()).collect();
    for (i, (value, name)) in values.iter_mut().zip(&symbols).enumerate() {
        match *name {
            "P" => match *value {
                Some(fixed) if fixed != past => {
                    return Err(Error::Unsupported(format!(
                        "`{}` does not continue earlier calls: expected {fixed} past tokens, found {past}",
                        entry.name
                    )));
                }
                _ => *value = Some(past),
            },
            "C" => *value = capacity,
            "B" | "T" => {}
            _ => *value = value.or(encoded.and_then(|e| e.get(i).copied())),
        }
    }
    if let Some(name) = inputs.keys().find(|n| !entry_inputs(manifest, entry).any(|i| i.name == **n)) {
        let known = names(entry_inputs(manifest, entry).map(|i| &i.name));
        let expected = format!("only the inputs of entry `{}`: {known}", entry.name);
        return Err(Error::Input { name: name.clone(), expected, found: "another input".to_string() });
    }
    for input in entry_inputs(manifest, entry) {
        let Some(given) = inputs.get(&input.name) else {
            if input.default.is_none() {
                let expected = format!("{} {}", elem_name(input.elem), shape_text(&input.shape));
                return Err(Error::Input { name: input.name.clone(), expected, found: "nothing".to_string() });
            }
            continue;
        };
        if given.shape.len() != input.shape.len() {
            return Err(input_error(input, given, None));
        }
        for (size, found) in input.shape.iter().zip(&given.shape) {
            let symbol = size.as_symbol().and_then(|name| symbols.iter().position(|s| *s == name));
            let Some(symbol) = symbol else { continue };
            let found = u32::try_from(*found).unwrap_or(u32::MAX);
            check_range(manifest, symbol, found)?;
            // The first input to mention a symbol decides; others are judged against it by `check_input`.
            values[symbol].get_or_insert(found);
        }
    }
    let values: Vec<u32> = values.iter().zip(&manifest.symbols).map(|(v, s)| v.unwrap_or(s.min)).collect();
    (0..values.len()).try_for_each(|i| check_range(manifest, i, values[i]))?;
    Ok(values)
}

fn entry_inputs<'m>(manifest: &'m Manifest, entry: &'m Entry) -> impl Iterator<Item = &'m Input> {
    entry.inputs.iter().map(|i| &manifest.inputs[*i as usize])
}

fn check_range(manifest: &Manifest, symbol: usize, value: u32) -> Result<(), Error> {
    let s = &manifest.symbols[symbol];
    if (s.min..=s.max).contains(&value) {
        return Ok(());
    }
    let hint = match s.name.as_str() {
        "T" | "C" if value > s.max => "; compile with a larger --max-context or shorten the input",
        _ => "",
    };
    let (value, hint) = (u64::from(value), hint.to_string());
    Err(Error::Range { symbol: s.name.clone(), value, min: s.min, max: s.max, hint })
}

/// The value of a symbol, by name.
pub(crate) fn symbol(manifest: &Manifest, values: &[u32], name: &str) -> Option<u32> {
    manifest.symbols.iter().position(|s| s.name == name).and_then(|i| values.get(i).copied())
}

/// Checks that all states of an entry can continue from the past tokens, and have space for the new ones.
fn check_past(manifest: &Manifest, entry: &Entry, symbols: &[u32], session: &Session) -> Result<(), Error> {
    let count = |name| symbol(manifest, symbols, name).unwrap_or(0);
    let (past, new) = (count("P"), count("T"));
    for index in &entry.states {
        let state = &manifest.states[*index as usize];
        let held = session.held.get(*index as usize).copied().unwrap_or_default();
        let (entry, name) = (&entry.name, &state.name);
        match state.kind {
            StateKind::Appended { ring: Some(ring), .. } if new > ring.most_new(past) => {
                let most = ring.most_new(past);
                return Err(Error::Unsupported(format!(
                    "`{entry}` takes at most {most} tokens after {past} others, found {new}: the state `{name}` holds \
                     {} at a time; split the call",
                    ring.rows
                )));
            }
            // A growing state that was not filled is zero, which is useful for measurements.
            StateKind::Appended { .. } if past > held.length => {}
            StateKind::Appended { ring: Some(ring), .. } if state.kind.resumes(held, past) != past => {
                return Err(Error::Unsupported(format!(
                    "`{entry}` cannot continue after {past} tokens: the state `{name}` holds the last {} of {}; \
                     continue after at least {}, or start from 0",
                    ring.rows,
                    held.most,
                    held.most - (ring.rows - ring.window) - 1
                )));
            }
            StateKind::Overwritten if state.kind.resumes(held, past) != past => {
                let held = held.length;
                return Err(Error::Unsupported(format!(
                    "`{entry}` cannot continue after {past} tokens: the state `{name}` is the one after {held}; \
                     continue after {held}, or start from 0"
                )));
            }
            StateKind::Appended { .. } | StateKind::Overwritten | StateKind::Kept => {}
        }
    }
    Ok(())
}

/// The largest number of past tokens, at most `wanted`, from which calls can continue.
pub fn resumes(manifest: &Manifest, held: Held, wanted: u32) -> u32 {
    manifest.states.iter().fold(wanted.min(held.length), |past, state| state.kind.resumes(held, past))
}

fn check_session(manifest: &Manifest, symbols: &[u32], session: &Session) -> Result<(), Error> {
    let value = |name| symbol(manifest, symbols, name);
    if let Some(batch) = value("B")
        && batch != session.batch
    {
        return Err(Error::Unsupported(format!(
            "the inputs have {batch} rows, but the states were made for {}",
            session.batch
        )));
    }
    let wanted = u64::from(value("P").unwrap_or(0)) + u64::from(value("T").unwrap_or(0));
    if wanted > u64::from(session.capacity) {
        return Err(Error::Context { wanted, capacity: session.capacity, hint: String::new() });
    }
    Ok(())
}

fn check_input(manifest: &Manifest, input: &Input, given: &Tensor, symbols: &[u32]) -> Result<(), Error> {
    let shape = eval_shape(manifest, &input.shape, symbols)?;
    let type_fits = matches!((input.elem, &given.data), (Elem::F32, Data::F32(_)) | (Elem::I32, Data::I32(_)));
    if !type_fits || shape != given.shape || !is_whole(given) {
        return Err(input_error(input, given, Some(&shape)));
    }
    check_rows(input, given)
}

/// Rejects indices out of range: kernels clamp them, so that they would silently select another row.
fn check_rows(input: &Input, given: &Tensor) -> Result<(), Error> {
    let (Some(below), Data::I32(values)) = (input.below, &given.data) else { return Ok(()) };
    let fits = |value: &i32| u32::try_from(*value).is_ok_and(|value| value < below);
    match values.iter().position(|value| !fits(value)) {
        Some(at) => Err(Error::Input {
            name: input.name.clone(),
            expected: format!("values from 0 to {}", i64::from(below) - 1),
            found: format!("{} at {at}", values[at]),
        }),
        None => Ok(()),
    }
}

/// Checks that the number of elements of a tensor agrees with its shape.
fn is_whole(tensor: &Tensor) -> bool {
    tensor.shape.iter().try_fold(1usize, |a, n| a.checked_mul(*n)) == Some(tensor.data.len())
}

fn input_error(input: &Input, given: &Tensor, shape: Option<&[usize]>) -> Error {
    let mut expected = format!("{} {}", elem_name(input.elem), shape_text(&input.shape));
    if let Some(shape) = shape {
        expected += &format!(" = {shape:?}");
    }
    let mut found = given.describe();
    if !is_whole(given) {
        found += &format!(" with {} elements", given.data.len());
    }
    Error::Input { name: input.name.clone(), expected, found }
}

fn elem_name(elem: Elem) -> &'static str {
    match elem {
        Elem::F32 => "f32",
        Elem::F16 => "f16",
        Elem::I32 => "i32",
    }
}

/// `[B, P + T]`.
pub(crate) fn shape_text(shape: &[Size]) -> String {
    format!("[{}]", shape.iter().map(Size::to_string).collect::<Vec<_>>().join(", "))
}

/// The largest number of elements of an input that is filled in; symbols may have any declared range.
const MAX_FILLED: usize = 1 << 28;

fn default_input(manifest: &Manifest, input: &Input, symbols: &[u32]) -> Result<Tensor, Error> {
    let shape = eval_shape(manifest, &input.shape, symbols)?;
    let count = shape.iter().try_fold(1usize, |a, n| a.checked_mul(*n)).filter(|n| *n <= MAX_FILLED);
    let count = count.ok_or_else(|| Error::Unsupported(format!("input `{}` is too large: {shape:?}", input.name)))?;
    let values: Vec<i32> = match input.default {
        Some(InputDefault::Positions) => {
            let (past, last) = (symbol(manifest, symbols, "P").unwrap_or(0), shape.last().copied().unwrap_or(1));
            (0..count).map(|i| past as i32 + (i % last) as i32).collect()
        }
        Some(InputDefault::Value(v)) => vec![v; count],
        // `bind_symbols` has rejected absent inputs without a default.
        None => Vec::new(),
    };
    let data = match input.elem {
        Elem::I32 => Data::I32(values),
        Elem::F32 | Elem::F16 => Data::F32(values.into_iter().map(|v| v as f32).collect()),
    };
    Ok(Tensor { shape, data })
}

/// The value of a shape under the symbols of a call.
///
/// # Errors
/// If a size overflows, is negative, or divides by zero.
pub fn eval_shape(manifest: &Manifest, shape: &[Size], symbols: &[u32]) -> Result<Vec<usize>, Error> {
    let names = manifest.symbol_names();
    let eval = |size: &Size| -> Result<usize, Error> {
        let value = size.resolve(&names).and_then(|e: Expr| e.eval(symbols)).map_err(invalid)?;
        usize::try_from(value).map_err(|_| Error::Unsupported(format!("the size `{size}` is {value}")))
    };
    shape.iter().map(eval).collect()
}

/// The value of a size. Sizes of a valid manifest resolve; only their evaluation can fail.
pub(crate) fn invalid(error: SizeError) -> Error {
    Error::Unsupported(error.to_string())
}

/// The outputs of a call, as indices in [`Entry::outputs`]; without names, all of them.
///
/// # Errors
/// [`Error::UnknownOutput`], which lists the outputs.
pub fn wanted_outputs(entry: &Entry, want: &[&str]) -> Result<Vec<usize>, Error> {
    if want.is_empty() {
        return Ok((0..entry.outputs.len()).collect());
    }
    let find = |name: &&str| {
        entry.outputs.iter().position(|o| o.name == **name).ok_or_else(|| Error::UnknownOutput {
            entry: entry.name.clone(),
            name: name.to_string(),
            known: names(entry.outputs.iter().map(|o| &o.name)),
        })
    };
    want.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use gristmill_bundle::State;

    use super::*;
    use crate::testing::decoder_manifest;
    use gristmill_bundle::Ring;

    fn ids(rows: usize, n: usize) -> BTreeMap<String, Tensor> {
        BTreeMap::from([("input_ids".to_string(), Tensor::i32([rows, n], vec![1; rows * n]))])
    }

    const SESSION: Option<&Session> = Some(&Session { batch: 2, capacity: 16, encoded: None, held: Vec::new() });

    #[test]
    fn absent_inputs_are_filled() {
        let m = decoder_manifest();
        let inputs = ids(2, 3);
        let call = prepare(&m, "prefill", &inputs, 4, SESSION).unwrap();
        assert_eq!(m.symbol_names(), ["B", "T", "P", "C"]);
        assert_eq!(call.symbols, [2, 3, 4, 16]);
        assert_eq!(*call.inputs[1], Tensor::i32([2, 7], vec![1; 14]));
        assert_eq!(*call.inputs[2], Tensor::i32([2, 3], vec![4, 5, 6, 4, 5, 6]));
    }

    #[test]
    fn faults_name_input_expectation_and_finding() {
        let m = decoder_manifest();
        let fail = |entry: &str, inputs: &BTreeMap<String, Tensor>, past, session| {
            prepare(&m, entry, inputs, past, session).unwrap_err().to_string()
        };
        assert_eq!(
            fail("prefil", &ids(2, 3), 0, SESSION),
            "no entry `prefil` in this bundle; it has `forward`, `prefill`, `decode`"
        );
        assert_eq!(
            fail("prefill", &BTreeMap::new(), 0, SESSION),
            "input `input_ids`: expected i32 [B, T], found nothing"
        );
        let mut bad = ids(2, 3);
        bad.insert("attention_mask".to_string(), Tensor::i32([2, 4], vec![1; 8]));
        assert_eq!(
            fail("prefill", &bad, 0, SESSION),
            "input `attention_mask`: expected i32 [B, P + T] = [2, 3], found i32 [2, 4]"
        );
        let mut bad = ids(2, 3);
        bad.insert("pixels".to_string(), Tensor::f32([1], vec![0.0]));
        assert!(fail("prefill", &bad, 0, SESSION).starts_with("input `pixels`: expected only the inputs of entry"));
        let bad = BTreeMap::from([("input_ids".to_string(), Tensor::i32([2, 3], vec![1; 5]))]);
        assert!(fail("prefill", &bad, 0, SESSION).ends_with("found i32 [2, 3] with 5 elements"));
        let bad = BTreeMap::from([("input_ids".to_string(), Tensor::f32([2, 3], vec![1.0; 6]))]);
        assert!(fail("prefill", &bad, 0, SESSION).ends_with("= [2, 3], found f32 [2, 3]"));
        assert_eq!(fail("prefill", &ids(2, 0), 0, SESSION), "`T` is 0, but this model takes 1 to 64");
        assert_eq!(fail("prefill", &ids(2, 3), 15, SESSION), "18 tokens do not fit into a context of 16");
        assert!(fail("prefill", &ids(1, 3), 0, SESSION).contains("1 rows, but the states were made for 2"));
        assert!(fail("prefill", &ids(1, 3), 0, None).contains("`begin` was not called"));
        assert!(fail("decode", &ids(2, 2), 0, SESSION).contains("expected i32 [B, T] = [2, 1], found i32 [2, 2]"));
    }

    #[test]
    fn what_is_kept_is_read_with_the_symbols_of_the_call_that_kept_it() {
        let m = crate::testing::encoder_manifest();
        let mut session = Session::new(2, 16);
        let fail = |session: &Session, inputs: &BTreeMap<String, Tensor>| {
            prepare(&m, "decode", inputs, 3, Some(session)).unwrap_err().to_string()
        };
        assert_eq!(fail(&session, &ids(2, 1)), "`decode` reads the encoder cache: run `encode` first");
        let source = BTreeMap::from([("source".to_string(), Tensor::i32([2, 5], vec![1; 10]))]);
        let call = prepare(&m, "encode", &source, 0, Some(&session)).unwrap();
        session.called(&m, &call);
        let given = ids(2, 1);
        let decode = prepare(&m, "decode", &given, 3, Some(&session)).unwrap();
        assert_eq!(symbol(&m, &decode.symbols, "S"), Some(5));
        assert_eq!(*decode.inputs[4], Tensor::i32([2, 5], vec![1; 10]), "the default mask is as long");
        let mut other = ids(2, 1);
        other.insert("source_mask".to_string(), Tensor::i32([2, 4], vec![1; 8]));
        assert!(fail(&session, &other).starts_with("input `source_mask`: expected i32 [B, S] = [2, 5]"));
        session.called(&m, &prepare(&m, "forward", &given, 0, Some(&session)).unwrap());
        assert!(fail(&session, &given).contains("run `encode` first"), "forward wrote states of its own");
    }

    #[test]
    fn what_cannot_go_back_says_so() {
        let mut m = decoder_manifest();
        let goes_back = |m: &Manifest, past| prepare(m, "prefill", &ids(2, 3), past, Some(&after_seven(m))).map(drop);
        assert!(goes_back(&m, 5).is_ok(), "a cache forgets what lies behind");
        let seven = Held { length: 7, most: 7 };
        assert_eq!(resumes(&m, seven, 5), 5);
        m.states.push(State { name: "window".into(), elem: Elem::F32, shape: vec![], kind: StateKind::Overwritten });
        m.entries.iter_mut().filter(|e| e.name != "forward").for_each(|e| e.states.push(1));
        for past in [0, 7] {
            assert!(goes_back(&m, past).is_ok(), "{past}");
        }
        for past in [5, 8] {
            assert_eq!(
                goes_back(&m, past).unwrap_err().to_string(),
                format!(
                    "`prefill` cannot continue after {past} tokens: the state `window` is the one after 7; continue \
                     after 7, or start from 0"
                )
            );
        }
        assert_eq!([4, 7, 9].map(|wanted| resumes(&m, seven, wanted)), [0, 7, 7]);
        // Calls of other entries leave it alone.
        let mut session = after_seven(&m);
        let given = ids(2, 2);
        session.called(&m, &prepare(&m, "forward", &given, 0, Some(&session)).unwrap());
        assert!(prepare(&m, "prefill", &given, 7, Some(&session)).is_ok());
    }

    #[test]
    fn a_ring_goes_back_as_far_as_it_holds() {
        let mut m = decoder_manifest();
        // Each token sees four; six rows are enough for calls of three.
        let ring = Ring { window: 4, rows: 6 };
        m.states[0].kind = StateKind::Appended { axis: 1, ring: Some(ring) };
        let call = |session: &mut Session, past: u32, new: usize| -> Result<(), String> {
            let given = ids(2, new);
            let call = prepare(&m, "prefill", &given, past, Some(session)).map_err(|e| e.to_string())?;
            session.called(&m, &call);
            Ok(())
        };
        let mut session = Session::new(2, 16);
        let fault = call(&mut session, 0, 7).unwrap_err();
        assert_eq!(
            fault,
            "`prefill` takes at most 6 tokens after 0 others, found 7: the state `seen` holds 6 at a time; split the \
             call"
        );
        assert_eq!(call(&mut session, 0, 6), Ok(()));
        assert!(call(&mut session, 6, 4).unwrap_err().contains("at most 3 tokens after 6 others"));
        // Nothing is lost yet.
        for past in [1, 3] {
            assert_eq!(call(&mut session, past, 1), Ok(()));
        }
        for past in [4, 7] {
            assert_eq!(call(&mut session, past, 3), Ok(()));
        }
        // Ten tokens: positions 4 to 9 are there.
        assert_eq!(
            call(&mut session, 6, 1).unwrap_err(),
            "`prefill` cannot continue after 6 tokens: the state `seen` holds the last 6 of 10; continue after at \
             least 7, or start from 0"
        );
        assert_eq!(call(&mut session, 8, 1), Ok(()));
        // The tokens that were there have been overwritten.
        assert!(call(&mut session, 6, 1).unwrap_err().contains("the last 6 of 10"));
        assert_eq!(call(&mut session, 7, 1), Ok(()));
        let held = Held { length: 8, most: 10 };
        assert_eq!([3, 6, 7, 8, 9].map(|wanted| resumes(&m, held, wanted)), [0, 0, 7, 8, 8]);
        // A new text replaces the old one, and a measurement may skip tokens that do not exist.
        assert_eq!(call(&mut session, 0, 5), Ok(()));
        assert_eq!(call(&mut session, 2, 1), Ok(()));
        assert_eq!(call(&mut session, 12, 1), Ok(()));
    }

    /// A session that has processed seven tokens.
    fn after_seven(m: &Manifest) -> Session {
        let (given, mut session) = (ids(2, 7), Session::new(2, 16));
        session.called(m, &prepare(m, "prefill", &given, 0, Some(&session)).unwrap());
        session
    }
}
