//! Compiles bundles for the browser tests, and records what the native runtime computes with each.
//! `tests/browser/README.md` describes the files.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_bundle::{Bundle, EntryRole};
use gristmill_compiler::{CompileOptions, PageFile, Quiet, compile};
use gristmill_graph::Array as Golden;
use gristmill_runtime::audio::Audio;
use gristmill_runtime::blocking::{classify, detect, generate, run, transcribe};
use gristmill_runtime::choices::Choices;
use gristmill_runtime::embedding::Embedder;
use gristmill_runtime::generate::Options as GenerateOptions;
use gristmill_runtime::image::Image;
use gristmill_runtime::native::{Options, Wasm, WasmOptions, Wgpu};
use gristmill_runtime::task::{Kind, TaskInputs, tasks};
use gristmill_runtime::template::{ChatOptions, ChatTemplate, Message};
use gristmill_runtime::text::Callbacks;
use gristmill_runtime::tokenizer::Tokenizer;
use gristmill_runtime::transcribe::{Segment, Transcript};
use gristmill_runtime::{Backend, Data};
use serde_json::{Map, Value, json};

use crate::compared;
use crate::goldens::{Case, root};
use crate::prompts::{PromptModel, write_model};
use crate::speech;

/// The folder in which the browser tests look for bundles.
pub fn folder() -> PathBuf {
    root().join("target/browser/bundles")
}

/// The time for chat templates that mention the date, in seconds since 1970. Those of the tests do not.
const NOW: i64 = 0;

/// A bundle to compile.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// Name of the bundle.
    pub name: &'a str,
    /// A model directory.
    pub model: &'a Path,
    /// A value of `--precision`.
    pub precision: &'a str,
    /// Size in bytes above which weights are split; by default, the limit of browsers.
    pub binding_bytes: Option<u64>,
    /// Prompts, and the number of tokens to continue each by, if the model generates text.
    pub prompts: &'a [(&'a str, u32)],
    /// User messages, likewise, if the model has a chat template.
    pub messages: &'a [(&'a str, u32)],
    /// Texts to embed, if the model embeds texts.
    pub texts: &'a [&'a str],
    /// Texts to classify, if the model does that.
    pub labelled: &'a [&'a str],
}

impl<'a> Task<'a> {
    /// A bundle without any inputs.
    pub fn new(name: &'a str, model: &'a Path, precision: &'a str) -> Self {
        Task { name, model, precision, binding_bytes: None, prompts: &[], messages: &[], texts: &[], labelled: &[] }
    }
}

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The page and the runtime, as built by `cargo xtask web`.
///
/// # Errors
/// If the runtime is not built.
pub fn page() -> Outcome<Vec<PageFile>> {
    let dist = root().join("runtime/web/dist");
    let mut files = Vec::new();
    for entry in fs::read_dir(&dist).map_err(|e| format!("{}: {e}; run `cargo xtask web` first", dist.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = ["index.html", "sw.js"].contains(&name.as_str());
        // The same files that the program embeds (compiler/cli/build.rs).
        if path.is_file() && !name.starts_with('.') && name != "sizes.json" {
            let place = if beside { name } else { format!("runtime/{name}") };
            files.push(PageFile { path: place.into(), content: fs::read(&path)?.into() });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Compiles the model of a task into a folder, runs it natively, and writes the results: with WebGPU and, under `wasm`,
/// with WebAssembly, which quantizes activations for quantized weights.
///
/// # Errors
/// If the model cannot be compiled or run, or a file cannot be written.
pub fn make(folder: &Path, task: &Task<'_>) -> Outcome<()> {
    let change = |options: &mut CompileOptions| options.binding_bytes = task.binding_bytes;
    let bundle = compiled(folder, task.name, task.model, task.precision, change)?;
    let mut device = Wgpu::load(bundle.clone(), &Options::default(), &mut |_, _| {})?;
    let mut expected = answers(task, &bundle, &mut device)?;
    let one = WasmOptions { threads: Some(1), relaxed: None, ..WasmOptions::default() };
    let mut device = Wasm::load(bundle.clone(), &one, &mut |_, _| {})?;
    expected["wasm"] = answers(task, &bundle, &mut device)?;
    expected["version"] = 1.into();
    if let Some(bytes) = task.binding_bytes {
        expected["limits"] = json!({ "maxStorageBufferBindingSize": bytes });
    }
    write_expected(folder, task.name, &expected)
}

/// The results of a device for the prompts, messages and texts of a task.
fn answers(task: &Task<'_>, bundle: &Bundle, device: &mut dyn Backend) -> Outcome<Value> {
    let mut expected = json!({});
    let tokenizer = Tokenizer::from_bundle(bundle)?;
    let mut generated = Vec::new();
    for (prompt, n) in task.prompts {
        let ids = tokenizer.encode(prompt, true)?;
        let row = json!({ "name": prompt, "prompt": prompt });
        generated.push(continued(device, bundle, &tokenizer, row, &ids, *n)?);
    }
    for (text, n) in task.messages {
        let template = ChatTemplate::from_bundle(bundle)?.ok_or("no chat template")?;
        let prompt = template.render(&[Message::new("user", *text)], &ChatOptions::answer(NOW))?;
        let ids = tokenizer.encode(&prompt, false)?;
        let row = json!({ "name": text, "messages": [{ "role": "user", "content": text }] });
        generated.push(continued(device, bundle, &tokenizer, row, &ids, *n)?);
    }
    if !generated.is_empty() {
        expected["generate"] = generated.into();
    }
    if !task.texts.is_empty() {
        let prompts = bundle.manifest().model.embedding.iter().flat_map(|e| &e.prompts);
        let named = prompts.filter(|(_, text)| !text.is_empty()).map(|(name, _)| Some(name.as_str()));
        let mut rows = Vec::new();
        for prompt in [None].into_iter().chain(named) {
            let vectors = embedded(device, bundle, &tokenizer, prompt, task.texts)?;
            rows.push(json!({ "name": prompt.unwrap_or("texts"), "promptName": prompt, "texts": task.texts, "vectors": vectors }));
        }
        expected["embed"] = rows.into();
    }
    for text in task.labelled {
        let ids = tokenizer.encode(text, true)?;
        let given = TaskInputs { texts: &[ids], ..TaskInputs::default() };
        let classes = classify(device, bundle.manifest(), given)?.swap_remove(0);
        let rows = expected["label"].as_array().cloned().unwrap_or_default();
        let row = json!({ "name": text, "text": text, "classes": classes });
        expected["label"] = rows.into_iter().chain([row]).collect();
    }
    Ok(expected)
}

/// Minimum score of expected detections.
const CERTAIN: f32 = 0.3;

/// Compiles an image model at f32. The expected results are the classes of, or the detections in, these PNG files of
/// the person detector.
///
/// # Errors
/// If the model cannot be compiled or run, or a file cannot be written.
pub fn make_images(folder: &Path, name: &str, model: &Path, files: &[&str]) -> Outcome<()> {
    let bundle = compiled(folder, name, model, "f32", |_| {})?;
    let manifest = bundle.manifest();
    let mut device = Wgpu::load(bundle.clone(), &Options::default(), &mut |_, _| {})?;
    let detects = tasks(manifest).any(|(_, task)| Kind::of(&task.output) == Kind::Detect);
    let mut expected = Vec::new();
    for file in files {
        let rgb = image::open(root().join("examples/person-detector").join(file))?.into_rgb8();
        let image = Image::from_rgb(rgb.width() as usize, rgb.height() as usize, rgb.into_raw())?;
        let given = TaskInputs { images: &[image], ..TaskInputs::default() };
        expected.push(if detects {
            let found = detect(&mut device, manifest, given, CERTAIN)?.swap_remove(0);
            json!({ "name": file, "threshold": CERTAIN, "found": found })
        } else {
            json!({ "name": file, "classes": classify(&mut device, manifest, given)?.swap_remove(0) })
        });
    }
    let kind = if detects { "detect" } else { "classify" };
    write_expected(folder, name, &json!({ "version": 1, kind: expected }))
}

/// An audio file to transcribe.
#[derive(Clone, Debug)]
pub struct AudioFile<'a> {
    /// Its name.
    pub name: &'a str,
    /// Samples, 16 bits each.
    pub samples: Vec<i16>,
    /// Choices: word by name.
    pub wish: &'a [(&'a str, &'a str)],
}

/// Maximum number of tokens per window.
const PART_TOKENS: u32 = 8;

/// Compiles an audio model at f32. The expected results are the transcripts of the native runtime.
///
/// # Errors
/// If the model cannot be compiled or run, or a file cannot be written.
pub fn make_audio(folder: &Path, name: &str, model: &Path, audio: &[AudioFile<'_>]) -> Outcome<()> {
    let bundle = compiled(folder, name, model, "f32", |_| {})?;
    let manifest = bundle.manifest();
    let mut device = Wgpu::load(bundle.clone(), &Options::default(), &mut |_, _| {})?;
    let tokenizer = if bundle.has("tokenizer.json") { Some(Tokenizer::from_bundle(&bundle)?) } else { None };
    let mut expected = Vec::new();
    for AudioFile { name, samples, wish } in audio {
        let options = GenerateOptions { max_new_tokens: PART_TOKENS, ..GenerateOptions::default() };
        let chosen: Choices = wish.iter().map(|(name, word)| (name.to_string(), word.to_string())).collect();
        let audio = Audio::new(speech::RATE, speech::floats(samples))?;
        let decode = |ids: &[u32]| tokenizer.as_ref().map_or(Ok(String::new()), |t| Ok(t.decode(ids)?));
        let mut transcript = Transcript::new(manifest, audio, &chosen, None, decode, &options, &[])?;
        let mut callbacks = Callbacks { clock: &mut || 0.0, keep_going: &mut |_| true, piece: &mut |_| {} };
        let said = transcribe(&mut device, manifest, &mut transcript, &mut callbacks)?;
        let segment = |s: &Segment| json!({ "start": s.start, "end": s.end, "text": s.text, "tokens": s.tokens });
        expected.push(json!({
            "name": name, "wav": base64(&speech::wav(speech::RATE, samples)), "maxNewTokens": PART_TOKENS,
            "wish": chosen, "choices": said.choices, "text": said.text, "segments": said.segments.iter().map(segment).collect::<Vec<_>>(),
        }));
    }
    write_expected(folder, name, &json!({ "version": 1, "transcribe": expected }))
}

/// Compiles a model with image prompts at f32. The expected results are those of transformers.
///
/// # Errors
/// If the model cannot be compiled, or a file cannot be written.
pub fn make_prompts(folder: &Path, name: &str, model: &PromptModel) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    write_model(name, model, dir.path());
    let bundle = compiled(folder, name, dir.path(), "f32", |_| {})?;
    let tokenizer = Tokenizer::from_bundle(&bundle)?;
    let mut expected = Vec::new();
    for prompt in &model.prompts {
        let images: Vec<String> = prompt.images.iter().map(|p| format!("{p}.png")).collect();
        let before = tokenizer.decode(&prompt.ids)?;
        let whole = tokenizer.decode(&[prompt.ids.as_slice(), &prompt.written].concat())?;
        expected.push(json!({
            "name": prompt.prompt, "prompt": prompt.prompt, "images": images, "tokens": prompt.written,
            "text": whole.strip_prefix(&before).ok_or("a text that continues the prompt")?, "rendered": model.rendered,
        }));
    }
    write_expected(folder, name, &json!({ "version": 1, "imagePrompts": expected }))
}

/// Compiles a model that compares videos or audio with texts, at f32. The expected results are those of transformers.
///
/// # Errors
/// If the model cannot be compiled, or a file cannot be written.
pub fn make_compared(folder: &Path, name: &str) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let model = compared::write_model(name, dir.path());
    compiled(folder, name, dir.path(), "f32", |_| {})?;
    let items: Vec<Value> = match model.waveforms.as_slice() {
        [] => vec![json!({ "name": "video", "logits": model.logits("video") })],
        all => {
            let one = |(name, samples): &(String, Vec<i16>)| {
                let wav = base64(&speech::wav(compared::RATE, samples));
                json!({ "name": name, "wav": wav, "logits": model.logits(name) })
            };
            all.iter().map(one).collect()
        }
    };
    let expected = json!({ "name": name, "texts": model.texts(), "items": items });
    write_expected(folder, name, &json!({ "version": 1, "compare": [expected] }))
}

/// Compiles the model of a golden case at f32. The expected results are its golden outputs.
///
/// # Errors
/// If the model cannot be compiled, or a file cannot be written.
pub fn make_golden(folder: &Path, case: &Case) -> Outcome<()> {
    let name = case.name.replace('/', "-");
    compiled(folder, &name, &case.model_dir(), "f32", |options| options.arch = case.architecture_file())?;
    write_expected(folder, &name, &json!({ "version": 1, "run": runs(case) }))
}

/// Like [`make_golden`], for adapters that bind at most this many bytes per buffer, or this many buffers. The bundle is
/// called `name`.
///
/// # Errors
/// If the model cannot be compiled, or a file cannot be written.
pub fn make_limited(folder: &Path, name: &str, case: &Case, bytes: u64, buffers: u32) -> Outcome<()> {
    compiled(folder, name, &case.model_dir(), "f32", |options| {
        options.binding_bytes = Some(bytes);
        options.storage_buffers = Some(buffers);
    })?;
    let limits = json!({ "maxStorageBufferBindingSize": bytes, "maxStorageBuffersPerShaderStage": buffers });
    write_expected(folder, name, &json!({ "version": 1, "run": runs(case), "limits": limits }))
}

/// The expected results of a golden case.
fn runs(case: &Case) -> Vec<Value> {
    case.runs()
        .iter()
        .map(|run| {
            let greedy = run.outputs.get("greedy.tokens").map_or(0, |t| t.shape[1]);
            let outputs: Map<String, Value> = run
                .required()
                .map(|name| {
                    let mut tensor = encode_golden(&run.outputs[name]);
                    tensor["mask"] = run.mask(name).map_or(Value::Null, Value::from);
                    (name.to_string(), tensor)
                })
                .collect();
            let inputs: Map<String, Value> = run.inputs.iter().map(|(n, t)| (n.clone(), encode_golden(t))).collect();
            json!({ "name": run.name, "entry": null, "options": { "greedy": greedy, "taps": false },
                    "inputs": inputs, "outputs": outputs })
        })
        .collect()
}

fn compiled(
    folder: &Path,
    name: &str,
    model: &Path,
    precision: &str,
    change: impl FnOnce(&mut CompileOptions),
) -> Outcome<Arc<Bundle>> {
    let mut options = CompileOptions {
        precision: precision.to_string(),
        targets: ["chrome", "firefox", "native", "wasm"].map(String::from).to_vec(),
        page: page()?,
        ..CompileOptions::default()
    };
    change(&mut options);
    let out = folder.join(name);
    fs::create_dir_all(folder)?;
    compile(model, &out, &options, &Quiet)?;
    Ok(Arc::new(Bundle::open(&out)?))
}

fn write_expected(folder: &Path, name: &str, expected: &Value) -> Outcome<()> {
    fs::write(folder.join(format!("{name}.json")), serde_json::to_string(expected)?)?;
    Ok(())
}

fn continued(
    device: &mut dyn Backend,
    bundle: &Bundle,
    tokenizer: &Tokenizer,
    mut row: Value,
    prompt: &[u32],
    n: u32,
) -> Outcome<Value> {
    let options = GenerateOptions { max_new_tokens: n, ..GenerateOptions::default() };
    let outcome = generate(device, bundle.manifest(), prompt, &options, &mut || 0.0, &mut |_| None)?;
    let reads = bundle.manifest().entries.iter().any(|e| e.role == EntryRole::Encode);
    row["maxNewTokens"] = n.into();
    row["text"] = if reads {
        // An answer starts without the text before it.
        tokenizer.decode(&outcome.tokens)?.into()
    } else {
        let whole = tokenizer.decode(&[prompt, &outcome.tokens].concat())?;
        let before = tokenizer.decode(prompt)?;
        whole.strip_prefix(&before).ok_or("a text that continues the prompt")?.into()
    };
    row["tokens"] = outcome.tokens.into();
    Ok(row)
}

fn embedded(
    device: &mut dyn Backend,
    bundle: &Bundle,
    tokenizer: &Tokenizer,
    prompt: Option<&str>,
    texts: &[&str],
) -> Outcome<Vec<String>> {
    let embedder = Embedder::of(bundle.manifest())?;
    let mut vectors = Vec::new();
    for text in texts {
        let request = embedder.text(tokenizer, embedder.prompt(prompt)?, text)?;
        let outputs = run(device, &request.entry, &request.inputs, 0, &[])?;
        vectors.push(encode(&outputs[embedder.output()].data));
    }
    Ok(vectors)
}

fn encode_golden(tensor: &Golden) -> Value {
    let (elem, data) = match (tensor.as_f32(), tensor.as_i32()) {
        (Some(v), _) => ("f32", encode(&Data::F32(v.to_vec()))),
        (_, Some(v)) => ("i32", encode(&Data::I32(v.to_vec()))),
        _ => panic!("goldens hold numbers"),
    };
    json!({ "elem": elem, "shape": tensor.shape, "data": data })
}

/// Little-endian bytes in base64.
fn encode(data: &Data) -> String {
    let bytes: Vec<u8> = match data {
        Data::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
    };
    base64(&bytes)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_base64() {
        assert_eq!(encode(&Data::I32(vec![])), "");
        assert_eq!(encode(&Data::I32(vec![1])), "AQAAAA==");
        assert_eq!(encode(&Data::I32(vec![1, -1])), "AQAAAP////8=");
        assert_eq!(encode(&Data::F32(vec![1.0, 2.0, 3.0])), "AACAPwAAAEAAAEBA");
    }
}
