//! `gristmill run --image`: classes, boxes or similarities of images, or text about them.

use std::path::{Path, PathBuf};

use gristmill_bundle::files::{MAX_TEXT, read_text};
use gristmill_bundle::{Bundle, Manifest};
use gristmill_compiler::hf::dir::ModelDir;
use gristmill_compiler::library;
use gristmill_graph::text::bind;
use gristmill_graph::{EntryRole, Model};
use gristmill_runtime::blocking;
use gristmill_runtime::image::Image;
use gristmill_runtime::task::{Detection, Kind, TaskInputs, takes_images, tasks};

use super::{draw, files, labels, prompt, show};
use crate::args::{CompileFlags, RunArgs};
use crate::backend;
use crate::failure::{Failure, Outcome};
use crate::locate::{COMPACT, EXACT, Purpose, bundle_of, locate};
use crate::output::parent;

/// Runs the model's task on the images.
pub(super) fn run(args: &RunArgs) -> Outcome {
    // Errors in files are found before anything is compiled or loaded.
    let groups = files::groups(&args.image)?;
    if let Some(path) = &args.draw {
        check_drawing(path, args.image.len())?;
    }
    let model = locate(&args.model, &args.flags)?;
    let precision = if generates(&model, &args.flags) { COMPACT } else { EXACT };
    let dir = bundle_of(&model, &args.flags, precision, Purpose::Here)?;
    let bundle = Bundle::open(&dir)?;
    let kind = kind(bundle.manifest())?;
    if kind != Kind::Detect && args.draw.is_some() {
        return Err(Failure::wrong("--draw: this model does not detect objects; remove --draw"));
    }
    let words = args.texts();
    if kind == Kind::Generate {
        let [text] = words else {
            return Err(Failure::wrong(
                "this model continues one --prompt about the images; add it, such as --prompt \"Describe the image.\"",
            ));
        };
        return prompt::write(args, text, &read(&args.image)?, &dir, &bundle);
    }
    if kind != Kind::Compare && !words.is_empty() {
        return Err(Failure::wrong(format!("--prompt: this model takes no text with images; it can {}", kind.name())));
    }
    let texts = match kind {
        Kind::Compare => labels::texts(&bundle, words, "images")?,
        _ => Vec::new(),
    };
    if matches!(kind, Kind::Transcribe | Kind::Generate) {
        return Err(Failure::wrong("--image: this model transcribes audio; use --audio FILE"));
    }
    let mut loaded = backend::load(&dir, &args.backend)?;
    let (backend, manifest) = (loaded.backend.as_mut(), loaded.bundle.manifest());
    let names: Vec<String> = args.image.iter().map(|p| p.display().to_string()).collect();
    let (mut classes, mut boxes, mut fits) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups {
        let images = read(group)?;
        let given = TaskInputs { images: &images, texts: &texts, ..TaskInputs::default() };
        match kind {
            Kind::Classify => classes.extend(blocking::classify(backend, manifest, given)?),
            Kind::Detect => {
                let found = blocking::detect(backend, manifest, given, args.threshold)?;
                if let Some(path) = &args.draw {
                    write_drawing(path, &images[0], &found[0])?;
                }
                boxes.extend(found);
            }
            _ => fits.extend(blocking::compare(backend, manifest, given)?),
        }
    }
    match kind {
        Kind::Classify => show::classes(args, &names, &classes),
        Kind::Detect => show::found(args, &names, &boxes),
        _ => show::fits(args, words, &names, &fits),
    }
}

/// Whether a model, as found by [`crate::locate::locate`], generates text; then weights as small as for a prompt are
/// fine.
fn generates(model: &Path, flags: &CompileFlags) -> bool {
    let bound = || -> Option<Model> {
        let dir = ModelDir::open(model).ok()?;
        let (library, file) = match &flags.arch {
            Some(path) => {
                let name = path.file_name()?.to_string_lossy().into_owned();
                (library::library().with_file(name.clone(), read_text(path, MAX_TEXT).ok()?), name)
            }
            None => {
                let library = library::library();
                let file = dir.architecture_file(&library).ok()?;
                (library, file)
            }
        };
        bind(&library, &file, &dir.config, None).ok()
    };
    // Errors in the directory are reported when it is compiled.
    bound().is_some_and(|model| model.entries.iter().any(|e| e.role == EntryRole::Prefill))
}

fn read(paths: &[PathBuf]) -> Outcome<Vec<Image>> {
    paths.iter().map(|path| files::read(path)).collect()
}

/// The model's task for images.
fn kind(manifest: &Manifest) -> Outcome<Kind> {
    let task = tasks(manifest).find(|(_, task)| takes_images(task));
    task.map(|(_, task)| Kind::of(&task.output)).ok_or_else(|| {
        Failure::wrong(
            "--image: this model takes no images, or its directory had no preprocessor_config.json or \
             processor_config.json when it was compiled; use --prompt, or --inputs and --outputs",
        )
    })
}

// ---- drawing

fn check_drawing(path: &Path, images: usize) -> Outcome<()> {
    if images != 1 {
        return Err(Failure::wrong("--draw needs exactly one --image"));
    }
    if !parent(path).is_dir() {
        return Err(Failure::wrong(format!("{}: the directory does not exist", path.display())));
    }
    if path.extension().is_none_or(|e| !e.eq_ignore_ascii_case("png")) {
        return Err(Failure::wrong(format!("{}: --draw writes PNG; name a file that ends in .png", path.display())));
    }
    Ok(())
}

fn write_drawing(path: &Path, image: &Image, found: &[Detection]) -> Outcome<()> {
    let (width, height) = (image.width() as u32, image.height() as u32);
    let drawn = draw::boxes(image, found);
    let buffer = image::RgbImage::from_raw(width, height, drawn);
    let buffer = buffer.ok_or_else(|| Failure::wrong(format!("{}: no image to draw on", path.display())))?;
    buffer.save(path).map_err(|e| Failure::wrong(format!("{}: {e}", path.display())))
}
