//! `gristmill run --prompt`: generates text, or prints an embedding.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gristmill_bundle::{Bundle, EntryRole, TaskOutput, files};
use gristmill_runtime::Data;
use gristmill_runtime::blocking::{self, generate_text};
use gristmill_runtime::call::separate_encoder;
use gristmill_runtime::embedding::Embedder;
use gristmill_runtime::generate::{Options, Outcome as Generated, Stop};
use gristmill_runtime::image::Image;
use gristmill_runtime::prompt::Prompt;
use gristmill_runtime::prompter::Prompter;
use gristmill_runtime::task::{takes_audio, takes_images, takes_texts, takes_videos, tasks};
use gristmill_runtime::template::{ChatOptions, Message};
use gristmill_runtime::text::Callbacks;
use gristmill_runtime::tokenizer::Tokenizer;

use crate::args::RunArgs;
use crate::backend::{self, Loaded};
use crate::failure::{Exit, Failure, Outcome};
use crate::interrupt;
use crate::locate::{COMPACT, Purpose, bundle_for};
use crate::output::{emit, note};
use crate::sampling;

/// Continues the prompt if the model generates, embeds it if it embeds.
pub(super) fn run(args: &RunArgs, text: &str) -> Outcome {
    let dir = bundle_for(&args.model, &args.flags, COMPACT, Purpose::Here)?;
    let bundle = Bundle::open(&dir)?;
    let has = |role: EntryRole| bundle.manifest().entries.iter().find(|e| e.role == role);
    if args.prompt_name.is_some() && has(EntryRole::Embed).is_none() {
        return Err(Failure::wrong("--prompt-name: only embedding models have named prompts; remove --prompt-name"));
    }
    match (has(EntryRole::Prefill), has(EntryRole::Embed).is_some()) {
        (Some(_), _) => write(args, text, &[], &dir, &bundle),
        (None, true) => embed(args, text, &dir, &bundle),
        (None, false) => match tasks(bundle.manifest()).find(|(_, task)| takes_texts(task)) {
            Some((_, task)) if matches!(task.output, TaskOutput::Classify { .. }) => {
                let ids = Tokenizer::from_bundle(&bundle)?.encode(text, true)?;
                let loaded = backend::load(&dir, &args.backend)?;
                super::labels::classify_text(args, loaded, text, ids)
            }
            Some((_, task)) => {
                let (what, flag) = match task {
                    task if takes_videos(task) => ("videos", "--video FOLDER"),
                    task if takes_audio(task) => ("audio files", "--audio FILE"),
                    _ => ("images", "--image FILE"),
                };
                Err(Failure::wrong(format!("this model compares texts with {what}: add {flag}")))
            }
            None => {
                let message = "this model neither generates nor embeds text; use --inputs and --outputs";
                let images = tasks(bundle.manifest()).any(|(_, task)| takes_images(task));
                let hint = if images { ", or with --image" } else { "" };
                Err(Failure::wrong(format!("{message}{hint}")))
            }
        },
    }
}

/// Continues a prompt, which may contain images.
pub(super) fn write(args: &RunArgs, text: &str, images: &[Image], dir: &Path, bundle: &Bundle) -> Outcome {
    if args.json {
        return Err(Failure::wrong("--json: generated text is streamed as plain text; remove --json"));
    }
    // Errors in options are found before weights are loaded.
    let options = sampling::choose(bundle, &args.sampling, sampling::DEFAULT_NEW_TOKENS)?;
    let prompter = Prompter::of(bundle)?;
    let prompt = if args.chat { conversation(args, text, images, &prompter)? } else { prompter.text(text, images)? };
    let loaded = backend::load(dir, &args.backend)?;
    continue_text(args, text, loaded, prompter.tokenizer(), prompt, &options)
}

/// The conversation that starts with a user message. Images without a placeholder go before the text.
fn conversation(args: &RunArgs, text: &str, images: &[Image], prompter: &Prompter) -> Outcome<Prompt> {
    if !prompter.chats() {
        return Err(Failure::wrong(
            "--chat: this model has no chat template; remove --chat to continue the prompt as plain text",
        ));
    }
    let missing = images.len().saturating_sub(prompter.images_in(text)?);
    let system = args.system.iter().map(|s| Message::new("system", s.as_str()));
    let messages: Vec<Message> = system.chain([Message::about_images("user", missing, text)]).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0));
    let tools = args.tools.as_deref().map(json_file).transpose()?;
    Ok(prompter.chat(&messages, images, &ChatOptions { tools, ..ChatOptions::answer(now) })?)
}

/// The content of a JSON file.
fn json_file(path: &Path) -> Outcome<String> {
    let fault = |e: &dyn std::fmt::Display| Failure::wrong(format!("{}: {e}", path.display()));
    let text = files::read_text(path, files::MAX_TEXT).map_err(|e| fault(&e))?;
    serde_json::from_str::<serde_json::Value>(&text).map_err(|e| fault(&e))?;
    Ok(text)
}

fn continue_text(
    args: &RunArgs,
    text: &str,
    mut loaded: Loaded,
    tokenizer: &Tokenizer,
    prompt: Prompt,
    options: &Options,
) -> Outcome {
    let interrupted = watch_interrupt();
    let begin = Instant::now();
    let mut written = Ok(());
    // A continuation is printed after the text that it continues, but an answer alone. The prompt is printed with the
    // first piece, so that nothing is printed if the model rejects it.
    let manifest = loaded.bundle.manifest();
    let mut lead = (!args.chat && separate_encoder(manifest).is_none()).then_some(text);
    let generated = {
        let (broken, lead) = (AtomicBool::new(false), &mut lead);
        let mut callbacks = Callbacks {
            clock: &mut || begin.elapsed().as_secs_f64(),
            keep_going: &mut |_| !interrupted.load(Ordering::Relaxed) && !broken.load(Ordering::Relaxed),
            piece: &mut |piece| {
                let result = emit(&format!("{}{piece}", lead.take().unwrap_or_default()));
                if result.is_err() && written.is_ok() {
                    written = result;
                    broken.store(true, Ordering::Relaxed);
                }
            },
        };
        let backend = loaded.backend.as_mut();
        generate_text(backend, manifest, tokenizer, prompt, options, &args.sampling.stop, &mut callbacks)?
    };
    written?;
    emit(&format!("{}\n", lead.unwrap_or_default()))?;
    note(&summary(&generated, options, &loaded.backend.describe()));
    Ok(if interrupted.load(Ordering::Relaxed) { Exit::Interrupted } else { Exit::Done })
}

/// How long a step in progress may take after Ctrl-C.
const LAST_STEP: Duration = Duration::from_millis(700);

/// A flag that the first Ctrl-C sets, so that the output so far is completed. The second Ctrl-C ends the program, and
/// so does a step that takes too long.
pub(super) fn watch_interrupt() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = flag.clone();
    interrupt::first(move || {
        seen.store(true, Ordering::Relaxed);
        std::thread::spawn(|| {
            std::thread::sleep(LAST_STEP);
            interrupt::end();
        });
    });
    flag
}

/// A summary line: counts, speed, stop reason, and how to repeat the result.
fn summary(generated: &Generated, options: &Options, backend: &str) -> String {
    let stats = &generated.stats;
    let rate = |n: u32, seconds: f64| if seconds > 0.0 { f64::from(n) / seconds } else { 0.0 };
    let why = match generated.stop {
        Stop::EndToken => "end of text",
        Stop::StopText => "a stop text appeared",
        Stop::MaxTokens => "max_new_tokens reached",
        Stop::ContextFull => "the context is full; --max-context gives more",
        Stop::Aborted => "stopped",
    };
    let seed =
        if options.sampling.temperature > 0.0 { format!("; seed {}", options.sampling.seed) } else { String::new() };
    format!(
        "{} prompt tokens ({:.1} tokens/s), {} new tokens ({:.1} tokens/s): {why}{seed}; {backend}",
        stats.prompt_tokens,
        rate(stats.prompt_tokens, stats.prefill_seconds),
        stats.new_tokens,
        rate(stats.decode_calls, stats.decode_seconds),
    )
}

/// Prints the embedding of a text as a JSON list.
fn embed(args: &RunArgs, text: &str, dir: &Path, bundle: &Bundle) -> Outcome {
    let manifest = bundle.manifest();
    let embedder = Embedder::of(manifest)?;
    // Errors in options are found before weights are loaded.
    let prompt = embedder.prompt(args.prompt_name.as_deref())?;
    let request = embedder.text(&Tokenizer::from_bundle(bundle)?, prompt, text)?;
    let mut loaded = backend::load(dir, &args.backend)?;
    let (backend, output) = (loaded.backend.as_mut(), embedder.output());
    let mut outputs = blocking::run(backend, &request.entry, &request.inputs, 0, &[output])?;
    match outputs.remove(output).map(|t| t.data) {
        Some(Data::F32(values)) => {
            emit(&format!("{}\n", serde_json::Value::from(values)))?;
            Ok(Exit::Done)
        }
        _ => Err(Failure::wrong(format!("output `{output}` is not a list of floats"))),
    }
}
