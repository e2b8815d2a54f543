//! Models and bundles whose files JavaScript reads and writes.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_bundle::{Error, MANIFEST, Sink};
use gristmill_compiler::source::{Opened, ReadAt, Source};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::given::{BundleFiles, ModelFiles};
use crate::here::{self, Here};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(method, getter, structural, catch)]
    fn name(this: &ModelFiles) -> Result<String, JsValue>;
    #[wasm_bindgen(method, getter, structural, catch)]
    fn file(this: &ModelFiles) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn list(this: &ModelFiles, folder: &str) -> Result<Option<Array>, JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn size(this: &ModelFiles, path: &str) -> Result<Option<f64>, JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn read(this: &ModelFiles, path: &str, offset: f64, length: f64) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    fn add(this: &BundleFiles, path: &str, content: Uint8Array) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn append(this: &BundleFiles, content: Uint8Array) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, catch, js_name = name)]
    fn name_it(this: &BundleFiles, path: &str) -> Result<(), JsValue>;
}

/// The text of what a function has thrown.
fn thrown(value: JsValue) -> String {
    match value.dyn_ref::<js_sys::Error>() {
        Some(error) => error.message().into(),
        None => value.as_string().unwrap_or_else(|| format!("{value:?}")),
    }
}

/// The files of a model.
#[derive(Debug)]
pub(crate) struct Model {
    name: String,
    whole: Option<String>,
}

impl Model {
    /// The files of a compilation.
    ///
    /// # Errors
    /// If JavaScript's object is not a valid model.
    pub(crate) fn of(_: &Here) -> Result<Self, String> {
        here::model(|model| {
            let (name, whole) = (model.name().map_err(thrown)?, model.file().map_err(thrown)?);
            Ok(Model { name, whole })
        })
    }
}

impl Source for Model {
    fn name(&self) -> String {
        let last = Path::new(&self.name).file_name().and_then(|name| name.to_str());
        last.unwrap_or("model").to_string()
    }

    fn whole(&self) -> Option<&str> {
        self.whole.as_deref()
    }

    fn place(&self, path: &str) -> PathBuf {
        if path.is_empty() { PathBuf::from(&self.name) } else { Path::new(&self.name).join(path) }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let names = here::model(|model| model.list(folder).map_err(thrown)).map_err(io::Error::other)?;
        let names = names.ok_or(ErrorKind::NotFound)?;
        let mut names: Vec<String> = names.iter().filter_map(|name| name.as_string()).collect();
        names.sort();
        Ok(names)
    }

    fn open(&self, path: &str) -> io::Result<Opened> {
        let size = here::model(|model| model.size(path).map_err(thrown)).map_err(io::Error::other)?;
        let size = size.ok_or(ErrorKind::NotFound)?;
        if !(0.0..=js_sys::Number::MAX_SAFE_INTEGER).contains(&size) {
            return Err(io::Error::other(format!("has a size of {size}, which is not a number of bytes")));
        }
        Ok(Arc::new(File { path: path.to_string(), size: size as u64 }))
    }
}

/// A file of the model.
#[derive(Debug)]
struct File {
    path: String,
    size: u64,
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let length = buffer.len();
        let read = |model: &ModelFiles| model.read(&self.path, offset as f64, length as f64).map_err(thrown);
        let bytes = here::model(read).map_err(io::Error::other)?;
        let bytes = bytes.dyn_into::<Uint8Array>().map_err(|_| io::Error::other("was not read as bytes"))?;
        if bytes.length() as usize != length {
            let found = bytes.length();
            let message = format!("expected {length} bytes at {offset}, found {found}");
            return Err(io::Error::new(ErrorKind::UnexpectedEof, message));
        }
        bytes.copy_to(buffer);
        Ok(())
    }
}

/// Receives the files of a bundle.
#[derive(Debug)]
pub(crate) struct Bundle;

impl Bundle {
    fn call(&self, path: &str, work: impl FnOnce(&BundleFiles) -> Result<(), JsValue>) -> Result<(), Error> {
        let done = here::bundle(|bundle| work(bundle).map_err(thrown));
        done.map_err(|message| Error::Io { path: path.into(), source: io::Error::other(message) })
    }
}

impl Sink for Bundle {
    fn add(&mut self, path: &str, content: &[u8]) -> Result<(), Error> {
        self.call(path, |bundle| bundle.add(path, Uint8Array::from(content)))
    }

    fn append(&mut self, content: &[u8]) -> Result<(), Error> {
        self.call("weights", |bundle| bundle.append(Uint8Array::from(content)))
    }

    fn name(&mut self, path: &str) -> Result<(), Error> {
        self.call(path, |bundle| bundle.name_it(path))
    }

    fn finish(&mut self, manifest: &[u8]) -> Result<(), Error> {
        self.add(MANIFEST, manifest)
    }
}
