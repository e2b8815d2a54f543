//! Images in prompts: inputs and token ids equal those of the processors of transformers, and the generated text equals
//! that of transformers, on all devices.

use std::fs;
use std::sync::Arc;

use gristmill_bundle::Bundle;
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::Data;
use gristmill_runtime::blocking::{drive, generate_text};
use gristmill_runtime::generate::Options;
use gristmill_runtime::image::Image;
use gristmill_runtime::native;
use gristmill_runtime::prompter::Prompter;
use gristmill_runtime::task::{image_placeholder, image_prompt};
use gristmill_runtime::template::{ChatOptions, ChatTemplate, Content, Message, Part};
use gristmill_runtime::text::{Callbacks, TextRun};
use gristmill_runtime::tokenizer::Tokenizer;
use gristmill_tests::devices::{self, Device};
use gristmill_tests::prompts::{ImagePrompt, PromptModel, folder, image, models, write_model};
use safetensors::SafeTensors;
use tempfile::TempDir;

#[path = "../../../examples/native.rs"]
#[expect(dead_code, reason = "its `main` reads the command line")]
mod example;

fn bundle(name: &str, model: &PromptModel) -> (Arc<Bundle>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("model");
    write_model(name, model, &from);
    let options = CompileOptions { precision: "f32".into(), targets: devices::targets(), ..CompileOptions::default() };
    compile(&from, &dir.path().join("bundle"), &options, &Quiet).unwrap_or_else(|e| panic!("{name}: {e}"));
    (Arc::new(Bundle::open(dir.path().join("bundle")).unwrap()), dir)
}

#[test]
fn inputs_and_tokens_are_those_of_the_processors() {
    let bytes = fs::read(folder().join("tensors.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for (name, model) in models() {
        let (bundle, _dir) = bundle(&name, &model);
        let manifest = bundle.manifest();
        let tokenizer = Tokenizer::from_bundle(&bundle).unwrap();
        for (number, prompt) in model.prompts.iter().enumerate() {
            let ids = tokenizer.encode(&prompt.prompt, true).unwrap();
            let images: Vec<_> = prompt.images.iter().map(|p| image(p)).collect();
            let found = image_prompt(manifest, &ids, &images).unwrap_or_else(|e| panic!("{name} {number}: {e}"));
            assert_eq!(found.tokens(), prompt.ids, "{name} {number}");
            assert!(!found.inputs().is_empty());
            for (input, tensor) in found.inputs() {
                let expect = tensors.tensor(&format!("{name} {number} {input}")).unwrap();
                assert_eq!(tensor.shape, expect.shape(), "{name} {number} {input}");
                let words = expect.data().chunks_exact(4).map(|b| <[u8; 4]>::try_from(b).unwrap());
                match &tensor.data {
                    Data::I32(v) => assert_eq!(*v, words.map(i32::from_le_bytes).collect::<Vec<_>>(), "{input}"),
                    Data::F32(v) => {
                        let worst = v.iter().zip(words.map(f32::from_le_bytes)).map(|(a, b)| (a - b).abs());
                        let worst = worst.fold(0f32, f32::max);
                        // Far below the effect of one step of a byte: the bytes are the same.
                        assert!(worst < 1e-6, "{name} {number} {input}: {worst}");
                    }
                }
            }
        }
        // Placeholders and images must match.
        let refused =
            |ids: &[u32], images: &[Image]| image_prompt(manifest, ids, images).map(|_| ()).unwrap_err().to_string();
        let wrong = refused(&[3, 4], &[image("small")]);
        assert!(wrong.contains("once per image (1 in all), found 0"), "{wrong}");
        let mark = image_placeholder(manifest).unwrap();
        let many = vec![image("small"); 17];
        let wrong = refused(&[mark.token; 17], &many);
        assert!(wrong.contains("at most") && wrong.contains("images, found 17"), "{wrong}");
    }
}

#[test]
fn templates_write_marks_of_images() {
    for (name, model) in models() {
        let template = ChatTemplate::new("test", &model.template, &[]).unwrap();
        let text = Part::Text { text: "what is in this image".to_string() };
        let message = Message::new("user", Content::Parts(vec![Part::Image, text]));
        assert_eq!(template.render(&[message], &ChatOptions::answer(0)).unwrap(), model.rendered, "{name}");
    }
}

#[test]
fn the_native_example_chats_about_an_image() {
    let (name, model) = models().into_iter().next().unwrap();
    let (bundle, dir) = bundle(&name, &model);
    let (bundle_dir, image_file) = (dir.path().join("bundle"), folder().join("small.png"));
    let mut told = Vec::new();
    example::chat(&bundle_dir, &image_file, "what is it", &mut told).unwrap();
    let prompter = Prompter::of(&bundle).unwrap();
    let (message, images) = (Message::about_images("user", 1, "what is it"), [image("small")]);
    let prompt = prompter.chat(&[message], &images, &ChatOptions::answer(0)).unwrap();
    let (mut backend, mut text) = (native::open(bundle.clone()).unwrap(), String::new());
    let mut callbacks =
        Callbacks { clock: &mut || 0.0, keep_going: &mut |_| true, piece: &mut |piece| text.push_str(piece) };
    let (manifest, tokenizer, options) = (bundle.manifest(), prompter.tokenizer(), Options::default());
    generate_text(backend.as_mut(), manifest, tokenizer, prompt, &options, &[], &mut callbacks).unwrap();
    assert!(!text.is_empty());
    assert_eq!(String::from_utf8(told).unwrap(), format!("{text}\n"));
}

/// Messages have parts only where there are images, as programs pass them, whatever form the template reads.
#[test]
fn conversations_with_and_without_images_are_those_of_transformers() {
    for (name, model) in models() {
        let (bundle, _dir) = bundle(&name, &model);
        let prompter = Prompter::of(&bundle).unwrap();
        let mut backend = native::open(bundle.clone()).unwrap();
        for turns in &model.conversations {
            let (mut messages, mut images) = (Vec::new(), Vec::new());
            for turn in turns {
                let place = format!("{name}: {}", turn.text);
                messages.push(Message::about_images("user", turn.images.len(), &turn.text));
                images.extend(turn.images.iter().map(|name| image(name)));
                let prompt = prompter.chat(&messages, &images, &ChatOptions::answer(0)).unwrap();
                assert_eq!(prompt.tokens(), turn.ids, "{place}");
                let (manifest, tokenizer, mut text) = (bundle.manifest(), prompter.tokenizer(), String::new());
                let most = turn.written.len() as u32;
                let options = Options { max_new_tokens: most, ..Options::default() };
                let mut callbacks = Callbacks {
                    clock: &mut || 0.0,
                    keep_going: &mut |_| true,
                    piece: &mut |piece| text.push_str(piece),
                };
                let outcome =
                    generate_text(backend.as_mut(), manifest, tokenizer, prompt, &options, &[], &mut callbacks)
                        .unwrap();
                assert_eq!(outcome.tokens, turn.written, "{place}");
                assert_eq!(text.trim(), turn.reply, "{place}");
                messages.push(Message::new("assistant", text));
            }
        }
    }
}

/// The tokens that a device generates after a prompt.
fn written(device: &mut Device, bundle: &Bundle, prompt: &ImagePrompt) -> Vec<u32> {
    let tokenizer = Tokenizer::from_bundle(bundle).unwrap();
    let ids = tokenizer.encode(&prompt.prompt, true).unwrap();
    let images: Vec<_> = prompt.images.iter().map(|p| image(p)).collect();
    let start = image_prompt(bundle.manifest(), &ids, &images).unwrap();
    let most = prompt.written.len() as u32;
    let options = Options { max_new_tokens: most, ignore_eos: true, ..Options::default() };
    let decode = |ids: &[u32]| Ok(tokenizer.decode(ids)?);
    let mut run = TextRun::new(bundle.manifest(), decode, start, &options, &[]).unwrap();
    let mut callbacks = Callbacks { clock: &mut || 0.0, keep_going: &mut |_| true, piece: &mut |_| {} };
    let outcome = drive(&mut run, device.backend.as_mut(), bundle.manifest(), &mut callbacks);
    outcome.unwrap_or_else(|e| panic!("{}: {e}", device.name)).tokens
}

#[test]
fn what_is_written_about_images_is_what_transformers_writes() {
    for (name, model) in models() {
        let (bundle, dir) = bundle(&name, &model);
        let again = Bundle::open(dir.path().join("bundle")).unwrap();
        let reference = ReferenceBackend::open(again).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut devices = devices::open(&bundle).unwrap();
        devices.push(Device { name: "reference".into(), backend: Box::new(reference), rounds: false });
        for device in &mut devices {
            for (number, prompt) in model.prompts.iter().enumerate() {
                let found = written(device, &bundle, prompt);
                assert_eq!(found, prompt.written, "{name} {number} on {}", device.name);
            }
        }
    }
}
