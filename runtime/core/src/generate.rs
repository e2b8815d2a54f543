//! Generates tokens from a prompt.
//!
//! [`Generator`] decides which call comes next and interprets results, without touching a device. [`drive`] runs it on
//! a [`Backend`], with several calls in flight if that makes the backend faster.

use std::collections::{BTreeSet, VecDeque};

use gristmill_bundle::{Held, Manifest};

use crate::backend::{Backend, Request, Tensor, Tensors};
use crate::call::resumes;
use crate::decode_loop::{DecodeLoop, token_input};
use crate::error::Error;
use crate::gather::gather;
use crate::prompt::{Prompt, check_fits, no_tokens};
use crate::sample::Sampling;
use crate::token_selector::TokenSelector;

/// The outputs of a call in which the model chooses a start token.
const OPEN: &[&str] = &["next_logits"];

/// Settings of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The largest number of tokens to generate. A full context also ends generation.
    pub max_new_tokens: u32,
    /// Token ids that end generation, in addition to those of the model.
    pub stop_tokens: Vec<u32>,
    /// Whether to continue after an end token of the model.
    pub ignore_eos: bool,
}

impl Default for Options {
    /// Greedy decoding of at most 256 tokens.
    fn default() -> Self {
        Options { sampling: Sampling::default(), max_new_tokens: 256, stop_tokens: vec![], ignore_eos: false }
    }
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model chose an end token.
    EndToken,
    /// The text contained a stop text.
    StopText,
    /// `max_new_tokens` were generated.
    MaxTokens,
    /// The context is full.
    ContextFull,
    /// The caller stopped it.
    Aborted,
}

/// The progress that a call made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A part of the prompt was computed.
    Prompt {
        /// Tokens of the prompt computed so far.
        done: u32,
        /// The number of tokens of the prompt.
        total: u32,
    },
    /// The next token was chosen.
    Token(u32),
}

/// A generation in progress.
#[derive(Clone, Debug)]
pub struct Generator {
    decode_loop: DecodeLoop,
    options: Options,
    selector: TokenSelector,
    ends: BTreeSet<u32>,
    capacity: u32,
    /// The content of the states when the prompt continued after start tokens that the model had chosen.
    held: Held,
    prompt: Prompt,
    /// Tokens of the prompt and generated tokens, for the repetition penalty.
    seen: BTreeSet<u32>,
    tokens: Vec<u32>,
    /// The result of [`Generator::asked`].
    asked: Option<f32>,
    /// Calls in flight, oldest first.
    under_way: VecDeque<Expected>,
    stop: Option<Stop>,
}

/// What the results of a call are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// A part of the prompt.
    Prompt { done: u32, total: u32 },
    /// The next token of the prompt, if the model chooses it.
    Open,
    /// The next token was chosen.
    Token,
}

impl Generator {
    /// Prepares to continue `prompt` (token ids).
    ///
    /// # Errors
    /// If the prompt is empty or longer than the context, or the model does not generate tokens.
    pub fn new(manifest: &Manifest, prompt: &[u32], options: Options) -> Result<Self, Error> {
        Self::from_prompt(manifest, Prompt::text(manifest, prompt)?, options)
    }

    /// The same for a prompt with other inputs besides tokens, such as images.
    ///
    /// # Errors
    /// If the sampling options are invalid, the prompt is empty or longer than the context, or the model does not
    /// generate tokens.
    pub fn from_prompt(manifest: &Manifest, start: Prompt, options: Options) -> Result<Self, Error> {
        if let Some(fault) = options.sampling.fault() {
            return Err(Error::Unsupported(fault));
        }
        let prompt = &start.tokens;
        if prompt.is_empty() {
            return Err(no_tokens());
        }
        check_fits(manifest, prompt.len() as u64, "shorten the prompt")?;
        let mut ends: BTreeSet<u32> = gather(options.stop_tokens.iter().copied());
        if !options.ignore_eos {
            ends.extend(&manifest.model.eos_token_ids);
        }
        // The last token chosen is never fed back.
        let wanted = (prompt.len() as u32).saturating_add(options.max_new_tokens.saturating_sub(1));
        Ok(Generator {
            decode_loop: decode_loop(manifest, &start.given, start.known())?,
            selector: TokenSelector::new(manifest, &options.sampling, start.timed.clone()),
            ends,
            capacity: wanted.min(manifest.model.max_context),
            held: Held::default(),
            seen: gather(prompt.iter().copied()),
            prompt: start,
            tokens: Vec::new(),
            asked: None,
            under_way: VecDeque::new(),
            stop: (options.max_new_tokens == 0).then_some(Stop::MaxTokens),
            options,
        })
    }

    /// The number of tokens for which states need space: the `capacity` of [`Backend::begin`], with a batch of 1.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The outputs to request in a call.
    pub fn want(&self, request: &Request) -> &'static [&'static str] {
        // Encoder outputs stay on the device; the call returns whatever it has.
        match self.under_way.back() {
            _ if self.decode_loop.encodes(request) => &[],
            Some(Expected::Open) => OPEN,
            _ => self.selector.want(),
        }
    }

    /// The prompt. Start tokens that the model chooses are known as soon as the first generated token is.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// The number of tokens of the prompt.
    pub fn prompt_tokens(&self) -> u32 {
        self.prompt.length
    }

    /// The tokens generated so far, without the end token.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The probability that [`Prompt::timed`] asks for.
    pub(crate) fn asked(&self) -> Option<f32> {
        self.asked
    }

    /// The mean log probability of the tokens, including the end token, for texts with timestamps.
    pub(crate) fn log_probability(&self) -> Option<f32> {
        self.selector.log_probability()
    }

    /// Why generation ended, or none if it has not.
    pub fn stopped(&self) -> Option<Stop> {
        self.stop
    }

    /// Ends generation.
    pub fn stop(&mut self, why: Stop) {
        self.stop.get_or_insert(why);
    }

    /// Recovers after the states were lost: the next calls compute the prompt and all generated tokens again.
    ///
    /// # Errors
    /// See [`Generator::new`].
    pub fn rewind(&mut self, manifest: &Manifest) -> Result<(), Error> {
        self.under_way.clear();
        self.held = Held::default();
        let tokens = [self.prompt.known(), &self.tokens].concat();
        self.decode_loop = decode_loop(manifest, &self.prompt.given, &tokens)?;
        Ok(())
    }

    /// The next call; none if results must be accepted first, or if generation has ended.
    ///
    /// # Errors
    /// If the model takes no token ids, or no result was accepted that gives the next token.
    pub fn next_call(&mut self) -> Result<Option<Request>, Error> {
        // Counted before this call is added to those in flight.
        let index = self.tokens.len() + self.coming();
        let mut request = self.next_request()?;
        if let Some(request) = request.as_mut().filter(|r| !self.decode_loop.encodes(r)) {
            self.selector.set(request, index);
        }
        Ok(request)
    }

    /// The number of tokens in flight.
    fn coming(&self) -> usize {
        self.under_way.iter().filter(|e| **e == Expected::Token).count()
    }

    fn next_request(&mut self) -> Result<Option<Request>, Error> {
        if self.stop.is_some() {
            return Ok(None);
        }
        if let Some(chunk) = self.decode_loop.next_chunk() {
            let (done, total) = (self.decode_loop.past(), self.decode_loop.prompt_tokens());
            self.under_way.push_back(match done < total {
                true => Expected::Prompt { done, total },
                false if self.prompt.is_open() => Expected::Open,
                false => Expected::Token,
            });
            return Ok(Some(chunk));
        }
        if self.prompt.is_open() {
            return Ok(None);
        }
        let coming = self.coming();
        let fed = self.selector.fed().filter(|_| self.decode_loop.past() < self.capacity);
        let request = match (self.tokens.last(), coming, fed) {
            _ if self.tokens.len() + coming >= self.options.max_new_tokens as usize => return Ok(None),
            (_, 0, _) if self.decode_loop.past() >= self.capacity => {
                self.stop = Some(Stop::ContextFull);
                return Ok(None);
            }
            (Some(token), 0, _) => self.decode_loop.next_token(&[*token])?,
            (None, 0, _) => return Err(Error::Backend("a result is missing".to_string())),
            // The device knows the next token before we do.
            (_, _, Some(output)) => self.decode_loop.next_fed(output)?,
            (_, _, None) => return Ok(None),
        };
        self.under_way.push_back(Expected::Token);
        Ok(Some(request))
    }

    /// Accepts the results of the oldest call in flight. Returns none if they end the text.
    ///
    /// # Errors
    /// If no call is in flight, or an output has the wrong type or shape.
    pub fn accept(&mut self, manifest: &Manifest, outputs: &Tensors) -> Result<Option<Progress>, Error> {
        let expected = self.under_way.pop_front().ok_or_else(crate::backend::nothing_started)?;
        match expected {
            Expected::Prompt { done, total } => return Ok(Some(Progress::Prompt { done, total })),
            Expected::Open => return self.fill(manifest, outputs).map(Some),
            Expected::Token => {}
        }
        let token = self.selector.choose(outputs, &self.seen)?;
        if self.ends.contains(&token) {
            self.stop = Some(Stop::EndToken);
            return Ok(None);
        }
        self.seen.insert(token);
        self.tokens.push(token);
        if self.tokens.len() >= self.options.max_new_tokens as usize {
            self.stop = Some(Stop::MaxTokens);
        }
        Ok(Some(Progress::Token(token)))
    }
}

impl Generator {
    /// Puts the most probable token into the first open place, or records the probability that was asked for, and
    /// continues after what is computed already.
    fn fill(&mut self, manifest: &Manifest, outputs: &Tensors) -> Result<Progress, Error> {
        let missing = || Error::Backend(format!("the backend did not return `{}` as expected", OPEN[0]));
        let scores = outputs.get(OPEN[0]).and_then(Tensor::as_f32).ok_or_else(missing)?;
        let at = self.prompt.known().len();
        if let Some(token) = self.prompt.asked.take() {
            self.asked = Some(probability(scores, token).ok_or_else(missing)?);
        }
        if let Some(open) = self.prompt.open.pop_front_if(|open| open.place == at) {
            let scored = open.among.iter().filter_map(|id| Some((*id, *scores.get(*id as usize)?)));
            // Ties go to the first token, as in an arg max over the vocabulary.
            let best = scored.min_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))).ok_or_else(missing)?.0;
            self.prompt.tokens[open.place] = best;
            self.seen.insert(best);
        }
        let total = self.prompt.tokens.len() as u32;
        // The last token gives the first one of the text, and is computed again for that if necessary.
        let length = self.decode_loop.past();
        self.held = Held { length, most: length.max(self.held.most) };
        let done = resumes(manifest, self.held, total - 1);
        self.decode_loop = decode_loop(manifest, &self.prompt.given, self.prompt.known())?;
        self.decode_loop.skip(done);
        Ok(Progress::Prompt { done, total })
    }
}

/// The probability of a token under a softmax over `logits`; none if there is no such token.
fn probability(logits: &[f32], token: u32) -> Option<f32> {
    let own = *logits.get(token as usize)?;
    Some(1.0 / logits.iter().map(|logit| (logit - own).exp()).sum::<f32>())
}

/// The calls for a prompt of one row.
pub(crate) fn decode_loop(manifest: &Manifest, given: &Tensors, prompt: &[u32]) -> Result<DecodeLoop, Error> {
    let mut inputs = given.clone();
    let ids = prompt.iter().map(|t| *t as i32).collect();
    inputs.insert(token_input(manifest)?.name.clone(), Tensor::i32([1, prompt.len()], ids));
    DecodeLoop::new(manifest, inputs)
}

/// Counts and durations of a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// The number of tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated, without the end token.
    pub new_tokens: u32,
    /// Seconds until the first token was chosen (prefill).
    pub prefill_seconds: f64,
    /// Seconds for the other tokens (decode).
    pub decode_seconds: f64,
    /// Calls of the decode entry.
    pub decode_calls: u32,
}

/// The result of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The generated tokens, without the end token.
    pub tokens: Vec<u32>,
    /// Why generation ended.
    pub stop: Stop,
    /// Counts and durations of a generation.
    pub stats: Stats,
}

/// Generates tokens.
///
/// `clock` returns seconds since any fixed moment. `observe` is called after each chunk of the prompt and for each
/// token; if it returns a reason, generation ends with it.
///
/// # Errors
/// See [`Generator::new`]; also if a call fails.
pub async fn generate(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    prompt: &[u32],
    options: &Options,
    clock: &mut dyn FnMut() -> f64,
    observe: &mut dyn FnMut(Progress) -> Option<Stop>,
) -> Result<Outcome, Error> {
    let mut generator = Generator::new(manifest, prompt, options.clone())?;
    let mut stats = Stats::default();
    drive(&mut generator, backend, manifest, clock, &mut stats, observe).await?;
    let stop = generator.stopped().unwrap_or(Stop::Aborted);
    Ok(Outcome { tokens: generator.tokens, stop, stats })
}

/// Runs a generator until it ends, adding to `stats`. After an error it can continue, on another backend if necessary,
/// once it was rewound ([`Generator::rewind`]).
pub async fn drive(
    generator: &mut Generator,
    backend: &mut dyn Backend,
    manifest: &Manifest,
    clock: &mut dyn FnMut() -> f64,
    stats: &mut Stats,
    observe: &mut dyn FnMut(Progress) -> Option<Stop>,
) -> Result<(), Error> {
    stats.prompt_tokens = generator.prompt_tokens();
    let mut last = clock();
    let mut in_prompt = true;
    if generator.stopped().is_none() {
        backend.begin(1, generator.capacity()).await?;
    }
    let mut under_way = 0;
    loop {
        while under_way < backend.depth().max(1) {
            let Some(request) = generator.next_call()? else { break };
            backend.start(&request, generator.want(&request)).await?;
            under_way += 1;
        }
        if under_way == 0 {
            return Ok(());
        }
        let outputs = backend.finish().await?;
        under_way -= 1;
        if generator.stopped().is_some() {
            // It was started before the end was known.
            continue;
        }
        let progress = generator.accept(manifest, &outputs)?;
        let now = clock();
        let seconds = now - last;
        last = now;
        match in_prompt {
            true => stats.prefill_seconds += seconds,
            false => {
                stats.decode_seconds += seconds;
                stats.decode_calls += 1;
            }
        }
        in_prompt &= matches!(progress, Some(Progress::Prompt { .. }));
        stats.new_tokens = generator.tokens().len() as u32;
        if let Some(why) = progress.and_then(&mut *observe) {
            generator.stop(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choices::{Open, Start};
    use crate::testing::{ToyBackend, toy_logits};

    /// What the toy model would generate, computed without chunks or a cache.
    fn expected(prompt: &[u32], n: usize) -> Vec<u32> {
        let mut all = prompt.to_vec();
        for _ in 0..n {
            let seen: Vec<_> = all.iter().enumerate().map(|(p, t)| (*t as i32, p as i32)).collect();
            let logits = toy_logits(&seen);
            let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
            all.push(best as u32);
        }
        all.split_off(prompt.len())
    }

    fn run(prompt: &[u32], options: &Options) -> (Outcome, ToyBackend) {
        run_on(ToyBackend::new(), prompt, options)
    }

    fn run_ahead(depth: usize, prompt: &[u32], options: &Options) -> (Outcome, ToyBackend) {
        let mut toy = ToyBackend::new();
        toy.depth = depth;
        run_on(toy, prompt, options)
    }

    fn run_on(mut toy: ToyBackend, prompt: &[u32], options: &Options) -> (Outcome, ToyBackend) {
        let manifest = toy.manifest.clone();
        let mut time = 0.0;
        let mut clock = || {
            time += 1.0;
            time
        };
        let outcome = crate::blocking::generate(&mut toy, &manifest, prompt, options, &mut clock, &mut |_| None);
        let outcome = outcome.unwrap();
        (outcome, toy)
    }

    fn greedy(n: u32) -> Options {
        Options { max_new_tokens: n, ignore_eos: true, ..Options::default() }
    }

    #[test]
    fn chunked_cached_decoding_is_plain_decoding() {
        for len in [1, 3, 4, 5, 11] {
            let prompt: Vec<u32> = (1..=len).collect();
            let (outcome, toy) = run(&prompt, &greedy(10));
            assert_eq!(outcome.tokens, expected(&prompt, 10), "prompt of {len}");
            assert_eq!(outcome.stop, Stop::MaxTokens);
            let chunks = toy.calls.iter().filter(|c| c.0 == "prefill").count();
            assert_eq!(chunks, len.div_ceil(4) as usize);
            assert_eq!(toy.calls.len() - chunks, 9, "the last token is not fed back");
            assert!(toy.calls.iter().all(|c| c.3 == ["next_token"]));
            assert_eq!((outcome.stats.prompt_tokens, outcome.stats.new_tokens), (len, 10));
            let stats = outcome.stats;
            assert_eq!((stats.prefill_seconds, stats.decode_seconds), (chunks as f64, 9.0));
            assert_eq!(stats.decode_calls, 9);
        }
    }

    #[test]
    fn it_ends_at_end_tokens() {
        let tokens = expected(&[1, 2], 10);
        let at = tokens.iter().position(|t| *t == tokens[4]).unwrap();
        let (outcome, _) = run(&[1, 2], &Options { stop_tokens: vec![tokens[4]], ..greedy(10) });
        assert_eq!((outcome.tokens.as_slice(), outcome.stop), (&tokens[..at], Stop::EndToken));
    }

    #[test]
    fn it_ends_when_the_context_is_full() {
        let prompt: Vec<u32> = (0..60).map(|i| i % 16).collect();
        let (outcome, toy) = run(&prompt, &greedy(1000));
        // 60 + 4 fed back, and the token after those.
        assert_eq!((outcome.tokens.len(), outcome.stop), (5, Stop::ContextFull));
        assert_eq!(toy.calls.last().map(|c| c.2 + c.1), Some(64));
        let whole: Vec<u32> = vec![3; 64];
        assert_eq!(run(&whole, &greedy(9)).0.tokens.len(), 1);
    }

    #[test]
    fn prompts_are_judged_before_anything_runs() {
        let manifest = crate::testing::decoder_manifest();
        let fail = |n| Generator::new(&manifest, &vec![1; n], greedy(1)).unwrap_err().to_string();
        assert!(
            fail(65).starts_with("65 tokens do not fit into a context of 64 of this bundle: shorten"),
            "{}",
            fail(65)
        );
        assert_eq!(fail(0), "the prompt has no tokens");
        assert!(run(&[1], &greedy(0)).0.tokens.is_empty());
    }

    #[test]
    fn observers_may_stop_it() {
        let mut toy = ToyBackend::new();
        let manifest = toy.manifest.clone();
        let mut seen = Vec::new();
        let mut observe = |p| {
            seen.push(p);
            (seen.len() == 4).then_some(Stop::Aborted)
        };
        let outcome = crate::blocking::generate(&mut toy, &manifest, &[1; 9], &greedy(9), &mut || 0.0, &mut observe);
        let outcome = outcome.unwrap();
        assert_eq!(outcome.stop, Stop::Aborted);
        assert_eq!(outcome.tokens.len(), 2);
        let prompts = [Progress::Prompt { done: 4, total: 9 }, Progress::Prompt { done: 8, total: 9 }];
        assert_eq!(seen[..2], prompts);
        assert_eq!(seen[2..], [Progress::Token(outcome.tokens[0]), Progress::Token(outcome.tokens[1])]);
    }

    #[test]
    fn what_is_left_open_is_filled_by_the_model() {
        let among = vec![3, 5, 9];
        let likeliest = |before: &[(i32, i32)]| {
            let scores = toy_logits(before);
            *among.iter().max_by(|a, b| scores[**a as usize].total_cmp(&scores[**b as usize])).unwrap()
        };
        let first = likeliest(&[(7, 0)]);
        let second = likeliest(&[(7, 0), (first as i32, 1), (8, 2)]);
        let whole = [7, first, 8, second, 2];
        let open = |place| Open { place, among: among.clone() };
        let start = Start { tokens: vec![7, 0, 8, 0, 2], open: [open(1), open(3)].into() };
        for depth in [1, 3] {
            let mut toy = ToyBackend::new();
            toy.depth = depth;
            let manifest = toy.manifest.clone();
            let prompt = Prompt::given(start.clone(), Tensors::new());
            let mut generator = Generator::from_prompt(&manifest, prompt, greedy(6)).unwrap();
            let mut stats = Stats::default();
            pollster::block_on(drive(&mut generator, &mut toy, &manifest, &mut || 0.0, &mut stats, &mut |_| None))
                .unwrap();
            assert_eq!(generator.prompt().tokens(), whole);
            assert_eq!(generator.tokens(), expected(&whole, 6));
            let calls: Vec<(u32, u32, &str)> = toy.calls[..3].iter().map(|c| (c.1, c.2, c.3[0].as_str())).collect();
            assert_eq!(calls, [(1, 0, "next_logits"), (2, 1, "next_logits"), (2, 3, "next_token")]);
        }
    }

    #[test]
    fn what_cannot_go_back_takes_the_prompt_again() {
        use gristmill_bundle::StateKind;
        for (kind, past) in [(StateKind::Appended { axis: 1, ring: None }, 1), (StateKind::Overwritten, 0)] {
            let mut manifest = ToyBackend::new().manifest;
            manifest.states[0].kind = kind;
            // The requested probability follows the last token, which is then computed again for the first one of the
            // text.
            let prompt = Prompt { asked: Some(3), before: 1, ..Prompt::beside(vec![5, 7], Tensors::new()) };
            let mut generator = Generator::from_prompt(&manifest, prompt, greedy(6)).unwrap();
            assert_eq!(generator.next_call().unwrap().unwrap().past, 0);
            let scores = Tensor::f32([1, 16], toy_logits(&[(5, 0), (7, 1)]));
            let scores = Tensors::from([("next_logits".to_string(), scores)]);
            generator.accept(&manifest, &scores).unwrap();
            let next = generator.next_call().unwrap().unwrap();
            assert_eq!((next.past, next.inputs["input_ids"].shape[1]), (past, 2 - past as usize), "{kind:?}");
        }
    }

    #[test]
    fn calls_ahead_change_nothing() {
        let sampled = Sampling { temperature: 1.0, seed: 5, ..Sampling::default() };
        for (depth, sampling) in [2, 3, 5].into_iter().flat_map(|d| [(d, Sampling::default()), (d, sampled.clone())]) {
            for (len, n) in [(1, 10), (11, 10), (60, 1000), (5, 1)] {
                let options = Options { sampling: sampling.clone(), ..greedy(n) };
                let prompt: Vec<u32> = (0..len).map(|i| i % 16).collect();
                let (alone, plain) = run(&prompt, &options);
                let (ahead, toy) = run_ahead(depth, &prompt, &options);
                assert_eq!((ahead.tokens, ahead.stop), (alone.tokens.clone(), alone.stop), "{depth} {len} {n}");
                assert_eq!(toy.calls.len(), plain.calls.len(), "nothing was computed in vain");
                // An end token is detected late: up to `depth - 1` calls were wasted, but no token is too many.
                let Some(end) = alone.tokens.get(4) else { continue };
                let options = Options { stop_tokens: vec![*end], ..options };
                let (expect, plain) = run(&prompt, &options);
                let (ended, toy) = run_ahead(depth, &prompt, &options);
                assert_eq!((ended.tokens, ended.stop), (expect.tokens, expect.stop));
                assert!(toy.calls.len() < plain.calls.len() + depth);
            }
        }
    }

    #[test]
    fn lost_states_are_computed_again() {
        let prompt: Vec<u32> = (1..=9).collect();
        let sampled = Sampling { temperature: 1.0, seed: 3, ..Sampling::default() };
        let penalised = Sampling { repetition_penalty: 1.1, ..sampled.clone() };
        for sampling in [Sampling::default(), sampled, penalised] {
            let options = Options { sampling, ..greedy(10) };
            let (whole, _) = run(&prompt, &options);
            for lost_at in 0..10 {
                let mut toy = ToyBackend::new();
                let manifest = toy.manifest.clone();
                let mut generator = Generator::new(&manifest, &prompt, options.clone()).unwrap();
                let mut stats = Stats::default();
                for limit in [lost_at, usize::MAX] {
                    pollster::block_on(async {
                        toy.begin(1, generator.capacity()).await.unwrap();
                        while generator.tokens().len() < limit
                            && let Some(request) = generator.next_call().unwrap()
                        {
                            let outputs =
                                crate::backend::run(&mut toy, &request, generator.want(&request)).await.unwrap();
                            generator.accept(&manifest, &outputs).unwrap();
                        }
                    });
                    // Calls are in flight when the device is lost.
                    let _ = generator.next_call().unwrap();
                    let _ = generator.next_call();
                    generator.rewind(&manifest).unwrap();
                    toy = ToyBackend::new();
                }
                pollster::block_on(drive(&mut generator, &mut toy, &manifest, &mut || 0.0, &mut stats, &mut |_| None))
                    .unwrap();
                assert_eq!(generator.tokens(), whole.tokens, "lost after {lost_at}");
            }
        }
    }

    /// A model without a sampler of its own.
    fn plain_toy(depth: usize) -> ToyBackend {
        let mut toy = ToyBackend::new();
        toy.depth = depth;
        for entry in &mut toy.manifest.entries {
            entry.outputs.retain(|o| o.name != "sampled_token");
        }
        toy
    }

    #[test]
    fn device_and_host_sample_the_same_tokens() {
        let cool = Sampling { temperature: 0.7, top_k: 5, top_p: 0.9, min_p: 0.05, seed: 3, ..Sampling::default() };
        let warm = Sampling { temperature: 1.5, seed: 4, ..Sampling::default() };
        for sampling in [cool, warm] {
            let options = Options { sampling, ..greedy(30) };
            let (device, toy) = run_ahead(3, &[5, 6, 7], &options);
            assert!(toy.calls.iter().all(|c| c.3 == ["sampled_token"]));
            assert_ne!(device.tokens, run(&[5, 6, 7], &greedy(30)).0.tokens);
            let (host, toy) = run_on(plain_toy(3), &[5, 6, 7], &options);
            assert!(toy.calls.iter().all(|c| c.3 == ["top_tokens", "top_logits"]));
            assert_eq!(device.tokens, host.tokens);
        }
    }

    #[test]
    fn a_repetition_penalty_is_for_the_host() {
        for temperature in [0.0, 1.0] {
            let sampling = Sampling { temperature, repetition_penalty: 1.0001, seed: 3, ..Sampling::default() };
            let options = Options { sampling, ..greedy(8) };
            let (outcome, toy) = run_ahead(3, &[5, 6, 7], &options);
            assert_eq!(outcome.tokens.len(), 8);
            assert!(toy.calls.iter().all(|c| c.3 == ["top_tokens", "top_logits"]));
        }
    }
}
