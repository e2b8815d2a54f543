//! What JavaScript drives.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use gristmill_bundle::{FileInfo, Manifest, Programs, parse_manifest, parse_programs, programs_path};
use gristmill_runtime::backend::run_all;
use gristmill_runtime::embedding::Embedder;
use gristmill_runtime::gpu::{Executor, admit, choose_profile};
use gristmill_runtime::hybrid::Hybrid;
use gristmill_runtime::task::{ImageText, image_placeholder};
use gristmill_runtime::tensors::{TensorRun, run_tensors};
use gristmill_runtime::{Error, Request, Tensor, Tensors};
use js_sys::{Array, Float32Array, Float64Array, Function, Object, Promise, Uint32Array};
use serde_json::json;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;

use crate::cpu::{self, JsInstance, choose_fallbacks, choose_module};
use crate::engine::{Engine, OnCpu};
use crate::error::to_js;
use crate::files::JsFiles;
use crate::generate::{self, Host, Run};
use crate::gpu::{JsDevice, WebGpu, info};
use crate::info::{cost, describe, first_roles, weights};
use crate::task;
use crate::tensors;

/// A bundle in a page. One call at a time: JavaScript waits for each promise before it asks for more.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Runtime {
    manifest: Arc<Manifest>,
    programs: Option<Programs>,
    /// Taken out by the call under way.
    engine: Rc<RefCell<Option<Engine>>>,
    /// The generation that was started last, so that it can go on after the device was lost.
    run: Rc<RefCell<Option<Run>>>,
}

#[wasm_bindgen]
impl Runtime {
    /// Reads and checks a manifest.
    #[wasm_bindgen(constructor)]
    pub fn new(manifest: &[u8]) -> Result<Runtime, JsValue> {
        let manifest = parse_manifest(manifest).map_err(|e| to_js(&e.into()))?;
        Ok(Runtime { manifest: Arc::new(manifest), programs: None, engine: Rc::default(), run: Rc::default() })
    }

    /// The model and its entries, as JSON.
    pub fn info(&self) -> String {
        describe(&self.manifest).to_string()
    }

    /// Shards, tensors, and how they lie in one another, as JSON.
    pub fn weights(&self) -> String {
        weights(&self.manifest).to_string()
    }

    /// Size and hash of a file of the bundle as JSON; undefined if it has none of this name.
    pub fn file(&self, path: &str) -> Option<String> {
        let FileInfo { sha256, bytes } = self.manifest.files.get(path)?;
        Some(json!({ "path": path, "bytes": bytes, "sha256": sha256 }).to_string())
    }

    /// The profile to run: `wish`, or the first of `fallbacks` that the bundle has, or any.
    pub fn profile(&self, wish: Option<String>, fallbacks: Vec<String>) -> Result<String, JsValue> {
        let fallbacks: Vec<&str> = fallbacks.iter().map(String::as_str).collect();
        choose_profile(&self.manifest, wish.as_deref(), &fallbacks).map_err(|e| to_js(&e))
    }

    /// Where the programs of a profile are.
    #[wasm_bindgen(js_name = programsPath)]
    pub fn programs_path(&self, profile: &str) -> String {
        programs_path(profile)
    }

    /// Reads and checks the programs to run.
    #[wasm_bindgen(js_name = setPrograms)]
    pub fn set_programs(&mut self, path: &str, content: &[u8]) -> Result<(), JsValue> {
        let programs = parse_programs(&self.manifest, path, content).map_err(|e| to_js(&e.into()))?;
        self.programs = Some(programs);
        Ok(())
    }

    /// Fails if the bundle cannot run on a device. Gives what WebAssembly runs in its place, a line for each group of
    /// steps. Needs the programs, but no weights.
    pub fn admit(&self, device: &JsDevice) -> Result<Vec<String>, JsValue> {
        let programs = self.programs.as_ref().ok_or_else(|| to_js(&not_ready()))?;
        let admission = admit(&self.manifest, programs, &info(device)).map_err(|e| to_js(&e))?;
        Ok(admission.offloaded.iter().map(|offloaded| offloaded.to_string()).collect())
    }

    /// The module with fallback kernels for an engine with these features. Needs the programs.
    #[wasm_bindgen(js_name = fallbackModule)]
    pub fn fallback_module(&self, features: Vec<String>) -> Result<String, JsValue> {
        let programs = self.programs.as_ref().ok_or_else(|| to_js(&not_ready()))?;
        choose_fallbacks(programs, features).map(str::to_string).map_err(|e| to_js(&e))
    }

    /// What a call of the model's main task costs, as JSON. Needs the programs.
    pub fn cost(&self) -> Result<String, JsValue> {
        let programs = self.programs.as_ref().ok_or_else(|| to_js(&not_ready()))?;
        Ok(cost(&self.manifest, programs).to_string())
    }

    /// The kernel module for an engine with these features, and the memory it will take, as JSON. Fails if the bundle
    /// does not fit in `limit` bytes. Needs the programs, but no weights.
    #[wasm_bindgen(js_name = kernelModule)]
    pub fn kernel_module(&self, features: Vec<String>, limit: f64) -> Result<String, JsValue> {
        let programs = self.programs.as_ref().ok_or_else(|| to_js(&not_ready()))?;
        let chosen = choose_module(&self.manifest, programs, features, limit as u64);
        chosen.map(|c| c.to_string()).map_err(|e| to_js(&e))
    }

    /// Takes kernels that are instantiated, in the place of any other device, and makes room for all weights: gives
    /// their addresses. `setup` is `MachineSetup` of `ts/runtime.ts` as JSON.
    #[wasm_bindgen(js_name = openInstance)]
    pub fn open_instance(&self, instance: JsInstance, setup: String, files: JsFiles) -> Promise {
        let (engine, manifest, programs) = (self.engine.clone(), self.manifest.clone(), self.programs.clone());
        promise(async move {
            let programs = programs.ok_or_else(not_ready)?;
            let device = cpu::open(&manifest, &programs, instance, &setup)?;
            let mut on = OnCpu::new(Executor::new(device, files, manifest.clone(), programs).await?);
            let addresses = on.place(&manifest).await?;
            engine.replace(Some(Engine::Cpu(Box::new(on))));
            Ok(Float64Array::from(addresses.as_slice()).into())
        })
    }

    /// Bytes of weights, of states and of everything else in the memory of kernels; undefined if there is none, or the
    /// engine is busy.
    #[wasm_bindgen(js_name = instanceMemory)]
    pub fn instance_memory(&self) -> Option<Vec<f64>> {
        self.engine.borrow().as_ref()?.memory()
    }

    /// Takes a device, in the place of any other. `instance` has fallback kernels for steps that exceed its limits, and
    /// `setup` is as for [`Runtime::open_instance`].
    pub fn open(
        &self,
        device: JsDevice,
        files: JsFiles,
        instance: Option<JsInstance>,
        setup: Option<String>,
    ) -> Promise {
        let (engine, manifest, programs) = (self.engine.clone(), self.manifest.clone(), self.programs.clone());
        promise(async move {
            let programs = programs.ok_or_else(not_ready)?;
            let beside = instance.map(|m| cpu::open_fallbacks(m, &setup.unwrap_or_default())).transpose()?;
            let device = Hybrid::new(WebGpu::new(device), beside)?;
            let made = Executor::new(device, files, manifest, programs).await?;
            engine.replace(Some(Engine::Gpu(Box::new(made))));
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Compiles the kernels that the model's main tasks need; `done` is called with the number of finished ones and
    /// their total.
    pub fn warm(&self, done: Function) -> Promise {
        let roles = first_roles(&self.manifest);
        self.with(async move |engine| {
            let mut report = |finished: usize, total: usize| {
                // A listener that throws harms itself only.
                let _ = done.call2(&JsValue::NULL, &(finished as u32).into(), &(total as u32).into());
            };
            engine.warm(&roles, &mut report).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Takes one filled buffer per tensor; none if all were written to the addresses of [`Runtime::open_instance`].
    #[wasm_bindgen(js_name = setWeights)]
    pub fn set_weights(&self, buffers: &Array) -> Result<(), JsValue> {
        match self.engine.borrow_mut().as_mut() {
            Some(engine) if engine.buffers_to_set(&self.manifest) == buffers.length() as usize => {
                engine.set_weights(&self.manifest, buffers.to_vec());
                Ok(())
            }
            _ => Err(to_js(&not_ready())),
        }
    }

    /// Runs an entry on tensors: `greedy` (0: none) more tokens, intermediate values if `taps`.
    pub fn run(&self, entry: Option<String>, inputs: &Object, greedy: u32, taps: bool) -> Promise {
        let (inputs, manifest): (Result<Tensors, Error>, _) = (tensors::from_js(inputs), self.manifest.clone());
        let run = TensorRun { entry, greedy: (greedy > 0).then_some(greedy), taps, start: Vec::new() };
        self.with(async move |engine| {
            let outputs = run_tensors(engine, &manifest, &inputs?, &run).await?;
            Ok(tensors::to_js(&outputs).into())
        })
    }

    /// Runs the entry that embeds, once for each list of token ids; gives its first output of each. The first
    /// `prompt_tokens` of each list are those of a prompt.
    pub fn embed(&self, lists: Vec<Uint32Array>, prompt_tokens: usize) -> Promise {
        let manifest = self.manifest.clone();
        self.with(async move |engine| {
            let embedder = Embedder::of(&manifest)?;
            let requests: Vec<Request> = lists.iter().map(|l| embedder.request(&l.to_vec(), prompt_tokens)).collect();
            let output = embedder.output();
            let results = run_all(engine, &requests, &[output]).await?;
            let vectors = results.iter().map(|r| r.get(output).and_then(Tensor::as_f32));
            Ok(vectors.map(|v| Float32Array::from(v.unwrap_or_default())).collect::<Array>().into())
        })
    }

    /// Does what the model is for, `kind` of `Task` in `ts/api.ts`, with images as `ImageData` has them, videos as lists of
    /// such, audio files as samples, and texts as token ids. Gives the results as JSON.
    pub fn task(&self, kind: String, items: &Array, texts: Vec<Uint32Array>, threshold: f32) -> Promise {
        let (inputs, manifest) = (task::Inputs::read(&self.manifest, items, &texts), self.manifest.clone());
        self.with(async move |engine| {
            let results = task::perform(engine, &manifest, &kind, &inputs?, threshold).await?;
            Ok(JsValue::from_str(&results.to_string()))
        })
    }

    /// A text with placeholders for so many images: those that it lacks are put in front. `token` is the text of the
    /// placeholder token.
    #[wasm_bindgen(js_name = placeImages)]
    pub fn place_images(&self, token: String, text: &str, images: usize) -> String {
        let image = image_placeholder(&self.manifest).map(|placeholder| ImageText::new(placeholder, token));
        image.map_or_else(|| text.to_string(), |image| image.place(text, images))
    }

    /// Continues a prompt (token ids), which may be about images (as `ImageData` has them). See `Host` in `generate.rs` for
    /// the functions, `ts/runtime.ts` for options and result.
    pub fn generate(
        &self,
        prompt: &[u32],
        images: &Array,
        options: &str,
        decode: Function,
        piece: Function,
        keep_going: Function,
    ) -> Promise {
        let host = Host { decode, piece, keep_going };
        let run = task::images(images).and_then(|all| generate::prepare(&self.manifest, prompt, &all, options, &host));
        self.drive(run, host)
    }

    /// Writes down an audio file (samples with the model's rate). Functions and options are those of [`Runtime::generate`].
    pub fn transcribe(
        &self,
        samples: Vec<f32>,
        options: &str,
        decode: Function,
        piece: Function,
        keep_going: Function,
    ) -> Promise {
        let host = Host { decode, piece, keep_going };
        self.drive(generate::prepare_speech(&self.manifest, samples, options, &host), host)
    }

    /// Goes on with the last generation or audio file on a new device: what there is of the text is computed again, unseen.
    pub fn resume(&self, decode: Function, piece: Function, keep_going: Function) -> Promise {
        let run = self.run.take().ok_or_else(|| Error::Unsupported("no generation was interrupted".to_string()));
        let run = run.and_then(|mut run| run.rewind(&self.manifest).map(|()| run));
        self.drive(run, Host { decode, piece, keep_going })
    }

    fn drive(&self, run: Result<Run, Error>, host: Host) -> Promise {
        let (kept, manifest) = (self.run.clone(), self.manifest.clone());
        self.with(async move |engine| {
            let mut run = run?;
            let result = generate::drive(&mut run, engine, &manifest, &host).await;
            if result.is_err() {
                kept.replace(Some(run));
            }
            result.map(|text| JsValue::from_str(&text))
        })
    }

    /// Does something with the engine, which is away in the meantime.
    fn with<T>(&self, task: T) -> Promise
    where
        T: AsyncFnOnce(&mut Engine) -> Result<JsValue, Error> + 'static,
    {
        let cell = self.engine.clone();
        promise(async move {
            let mut engine = cell.take().ok_or_else(not_ready)?;
            let result = task(&mut engine).await;
            cell.replace(Some(engine));
            result
        })
    }
}

fn not_ready() -> Error {
    Error::Backend("the model is not loaded, or another call is in progress".to_string())
}

fn promise(task: impl Future<Output = Result<JsValue, Error>> + 'static) -> Promise {
    future_to_promise(async move { task.await.map_err(|e| to_js(&e)) })
}
