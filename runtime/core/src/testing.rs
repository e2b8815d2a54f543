//! A toy decoder for the tests of this crate: its next token is a function of all tokens that its mask shows.

use std::collections::{BTreeMap, VecDeque};

use gristmill_bundle::*;

use crate::backend::{Backend, Pending, Request, Tensor, Tensors, nothing_started};
use crate::call::{Session, prepare, symbol, wanted_outputs};
use crate::error::Error;
use crate::sample::{SAMPLED_TOKEN, SAMPLING, Sampling, choose};

/// Number of tokens of the toy model.
pub(crate) const VOCAB: usize = 16;
const CANDIDATES: usize = 8;

/// Inputs and entries like those of a real decoder.
pub(crate) fn decoder_manifest() -> Manifest {
    let size = |t: &&str| t.parse::<Size>().expect("a size");
    let symbol = |name: &str, min, max| Symbol { name: name.to_string(), min, max };
    let input = |name: &str, shape: &[&str], default, advance| Input {
        name: name.to_string(),
        elem: Elem::I32,
        shape: shape.iter().map(size).collect(),
        default,
        advance: Some(advance),
        below: None,
    };
    let output = |name: &str, elem, shape: &[&str]| Output {
        name: name.to_string(),
        elem,
        shape: shape.iter().map(size).collect(),
    };
    let next = || {
        vec![
            output("next_token", Elem::I32, &["B"]),
            output("next_logits", Elem::F32, &["B", "16"]),
            output("top_tokens", Elem::I32, &["B", "8"]),
            output("top_logits", Elem::F32, &["B", "8"]),
            output(SAMPLED_TOKEN, Elem::I32, &["B"]),
        ]
    };
    let sampling = Input {
        name: SAMPLING.to_string(),
        elem: Elem::F32,
        shape: vec![size(&"B"), size(&"5")],
        default: Some(InputDefault::Value(0)),
        advance: None,
        below: None,
    };
    let entry = |name: &str, role, bind: &[(&str, u32)], inputs: u32, outputs| Entry {
        name: name.to_string(),
        role,
        bind: bind.iter().map(|(k, v)| (k.to_string(), *v)).collect(),
        inputs: (0..inputs).collect(),
        outputs,
        task: None,
        states: vec![0],
        components: vec![],
    };
    Manifest {
        format: FORMAT,
        generator: "gristmill test".to_string(),
        model: ModelInfo {
            name: "toy".to_string(),
            architecture: "toy".to_string(),
            precision: "f32".to_string(),
            parameters: 0,
            max_context: 64,
            prefill_chunk: 4,
            eos_token_ids: vec![0],
            decoder_start_tokens: vec![],
            choices: vec![],
            embedding: None,
        },
        symbols: vec![symbol("B", 1, 4), symbol("T", 1, 64), symbol("P", 0, 64), symbol("C", 1, 64)],
        inputs: vec![
            input("input_ids", &["B", "T"], None, Advance::Token),
            input("attention_mask", &["B", "P + T"], Some(InputDefault::Value(1)), Advance::Append(1)),
            input("position_ids", &["B", "T"], Some(InputDefault::Positions), Advance::Increment),
            sampling,
        ],
        states: vec![State {
            name: "seen".to_string(),
            elem: Elem::F32,
            shape: vec![size(&"B"), size(&"C")],
            kind: StateKind::Appended { axis: 1, ring: None },
        }],
        entries: vec![
            entry("forward", EntryRole::Tensors, &[("P", 0)], 3, vec![output("logits", Elem::F32, &["B", "T", "16"])]),
            entry("prefill", EntryRole::Prefill, &[], 4, next()),
            entry("decode", EntryRole::Decode, &[("T", 1)], 4, next()),
        ],
        tensors: vec![],
        shards: vec![],
        components: vec![],
        files: BTreeMap::new(),
        profiles: vec![],
    }
}

/// The same with an encoder: `encode` reads `source` and caches what `prefill` and `decode` read.
pub(crate) fn encoder_manifest() -> Manifest {
    let mut m = decoder_manifest();
    let size = |s: &str| s.parse::<Size>().expect("a size");
    m.symbols.push(Symbol { name: "S".to_string(), min: 1, max: 9 });
    m.model.decoder_start_tokens = vec![7, 8];
    let (source, mask) = (m.inputs.len() as u32, m.inputs.len() as u32 + 1);
    let input = |name: &str, default| Input {
        name: name.to_string(),
        elem: Elem::I32,
        shape: vec![size("B"), size("S")],
        default,
        advance: None,
        below: None,
    };
    m.inputs.extend([input("source", None), input("source_mask", Some(InputDefault::Value(1)))]);
    m.states.push(State {
        name: "kept".to_string(),
        elem: Elem::F32,
        shape: vec![size("B"), size("S")],
        kind: StateKind::Kept,
    });
    for entry in &mut m.entries {
        entry.inputs.push(mask);
    }
    let outputs = vec![Output { name: "encoded".to_string(), elem: Elem::F32, shape: vec![size("B"), size("S")] }];
    m.entries.push(Entry {
        name: "encode".to_string(),
        role: EntryRole::Encode,
        bind: BTreeMap::new(),
        inputs: vec![source, mask],
        outputs,
        task: None,
        states: vec![1],
        components: vec![],
    });
    m
}

/// A call that [`ToyBackend`] received: entry, T, past, wanted outputs.
pub(crate) type Seen = (String, u32, u32, Vec<String>);

/// Executes [`decoder_manifest`].
pub(crate) struct ToyBackend {
    pub(crate) manifest: Manifest,
    pub(crate) calls: Vec<Seen>,
    session: Option<Session>,
    /// (token, position) of every row.
    history: Vec<Vec<(i32, i32)>>,
    /// Whether a call continues where the previous one ended.
    pub(crate) keeps_history: bool,
    /// Number of calls in flight before results are requested.
    pub(crate) depth: usize,
    results: VecDeque<Tensors>,
    /// All outputs of the last call.
    last: Tensors,
}

impl ToyBackend {
    pub(crate) fn new() -> Self {
        ToyBackend {
            manifest: decoder_manifest(),
            calls: vec![],
            session: None,
            history: vec![],
            keeps_history: true,
            depth: 1,
            results: VecDeque::new(),
            last: Tensors::new(),
        }
    }
}

/// The score of each token after tokens at positions: a mixture without ties.
pub(crate) fn toy_logits(seen: &[(i32, i32)]) -> Vec<f32> {
    let hash = seen.iter().fold(17u32, |h, (t, p)| {
        h.wrapping_add((*t as u32 + 3).wrapping_mul(*p as u32 * 2 + 5).wrapping_mul(2_654_435_761))
    });
    (0..VOCAB as u32).map(|v| ((hash ^ (v * 40_503)).wrapping_mul(2_246_822_519) >> 12) as f32 / 65536.0).collect()
}

impl Backend for ToyBackend {
    fn describe(&self) -> String {
        "toy".to_string()
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn begin(&mut self, batch: u32, capacity: u32) -> Pending<'_, ()> {
        self.session = Some(Session::new(batch, capacity));
        self.history = vec![vec![]; batch as usize];
        self.results.clear();
        Box::pin(std::future::ready(Ok(())))
    }

    fn start<'a>(&'a mut self, request: &'a Request, want: &'a [&'a str]) -> Pending<'a, ()> {
        assert!(self.results.len() < self.depth, "more calls in progress than the depth allows");
        let result = self.compute(request, want).map(|outputs| self.results.push_back(outputs));
        Box::pin(std::future::ready(result))
    }

    fn finish(&mut self) -> Pending<'_, Tensors> {
        Box::pin(std::future::ready(self.results.pop_front().ok_or_else(nothing_started)))
    }
}

impl ToyBackend {
    fn compute(&mut self, request: &Request, want: &[&str]) -> Result<Tensors, Error> {
        let (entry, past) = (request.entry.as_str(), request.past);
        let mut inputs = request.inputs.clone();
        if let Some(fed) = &request.device_input {
            let shape = inputs[&fed.input].shape.clone();
            inputs.insert(fed.input.clone(), Tensor { shape, data: self.last[&fed.output].data.clone() });
        }
        let inputs = &inputs;
        let call = prepare(&self.manifest, entry, inputs, past, self.session.as_ref())?;
        let new = symbol(&self.manifest, &call.symbols, "T").unwrap_or(0);
        self.calls.push((entry.to_string(), new, past, want.iter().map(|w| w.to_string()).collect()));
        if !self.keeps_history {
            self.history.iter_mut().for_each(Vec::clear);
        }
        let (new, total) = (new as usize, past as usize + new as usize);
        let [ids, mask, positions] = [0, 1, 2].map(|i| call.inputs[i].as_i32().unwrap_or_default());
        let (mut logits, mut all) = (vec![], vec![]);
        for (row, history) in self.history.iter_mut().enumerate() {
            assert_eq!(history.len(), past as usize, "calls must follow one another");
            for i in row * new..(row + 1) * new {
                history.push((ids[i], positions[i]));
                let mask = &mask[row * total..(row + 1) * total];
                let visible: Vec<_> = history.iter().zip(mask).filter(|(_, m)| **m != 0).map(|(h, _)| *h).collect();
                all.extend(toy_logits(&visible));
            }
            logits.push(all[all.len() - VOCAB..].to_vec());
        }
        let order = |row: &Vec<f32>| {
            let mut order: Vec<usize> = (0..VOCAB).collect();
            order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
            order
        };
        let rows = logits.len();
        let top: Vec<Vec<usize>> = logits.iter().map(|r| order(r)[..CANDIDATES].to_vec()).collect();
        let settings: Vec<f32> = call.inputs.get(3).and_then(|s| s.as_f32()).unwrap_or_default().to_vec();
        let sampled = top.iter().zip(&logits).zip(settings.chunks_exact(5)).map(|((tokens, logits), s)| {
            let candidates = tokens.iter().map(|t| (*t as u32, logits[*t])).collect();
            let (temperature, top_k) = (s[0], s[1] as u32);
            let sampling = Sampling { temperature, top_k, top_p: s[2], min_p: s[3], ..Sampling::default() };
            choose(&sampling, candidates, || s[4]).unwrap_or_default() as i32
        });
        let sampled: Vec<i32> = sampled.collect();
        let top_logits = top.iter().zip(&logits).flat_map(|(t, l)| t.iter().map(|i| l[*i])).collect();
        let outputs = [
            ("next_token", Tensor::i32([rows], top.iter().map(|t| t[0] as i32).collect())),
            ("top_tokens", Tensor::i32([rows, CANDIDATES], top.iter().flatten().map(|t| *t as i32).collect())),
            ("top_logits", Tensor::f32([rows, CANDIDATES], top_logits)),
            (SAMPLED_TOKEN, Tensor::i32([sampled.len()], sampled)),
            ("next_logits", Tensor::f32([rows, VOCAB], logits.concat())),
            ("logits", Tensor::f32([rows, new, VOCAB], all)),
        ];
        let entry = &self.manifest.entries[call.entry];
        let wanted = wanted_outputs(entry, want)?;
        self.last = outputs.into_iter().map(|(n, t)| (n.to_string(), t)).collect();
        let named = self.last.iter().map(|(n, t)| (n.clone(), t.clone()));
        Ok(named.filter(|(n, _)| wanted.iter().any(|w| entry.outputs[*w].name == *n)).collect())
    }
}
