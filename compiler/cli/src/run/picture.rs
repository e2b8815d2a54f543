//! `gristmill run --image`: classes, boxes or similarities of pictures.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use gristmill_bundle::{Bundle, Manifest};
use gristmill_runtime::blocking;
use gristmill_runtime::picture::{MAX_PIXELS, Picture, check_size};
use gristmill_runtime::task::{Fit, Found, Given, Kind, Score, takes_pictures, tasks};
use gristmill_runtime::tokenizer::Tokenizer;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use serde_json::{Value, json};

use super::draw;
use crate::args::RunArgs;
use crate::backend::{self, Loaded};
use crate::failure::{Exit, Failure, Outcome};
use crate::locate::{EXACT, Purpose, bundle_for};
use crate::output::{Align, Table, emit, emit_json};
use crate::tensors::parent;

/// Does with the pictures what the model is for.
pub(super) fn run(args: &RunArgs) -> Outcome {
    // What can be wrong with files is found before anything is compiled or loaded.
    let pictures = args.image.iter().map(|path| read(path)).collect::<Outcome<Vec<_>>>()?;
    if let Some(path) = &args.draw {
        check_drawing(path, args.image.len())?;
    }
    let dir = bundle_for(&args.model, &args.flags, EXACT, Purpose::Here)?;
    let bundle = Bundle::open(&dir)?;
    let kind = kind(bundle.manifest())?;
    if kind != Kind::Detect && args.draw.is_some() {
        return Err(Failure::wrong("--draw: this model finds no boxes; leave it out"));
    }
    if kind != Kind::Compare && !args.prompt.is_empty() {
        return Err(Failure::wrong(format!(
            "--prompt: this model takes no text beside pictures, it can {}",
            kind.name()
        )));
    }
    let texts = match kind {
        Kind::Compare => texts(&bundle, &args.prompt)?,
        _ => Vec::new(),
    };
    let given = Given { pictures: &pictures, texts: &texts, ..Given::default() };
    let mut loaded = backend::load(&dir, &args.backend)?;
    let (backend, manifest) = (loaded.backend.as_mut(), loaded.bundle.manifest());
    let names: Vec<String> = args.image.iter().map(|p| p.display().to_string()).collect();
    match kind {
        Kind::Classify => show_classes(args, &names, &blocking::classify(backend, manifest, given)?),
        Kind::Detect => {
            let found = blocking::detect(backend, manifest, given, args.threshold)?;
            if let Some(path) = &args.draw {
                write_drawing(path, &pictures[0], &found[0])?;
            }
            show_found(args, &names, &found)
        }
        Kind::Compare => show_fits(args, &names, &blocking::compare(backend, manifest, given)?),
        Kind::Transcribe => Err(Failure::wrong("--image: this model hears; name a recording with --audio FILE")),
    }
}

/// Says of which class a text is.
pub(super) fn classify_text(args: &RunArgs, mut loaded: Loaded, text: &str, ids: Vec<u32>) -> Outcome {
    let texts = [ids];
    let given = Given { texts: &texts, ..Given::default() };
    let scores = blocking::classify(loaded.backend.as_mut(), loaded.bundle.manifest(), given)?;
    show_classes(args, &[text.to_string()], &scores)
}

/// What the model does with pictures.
fn kind(manifest: &Manifest) -> Outcome<Kind> {
    let task = tasks(manifest).find(|(_, task)| takes_pictures(task));
    task.map(|(_, task)| Kind::of(&task.gives)).ok_or_else(|| {
        Failure::wrong(
            "--image: this model has no use for pictures, or its directory had no preprocessor_config.json that says \
             how they become tensors; call it with --prompt, or with --inputs and --outputs",
        )
    })
}

fn texts(bundle: &Bundle, prompts: &[String]) -> Outcome<Vec<Vec<u32>>> {
    if prompts.is_empty() {
        return Err(Failure::wrong(
            "this model compares pictures with texts: give some, such as --prompt \"a cat\" --prompt \"a dog\"",
        ));
    }
    let tokenizer = Tokenizer::from_bundle(bundle)?;
    Ok(prompts.iter().map(|text| tokenizer.encode(text, true)).collect::<Result<_, _>>()?)
}

// ---- reading

/// A picture from a file, upright.
fn read(path: &Path) -> Outcome<Picture> {
    let place = |fault: String| Failure::wrong(format!("{}: {fault}", path.display()));
    let file = File::open(path).map_err(|e| Failure::io(path, &e))?;
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(|e| Failure::io(path, &e))?;
    if reader.format().is_none_or(|f| !f.reading_enabled()) {
        return Err(place("not a picture; expected a PNG, JPEG, WebP or GIF file".to_string()));
    }
    let decode = || -> Result<DynamicImage, Failure> {
        let fault = |e: image::ImageError| place(format!("the picture cannot be decoded: {e}"));
        let mut decoder = reader.into_decoder().map_err(fault)?;
        let (width, height) = decoder.dimensions();
        check_size(width.into(), height.into()).map_err(|e| place(e.to_string()))?;
        // Some decoders need more than one copy; a pixel has at most 16 bytes.
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(32 * MAX_PIXELS);
        decoder.set_limits(limits).map_err(fault)?;
        // A file whose orientation cannot be read is shown as it is.
        let orientation = decoder.orientation().ok();
        let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
        if let Some(orientation) = orientation {
            image.apply_orientation(orientation);
        }
        Ok(image)
    };
    let rgb = decode()?.into_rgb8();
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    Ok(Picture::from_rgb(width, height, rgb.into_raw())?)
}

// ---- showing

fn percent(score: f32) -> String {
    format!("{:.1}%", 100.0 * score)
}

/// A heading for each of several, none for one.
fn heading(names: &[String], index: usize) -> String {
    if names.len() > 1 { format!("{}{}\n", if index > 0 { "\n" } else { "" }, names[index]) } else { String::new() }
}

fn show_classes(args: &RunArgs, names: &[String], all: &[Vec<Score>]) -> Outcome {
    let shown = |scores: &[Score]| scores[..scores.len().min(args.top as usize)].to_vec();
    if args.json {
        let items = names.iter().zip(all).map(|(name, scores)| json!({ "input": name, "classes": shown(scores) }));
        return print_json(items.collect());
    }
    for (i, scores) in all.iter().enumerate() {
        let mut table = Table::new(&[("class", Align::Left), ("score", Align::Right)]);
        shown(scores).into_iter().for_each(|s| table.row([s.label, percent(s.score)]));
        emit(&format!("{}{}", heading(names, i), table.render(0)))?;
    }
    Ok(Exit::Done)
}

fn show_found(args: &RunArgs, names: &[String], all: &[Vec<Found>]) -> Outcome {
    if args.json {
        let items = names.iter().zip(all).map(|(name, found)| json!({ "input": name, "found": found }));
        return print_json(items.collect());
    }
    for (i, found) in all.iter().enumerate() {
        let right = ["score", "left", "top", "right", "bottom"].map(|name| (name, Align::Right));
        let mut table = Table::new(&[&[("class", Align::Left)], right.as_slice()].concat());
        for f in found {
            let corners = f.corners.map(|c| format!("{c:.0}"));
            table.row([f.what.label.clone(), percent(f.what.score)].into_iter().chain(corners));
        }
        let nothing = format!("nothing above {}; --threshold changes that\n", percent(args.threshold));
        let text = if found.is_empty() { nothing } else { table.render(0) };
        emit(&format!("{}{text}", heading(names, i)))?;
    }
    Ok(Exit::Done)
}

fn show_fits(args: &RunArgs, names: &[String], all: &[Fit]) -> Outcome {
    let rows = |fit: &Fit| -> Vec<(String, f32, f32)> {
        let values = fit.probability.iter().zip(&fit.similarity);
        args.prompt.iter().zip(values).map(|(text, (p, s))| (text.clone(), *p, *s)).collect()
    };
    if args.json {
        let text = |(text, probability, similarity): (String, f32, f32)| json!({ "text": text, "probability": probability, "similarity": similarity });
        let item = |(name, fit): (&String, &Fit)| json!({ "input": name, "texts": rows(fit).into_iter().map(text).collect::<Vec<_>>() });
        return print_json(names.iter().zip(all).map(item).collect());
    }
    for (i, fit) in all.iter().enumerate() {
        let head = [("text", Align::Left), ("probability", Align::Right), ("similarity", Align::Right)];
        let mut table = Table::new(&head);
        rows(fit).into_iter().for_each(|(text, p, s)| table.row([text, percent(p), format!("{s:.3}")]));
        emit(&format!("{}{}", heading(names, i), table.render(0)))?;
    }
    Ok(Exit::Done)
}

fn print_json(items: Vec<Value>) -> Outcome {
    emit_json(&Value::Array(items))?;
    Ok(Exit::Done)
}

// ---- drawing

fn check_drawing(path: &Path, pictures: usize) -> Outcome<()> {
    if pictures != 1 {
        return Err(Failure::wrong("--draw takes one --image at a time"));
    }
    if !parent(path).is_dir() {
        return Err(Failure::wrong(format!("{}: its directory does not exist", path.display())));
    }
    if path.extension().is_none_or(|e| !e.eq_ignore_ascii_case("png")) {
        return Err(Failure::wrong(format!("{}: --draw writes PNG; name a file that ends in .png", path.display())));
    }
    Ok(())
}

fn write_drawing(path: &Path, picture: &Picture, found: &[Found]) -> Outcome<()> {
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let drawn = draw::boxes(picture, found);
    let buffer = image::RgbImage::from_raw(width, height, drawn);
    let buffer = buffer.ok_or_else(|| Failure::wrong(format!("{}: nothing to draw on", path.display())))?;
    buffer.save(path).map_err(|e| Failure::wrong(format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photographs_stand_upright() {
        // Stored as cameras that are held sideways do, 16 wide and 24 high: green in a corner, red on the left, blue
        // on the right, once it is turned as it says.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/turned.jpg");
        let picture = read(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((picture.width(), picture.height()), (24, 16));
        let strongest = |x: usize, y: usize| {
            let pixel = &picture.rgb()[3 * (y * 24 + x)..][..3];
            ["red", "green", "blue"][(0..3).max_by_key(|c| pixel[*c]).unwrap_or(0)]
        };
        assert_eq!([strongest(1, 1), strongest(2, 12), strongest(21, 2)], ["green", "red", "blue"]);
    }
}
