//! Text generation: options in, pieces out.

use gristmill_runtime::Error;
use gristmill_runtime::generate::{Options, Outcome, Prompt, Stop};
use gristmill_runtime::sample::Sampling;
use gristmill_runtime::text::{Callbacks, TextRun};
use js_sys::{Function, Uint32Array};
use serde::Deserialize;
use serde_json::json;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::Engine;
use crate::error::from_js;

/// `GenerateOptions` of `ts/api.ts`, with defaults filled in by JavaScript.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Given {
    max_new_tokens: u32,
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    seed: u64,
    stop: Vec<String>,
    stop_tokens: Vec<u32>,
    ignore_eos: bool,
}

/// What text generation calls in JavaScript.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Token ids to text: `(Uint32Array) => string`.
    pub(crate) decode: Function,
    /// A piece of text: `(string) => void`.
    pub(crate) piece: Function,
    /// Asked after each call: `(done, total) => boolean`, with zeros when no prompt is being computed.
    pub(crate) keep_going: Function,
}

/// Turns token ids into text.
pub(crate) type Decode = Box<dyn Fn(&[u32]) -> Result<String, Error>>;

/// A text that is being generated.
pub(crate) type Run = TextRun<Decode>;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// Prepares a generation from its options as JSON.
pub(crate) fn prepare(
    manifest: &gristmill_bundle::Manifest,
    prompt: &[u32],
    options: &str,
    host: &Host,
) -> Result<Run, Error> {
    let given: Given =
        serde_json::from_str(options).map_err(|e| Error::Unsupported(format!("options of the generation: {e}")))?;
    let options = Options {
        sampling: Sampling {
            repetition_penalty: given.repetition_penalty,
            temperature: given.temperature,
            top_k: given.top_k,
            top_p: given.top_p,
            min_p: given.min_p,
            seed: given.seed,
        },
        max_new_tokens: given.max_new_tokens,
        stop_tokens: given.stop_tokens,
        ignore_eos: given.ignore_eos,
    };
    let decode = host.decode.clone();
    let decode: Decode = Box::new(move |ids| {
        let text = decode.call1(&JsValue::NULL, &Uint32Array::from(ids)).map_err(from_js)?;
        Ok(text.as_string().unwrap_or_default())
    });
    TextRun::new(manifest, decode, Prompt::text(manifest, prompt)?, &options, &given.stop)
}

/// Runs until the end; gives what came of it as JSON.
pub(crate) async fn drive(run: &mut Run, engine: &mut Engine, host: &Host) -> Result<String, Error> {
    let mut failed = None;
    let outcome = {
        let mut fail = |e: JsValue| {
            failed.get_or_insert(from_js(e));
        };
        let fail = std::cell::RefCell::new(&mut fail);
        let mut callbacks = Callbacks {
            clock: &mut || now() / 1000.0,
            keep_going: &mut |prompt| {
                let (done, total) = prompt.unwrap_or_default();
                match host.keep_going.call2(&JsValue::NULL, &done.into(), &total.into()) {
                    Ok(go_on) => go_on.is_truthy(),
                    Err(e) => {
                        (fail.borrow_mut())(e);
                        false
                    }
                }
            },
            piece: &mut |text| {
                if let Err(e) = host.piece.call1(&JsValue::NULL, &JsValue::from_str(text)) {
                    (fail.borrow_mut())(e);
                }
            },
        };
        run.drive(engine, &mut callbacks).await?
    };
    match failed {
        Some(e) => Err(e),
        None => Ok(to_json(&outcome)),
    }
}

fn to_json(outcome: &Outcome) -> String {
    let reason = match outcome.stop {
        Stop::EndToken => "end",
        Stop::StopText => "stop",
        Stop::MaxTokens => "length",
        Stop::ContextFull => "context",
        Stop::Aborted => "aborted",
    };
    let stats = &outcome.stats;
    json!({
        "tokens": outcome.tokens,
        "reason": reason,
        "promptTokens": stats.prompt_tokens,
        "prefillMs": stats.prefill_seconds * 1000.0,
        "decodeMs": stats.decode_seconds * 1000.0,
    })
    .to_string()
}
