//! The interface for JavaScript.

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

/// A bundle in a page. Only one call may run at a time: JavaScript awaits each promise before the next call.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Runtime {
    manifest: Arc<Manifest>,
    programs: Option<Programs>,
    /// `None` while a call is using it.
    engine: Rc<RefCell<Option<Engine>>>,
    /// The latest generation, so that it can be resumed after the device was lost.
    run: Rc<RefCell<Option<Run>>>,
}

#[wasm_bindgen]
impl Runtime {
    /// Parses and validates a manifest.
    ///
    /// # Errors
    /// If the manifest has another format version, or is invalid.
    #[wasm_bindgen(constructor)]
    pub fn new(manifest: &[u8]) -> Result<Runtime, JsValue> {
        let manifest = parse_manifest(manifest).map_err(|e| to_js(&e.into()))?;
        Ok(Runtime { manifest: Arc::new(manifest), programs: None, engine: Rc::default(), run: Rc::default() })
    }

    /// The model and its entries, as JSON.
    pub fn info(&self) -> String {
        describe(&self.manifest).to_string()
    }

    /// Shards, tensors, and the ranges of tensors in shards, as JSON.
    pub fn weights(&self) -> String {
        weights(&self.manifest).to_string()
    }

    /// Size and hash of a file in the bundle as JSON; undefined if there is no such file.
    pub fn file(&self, path: &str) -> Option<String> {
        let FileInfo { sha256, bytes } = self.manifest.files.get(path)?;
        Some(json!({ "path": path, "bytes": bytes, "sha256": sha256 }).to_string())
    }

    /// The profile to run: `wish`, else the first of `fallbacks` that the bundle has, else any.
    ///
    /// # Errors
    /// If the bundle does not have the requested profile, or none at all.
    pub fn profile(&self, wish: Option<String>, fallbacks: Vec<String>) -> Result<String, JsValue> {
        let fallbacks: Vec<&str> = fallbacks.iter().map(String::as_str).collect();
        choose_profile(&self.manifest, wish.as_deref(), &fallbacks).map_err(|e| to_js(&e))
    }

    /// The path of a profile's programs.
    #[wasm_bindgen(js_name = programsPath)]
    pub fn programs_path(&self, profile: &str) -> String {
        programs_path(profile)
    }

    /// Parses and validates the programs to run.
    ///
    /// # Errors
    /// If they are invalid.
    #[wasm_bindgen(js_name = setPrograms)]
    pub fn set_programs(&mut self, path: &str, content: &[u8]) -> Result<(), JsValue> {
        let programs = parse_programs(&self.manifest, path, content).map_err(|e| to_js(&e.into()))?;
        self.programs = Some(programs);
        Ok(())
    }

    /// Fails if the bundle cannot run on a device. Returns what falls back to WebAssembly, one line per group of steps.
    /// Needs the programs, but no weights.
    pub fn admit(&self, device: &JsDevice) -> Result<Vec<String>, JsValue> {
        let programs = self.programs.as_ref().ok_or_else(|| to_js(&not_ready()))?;
        let admission = admit(&self.manifest, programs, &info(device)).map_err(|e| to_js(&e))?;
        Ok(admission.offloaded.iter().map(|offloaded| offloaded.to_string()).collect())
    }

    /// The module with fallback kernels for an engine with these features. Needs the programs.
    ///
    /// # Errors
    /// If no module runs on the engine.
    #[wasm_bindgen(js_name = fallbackModule)]
    pub fn fallback_module(&self, features: Vec<String>) -> Result<String, JsValue> {
        let programs = self.programs.as_ref().ok_or_else(|| to_js(&not_ready()))?;
        choose_fallbacks(programs, features).map(str::to_string).map_err(|e| to_js(&e))
    }

    /// What a call of the model's main task costs, as JSON. Needs the programs.
    ///
    /// # Errors
    /// If the programs are not set, or a size cannot be evaluated.
    pub fn cost(&self) -> Result<String, JsValue> {
        let programs = self.programs.as_ref().ok_or_else(|| to_js(&not_ready()))?;
        Ok(cost(&self.manifest, programs).to_string())
    }

    /// The kernel module for an engine with these features, and the memory that it will need, as JSON. Fails if the
    /// bundle does not fit into `limit` bytes. Needs the programs, but no weights.
    #[wasm_bindgen(js_name = kernelModule)]
    pub fn kernel_module(&self, features: Vec<String>, limit: f64) -> Result<String, JsValue> {
        let programs = self.programs.as_ref().ok_or_else(|| to_js(&not_ready()))?;
        let chosen = choose_module(&self.manifest, programs, features, limit as u64);
        chosen.map(|c| c.to_string()).map_err(|e| to_js(&e))
    }

    /// Takes an instance with kernels, which replaces any other device, and allocates all weights. Returns their
    /// addresses. `setup` is `MachineSetup` of `ts/runtime.ts` as JSON.
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

    /// Bytes of weights, of states and of everything else in the memory of kernels; undefined if there is none, or
    /// while the engine is busy.
    #[wasm_bindgen(js_name = instanceMemory)]
    pub fn instance_memory(&self) -> Option<Vec<f64>> {
        self.engine.borrow().as_ref()?.memory()
    }

    /// Takes a device, which replaces any other. `instance` has fallback kernels for steps that exceed its limits, and
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

    /// Compiles the kernels that the model's main tasks need. `done` is called with the number of finished kernels and
    /// their total.
    pub fn warm(&self, done: Function) -> Promise {
        let roles = first_roles(&self.manifest);
        self.with(async move |engine| {
            let mut report = |finished: usize, total: usize| {
                // Exceptions of the listener are ignored.
                let _ = done.call2(&JsValue::NULL, &(finished as u32).into(), &(total as u32).into());
            };
            engine.warm(&roles, &mut report).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Takes one filled buffer per tensor; an empty list if all were written to the addresses of
    /// [`Runtime::open_instance`].
    ///
    /// # Errors
    /// If no device is open.
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

    /// Runs an entry on tensors. Decodes `greedy` further tokens (0: none); returns intermediate values as well if
    /// `taps` is set.
    pub fn run(&self, entry: Option<String>, inputs: &Object, greedy: u32, taps: bool) -> Promise {
        let (inputs, manifest): (Result<Tensors, Error>, _) = (tensors::from_js(inputs), self.manifest.clone());
        let run = TensorRun { entry, greedy: (greedy > 0).then_some(greedy), taps, start: Vec::new() };
        self.with(async move |engine| {
            let outputs = run_tensors(engine, &manifest, &inputs?, &run).await?;
            Ok(tensors::to_js(&outputs).into())
        })
    }

    /// Runs the embedding entry once for each list of token ids; returns the first output of each run. The first
    /// `prompt_tokens` ids of each list belong to a prompt.
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

    /// Runs a task (`kind` of `Task` in `ts/api.ts`) on images (as `ImageData`), videos (lists of images) or audio
    /// (samples), with texts as token ids. Returns the results as JSON.
    pub fn task(&self, kind: String, items: &Array, texts: Vec<Uint32Array>, threshold: f32) -> Promise {
        let (inputs, manifest) = (task::Inputs::read(&self.manifest, items, &texts), self.manifest.clone());
        self.with(async move |engine| {
            let results = task::perform(engine, &manifest, &kind, &inputs?, threshold).await?;
            Ok(JsValue::from_str(&results.to_string()))
        })
    }

    /// A text with placeholders for this many images; missing ones are added in front. `token` is the text of the
    /// placeholder token.
    #[wasm_bindgen(js_name = placeImages)]
    pub fn place_images(&self, token: String, text: &str, images: usize) -> String {
        let image = image_placeholder(&self.manifest).map(|placeholder| ImageText::new(placeholder, token));
        image.map_or_else(|| text.to_string(), |image| image.place(text, images))
    }

    /// Continues a prompt (token ids), which may contain images (as `ImageData`). `Host` in `generate.rs`
    /// describes the functions, `ts/runtime.ts` the options and the result.
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

    /// Transcribes audio (samples at the model's rate). Functions and options are those of [`Runtime::generate`].
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

    /// Resumes the last generation or transcription on a new device. The existing text is computed again without being
    /// reported.
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

    /// Runs a task with the engine, which is taken out in the meantime.
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
