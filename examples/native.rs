//! Chats about an image with a bundle, from Rust:
//!
//!     cargo run --release --example native -- BUNDLE IMAGE "What is in this image?"

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use gristmill_bundle::Bundle;
use gristmill_runtime::blocking::generate_text;
use gristmill_runtime::generate::Options;
use gristmill_runtime::image::Image;
use gristmill_runtime::native;
use gristmill_runtime::prompter::Prompter;
use gristmill_runtime::template::{ChatOptions, Message};
use gristmill_runtime::text::Callbacks;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, image, question] = &args[..] else { return Err("expected BUNDLE IMAGE QUESTION".into()) };
    chat(Path::new(bundle), Path::new(image), question, &mut std::io::stdout())
}

/// Writes what the model says about the image.
pub(crate) fn chat(bundle: &Path, image: &Path, question: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let bundle = Arc::new(Bundle::open(bundle)?);
    let pixels = image::open(image)?.to_rgb8();
    let image = Image::from_rgb(pixels.width() as usize, pixels.height() as usize, pixels.into_raw())?;
    let message = Message::about_images("user", 1, question);

    let prompter = Prompter::of(&bundle)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() as i64;
    let prompt = prompter.chat(&[message], &[image], &ChatOptions::answer(now))?;

    // WebGPU on a GPU, otherwise WebAssembly.
    let mut backend = native::open(bundle.clone())?;
    let (options, begin, mut written) = (Options::default(), Instant::now(), Ok(()));
    let mut callbacks = Callbacks {
        clock: &mut || begin.elapsed().as_secs_f64(),
        keep_going: &mut |_| true,
        piece: &mut |piece| written = write!(out, "{piece}").and_then(|()| out.flush()),
    };
    generate_text(backend.as_mut(), bundle.manifest(), prompter.tokenizer(), prompt, &options, &[], &mut callbacks)?;
    written?;
    Ok(writeln!(out)?)
}
