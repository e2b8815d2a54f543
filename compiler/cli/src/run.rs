//! `gristmill run`: runs a model on text, images, videos, audio or tensors.

mod audio;
mod draw;
pub(crate) mod files;
mod font;
mod image;
mod labels;
mod prompt;
mod show;
mod subtitles;
mod video;
pub(crate) mod waveform;

use std::path::Path;

use gristmill_runtime::Tensors;
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::tensors::TensorRun;

use crate::args::RunArgs;
use crate::backend;
use crate::failure::{Exit, Failure, Outcome};
use crate::locate::{EXACT, Purpose, bundle_for};
use crate::{output, tensors};

/// Dispatches by the kind of input: audio, images, videos, a prompt, or tensors.
pub(crate) fn run(args: &RunArgs) -> Outcome {
    match (&args.inputs, &args.outputs, args.texts()) {
        (Some(inputs), Some(outputs), _) => run_on_tensors(args, inputs, outputs),
        _ if !args.audio.is_empty() => audio::run(args),
        _ if !args.image.is_empty() => image::run(args),
        _ if !args.video.is_empty() => video::run(args),
        (_, _, [text]) => prompt::run(args, text),
        (_, _, [_, _, ..]) => Err(Failure::wrong(
            "several prompts need something to compare with: add --image FILE, --video FOLDER or --audio FILE",
        )),
        _ => Err(Failure::wrong("no input: add --prompt, --image, --video or --audio, or --inputs and --outputs")),
    }
}

fn run_on_tensors(args: &RunArgs, inputs: &Path, outputs: &Path) -> Outcome {
    let greedy = match args.sampling.greedy {
        None => None,
        Some(Some(n)) if n > 0 => Some(n),
        Some(_) => {
            return Err(Failure::wrong(
                "--greedy: tensor mode needs a number of tokens, at least 1, such as --greedy 16",
            ));
        }
    };
    // Read before anything is compiled or loaded.
    let inputs = model_inputs(inputs)?;
    if !output::parent(outputs).is_dir() {
        return Err(Failure::wrong(format!("{}: the directory does not exist", outputs.display())));
    }
    let dir = bundle_for(&args.model, &args.flags, EXACT, Purpose::Here)?;
    let mut loaded = backend::load(&dir, &args.backend)?;
    let call = TensorRun { entry: args.entry.clone(), greedy, taps: args.taps, start: args.decoder_start.clone() };
    let produced = run_tensors(loaded.backend.as_mut(), loaded.bundle.manifest(), &inputs, &call)?;
    tensors::write(outputs, &produced)?;
    Ok(Exit::Done)
}

/// The tensors of a file that are inputs of the model. Names that start with `ref.` are left out; they hold what inputs
/// were made from, such as images.
pub(crate) fn model_inputs(path: &Path) -> Outcome<Tensors> {
    let mut inputs = tensors::read(path)?;
    inputs.retain(|name, _| !name.starts_with("ref."));
    Ok(inputs)
}
