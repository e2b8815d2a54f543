//! From what the user named to a bundle: bundles as they are, models through the cache.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use gristmill_bundle::{MANIFEST, sha256_hex};
use gristmill_compiler::gguf;
use gristmill_compiler::hf::adapter::SETTINGS as ADAPTER;
use gristmill_compiler::hf::dir::ModelDir;
use gristmill_compiler::{CompileOptions, KvPrecision, library};
use gristmill_graph::text::bind;
use gristmill_graph::{EntryRole, Model};

use crate::args::{CompileFlags, Kv};
use crate::failure::{Failure, Outcome};
use crate::hub;
use crate::output::note;
use crate::page;
use crate::progress::Bar;

/// What `compile` makes of weights when nothing is said: what the architecture takes by default.
pub(crate) const COMPACT: &str = gristmill_compiler::precision::DEFAULT;
/// What tensor mode and `verify` compile a model directory to when nothing is said: values as exact as stored.
pub(crate) const EXACT: &str = "f32";

/// Who will run a bundle that is made from a model directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// This program.
    Here,
    /// Browsers.
    Browsers,
}

/// What the user named, on this machine: a bundle or a model.
pub(crate) fn locate(model: &Path, flags: &CompileFlags) -> Outcome<PathBuf> {
    hub::locate(model, flags.revision.as_deref())
}

/// The compiler's options for these flags.
pub(crate) fn options(flags: &CompileFlags, precision: &str) -> CompileOptions {
    let all = flags.target.iter().any(|t| t == "all");
    CompileOptions {
        arch: flags.arch.clone(),
        precision: flags.precision.clone().unwrap_or_else(|| precision.to_string()),
        group: flags.group,
        asymmetric: flags.asymmetric,
        kv: match flags.kv {
            Kv::F32 => KvPrecision::F32,
            Kv::F16 => KvPrecision::F16,
        },
        targets: if all { Vec::new() } else { flags.target.clone() },
        max_context: flags.max_context,
        page: Vec::new(),
        binding_bytes: None,
        storage_buffers: None,
        narrow: false,
        allow_unused: flags.allow_unused,
    }
}

/// How deep files of a model lie in folders, and how many of a folder count.
const FOLDERS: u32 = 2;
const MAX_FILES: usize = 1000;

/// The bundle to use for what the user named.
pub(crate) fn bundle_for(model: &Path, flags: &CompileFlags, precision: &str, purpose: Purpose) -> Outcome<PathBuf> {
    bundle_of(&locate(model, flags)?, flags, precision, purpose)
}

/// The bundle to use for `model`, as [`locate`] has found it. A model is compiled into the cache unless the cache has it;
/// `precision` is the default there, and `purpose` says for which targets.
pub(crate) fn bundle_of(model: &Path, flags: &CompileFlags, precision: &str, purpose: Purpose) -> Outcome<PathBuf> {
    if model.join(MANIFEST).is_file() {
        if let Some(flag) = given(flags) {
            return Err(Failure::wrong(format!(
                "{}: is a bundle, which is compiled already; {flag} applies to a model directory",
                model.display()
            )));
        }
        return Ok(model.to_path_buf());
    }
    if model.join(ADAPTER).is_file() {
        // Says which model it is for; with a model beside it, that is compiled.
        ModelDir::open(model)?;
    }
    // Old directories of sentence-transformers have everything else in folders.
    let is_dir = ["config.json", "modules.json"].iter().any(|file| model.join(file).is_file());
    if !is_dir && !gguf::is_gguf(model) {
        let what = match (model.exists(), model.is_dir()) {
            (false, _) => "there is no such directory, or GGUF file",
            (true, false) => "neither a directory nor a GGUF file; name a bundle or a model",
            (true, true) => "neither a bundle (no manifest.json) nor a Hugging Face model directory (no config.json)",
        };
        return Err(Failure::wrong(format!("{}: {what}", model.display())));
    }
    let mut options = options(flags, precision);
    if flags.target.is_empty() && purpose == Purpose::Here {
        // Whichever backend is asked for next time, the weights are the same.
        options.targets = vec!["native".to_string(), "wasm".to_string()];
    }
    cached(model, &options)
}

/// Whether a model, as [`locate`] has found it, writes text, so that weights as small as for a prompt are fine.
pub(crate) fn generates(model: &Path, flags: &CompileFlags) -> bool {
    let bound = || -> Option<Model> {
        let dir = ModelDir::open(model).ok()?;
        let (library, file) = match &flags.arch {
            Some(path) => {
                let name = path.file_name()?.to_string_lossy().into_owned();
                (library::library().with_file(name.clone(), std::fs::read_to_string(path).ok()?), name)
            }
            None => {
                let library = library::library();
                let file = dir.architecture_file(&library).ok()?;
                (library, file)
            }
        };
        bind(&library, &file, &dir.config, None).ok()
    };
    // What is wrong with the directory is said when it is compiled.
    bound().is_some_and(|model| model.entries.iter().any(|e| e.role == EntryRole::Prefill))
}

/// The first flag given that only makes sense when something is compiled.
fn given(flags: &CompileFlags) -> Option<&'static str> {
    [
        ("--arch", flags.arch.is_some()),
        ("--revision", flags.revision.is_some()),
        ("--precision", flags.precision.is_some()),
        ("--group", flags.group.is_some()),
        ("--asymmetric", flags.asymmetric),
        ("--kv", flags.kv != Kv::F32),
        ("--target", !flags.target.is_empty()),
        ("--max-context", flags.max_context.is_some()),
        ("--allow-unused", flags.allow_unused),
    ]
    .into_iter()
    .find_map(|(name, is_given)| is_given.then_some(name))
}

/// Compiles into the cache if it is not there yet.
///
/// A bundle lies in `<cache>/<place>/<key>`: the place stands for directory and options, the key for the content.
/// When the content changes, the old bundle of that place is removed, so that the cache does not grow for ever.
fn cached(model: &Path, options: &CompileOptions) -> Outcome<PathBuf> {
    // Files keep their names: in the cache of the Hub they are links to files that are called otherwise.
    let full = match model.is_dir() {
        true => model.canonicalize(),
        false => std::path::absolute(model),
    };
    let full = full.map_err(|e| Failure::io(model, &e))?;
    let name: String = full.file_name().unwrap_or_default().to_string_lossy().chars().take(60).collect();
    let place = sha256_hex(format!("{}\n{options:?}", full.display()).as_bytes());
    let place = cache_root()?.join(format!("{name}-{}", &place[..16]));
    let bundle = place.join(&key(&full, options)?[..16]);
    if bundle.join(MANIFEST).is_file() {
        return Ok(bundle);
    }
    std::fs::create_dir_all(&place).map_err(|e| Failure::io(&place, &e))?;
    note(&format!("compiling {} ({}) into {}", model.display(), options.precision, bundle.display()));
    // The page is a part of this program, which the key stands for already.
    let options = CompileOptions { page: page::files(), ..options.clone() };
    gristmill_compiler::compile(&full, &bundle, &options, &Bar::new())?;
    forget_others(&place, &bundle);
    Ok(bundle)
}

/// Removes older bundles of a place. That this fails is no reason to stop: they are only in the way.
fn forget_others(place: &Path, keep: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for path in entries.flatten().map(|e| e.path()).filter(|p| p != keep && p.join(MANIFEST).is_file()) {
        let _ = std::fs::remove_dir_all(path);
    }
}

/// `$XDG_CACHE_HOME/gristmill`, or what stands for it on this system.
fn cache_root() -> Outcome<PathBuf> {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    from("XDG_CACHE_HOME")
        .or_else(|| from("LOCALAPPDATA"))
        .or_else(|| from("HOME").map(|h| h.join(".cache")))
        .map(|p| p.join("gristmill"))
        .ok_or_else(|| {
            Failure::lacking("there is no place for a cache; set XDG_CACHE_HOME or HOME, or use `gristmill compile`")
        })
}

/// Stands for everything that the bundle depends on: names, sizes and times of the model's files, the files that
/// the options name, the options, and this program.
fn key(model: &Path, options: &CompileOptions) -> Outcome<String> {
    let mut text = format!("{} {options:?}\n", env!("CARGO_PKG_VERSION"));
    if let Ok(program) = std::env::current_exe() {
        describe(&mut text, &program);
    }
    let mut files = match model.is_dir() {
        true => files_below(model, FOLDERS)?,
        false => gguf::parts(model),
    };
    files.sort();
    // It may be in a folder; what is missing is said when the model is compiled.
    text.push_str(&std::fs::read_to_string(model.join("config.json")).unwrap_or_default());
    for file in options.arch.iter().cloned().chain([PathBuf::from(&options.precision)]) {
        text.push_str(&std::fs::read_to_string(file).unwrap_or_default());
    }
    for file in files {
        describe(&mut text, &file);
    }
    Ok(sha256_hex(text.as_bytes()))
}

/// The files of a directory and of folders in it, down to some depth: modules behind a model have a folder each.
fn files_below(dir: &Path, depth: u32) -> Outcome<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).map_err(|e| Failure::io(dir, &e))?;
    let mut files = Vec::new();
    for path in entries.flatten().map(|e| e.path()).take(MAX_FILES) {
        if path.is_dir() && depth > 0 {
            files.append(&mut files_below(&path, depth - 1)?);
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

fn describe(text: &mut String, file: &Path) {
    // A file that cannot be looked at makes the compiler fail with a better message.
    let Ok(meta) = std::fs::metadata(file) else { return };
    let time = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos());
    let _ = writeln!(text, "{} {} {time}", file.display(), meta.len());
}
