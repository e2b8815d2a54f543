//! The arguments of the command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  gristmill run examples/stories260K --prompt \"Once upon a time\"
  gristmill compile path/to/model -o dist --precision q4
  gristmill run dist --prompt \"Once upon a time\"
  gristmill inspect dist --memory

Exit codes: 0 success; 1 the answer is no (verify, check); 2 wrong usage or input;
3 the environment lacks something (adapter, memory, network), or gristmill found a bug of its own;
130 stopped by Ctrl-C.";

/// Compile a Hugging Face model into a bundle that runs on WebGPU and WebAssembly
#[derive(Debug, Parser)]
#[command(name = "gristmill", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compile a model into a bundle
    Compile(CompileArgs),
    /// Draft an architecture file for a model that no shipped one describes
    New(NewArgs),
    /// Check an architecture file, precision policy or target profile
    Check(CheckArgs),
    /// Show what a bundle contains
    Inspect(InspectArgs),
    /// Run a model: generate text, classify images, transcribe audio, or call it with tensors
    Run(Box<RunArgs>),
    /// Compare the outputs of a model with expected tensors
    Verify(Box<VerifyArgs>),
    /// Serve a model to browsers
    Serve(Box<ServeArgs>),
    /// Measure how fast a model runs on this machine
    Bench(Box<BenchArgs>),
    /// List the graphics adapters of this machine
    Adapters(AdaptersArgs),
    /// List, verify or remove cached bundles
    Cache(CacheArgs),
}

/// Compiler options.
#[derive(Debug, Args, Clone)]
#[command(next_help_heading = "Compiling")]
pub(crate) struct CompileFlags {
    /// Architecture file to use [default: the shipped one that config.json names]
    #[arg(long, value_name = "FILE.ron")]
    pub(crate) arch: Option<PathBuf>,
    /// Branch, tag or commit of a model on the Hub [default: main]
    #[arg(long, value_name = "REVISION")]
    pub(crate) revision: Option<String>,
    #[arg(long, value_name = "PRECISION", help = precisions())]
    pub(crate) precision: Option<String>,
    /// Columns per block of quantized weights: 16, 32, 64 or 128, if the format allows it
    #[arg(long, value_name = "N", value_parser = group)]
    pub(crate) group: Option<u16>,
    /// Store a minimum for each block of quantized weights
    #[arg(long)]
    pub(crate) asymmetric: bool,
    /// Precision of the key and value cache
    #[arg(long, value_name = "PRECISION", value_enum, default_value_t = Kv::F32)]
    pub(crate) kv: Kv,
    /// Targets to compile for, separated by commas: names of shipped profiles, profile files, or `all`
    #[arg(long, value_name = "NAME|FILE.ron", value_delimiter = ',')]
    pub(crate) target: Vec<String>,
    /// Maximum number of tokens in a session [default: the model's limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_context: Option<u32>,
    /// Compile even if weights or settings that affect the results are not read
    #[arg(long)]
    pub(crate) allow_unused: bool,
}

/// The help text of `--precision`.
fn precisions() -> String {
    let names = gristmill_graph::precision_names();
    format!("Precision of weights: default, {names}, the name of a shipped policy, or a policy file")
}

fn group(text: &str) -> Result<u16, String> {
    let sizes = gristmill_graph::format::groups();
    let found = text.parse().ok().filter(|group| sizes.contains(group));
    found.ok_or_else(|| {
        let sizes: Vec<String> = sizes.iter().map(u16::to_string).collect();
        format!("expected one of {}", sizes.join(", "))
    })
}

/// Precision of the key and value cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kv {
    /// 32-bit float
    F32,
    /// 16-bit float, half the memory
    F16,
}

/// `gristmill compile`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill compile path/to/model -o dist
  gristmill compile path/to/model -o dist --precision q4 --group 64 --asymmetric
  gristmill compile path/to/model -o dist --precision policy.ron --kv f16
  gristmill compile path/to/model -o dist --arch my-architecture.ron --target chrome,firefox
  gristmill compile path/to/model -o dist --target my-phone.ron,wasm     (docs/profiles.md)
  gristmill compile model.Q4_K_M.gguf -o dist
  gristmill compile org/name -o dist                     (from the Hugging Face Hub)
  gristmill compile org/name/model.Q8_0.gguf@v1 -o dist

A model directory has config.json, safetensors files (one, or several with an index) and, for
text, tokenizer.json. A GGUF file contains all of that; if it is split, name the first part.
Models on the Hub are read from its cache on this machine, and missing files are downloaded
(HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE=1). Interrupted downloads are resumed.
The bundle is written completely or not at all, and replaces an older one.
Without --precision the architecture chooses: q4 for models that generate text, q8 for those that
embed text or read images or audio, and both for models with several parts.")]
pub(crate) struct CompileArgs {
    /// Model directory, GGUF file, or org/name@revision on the Hub
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Directory to write the bundle to
    #[arg(short, long, value_name = "BUNDLE")]
    pub(crate) output: PathBuf,
    /// Compiler options.
    #[command(flatten)]
    pub(crate) flags: CompileFlags,
}

/// `gristmill check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill check my-architecture.ron
  gristmill check my-architecture.ron --config path/to/model/config.json
  gristmill check my-precision-policy.ron
  gristmill check my-phone.ron                           (a target profile: docs/profiles.md)

Without a config only names, types and structure are checked. With one the graph is built and its
shapes are inferred. With a model directory its tensors must exist as well. All errors are listed.
Exit code 1: the file has errors.")]
pub(crate) struct CheckArgs {
    /// Architecture file, precision policy, or target profile
    #[arg(value_name = "FILE.ron")]
    pub(crate) file: PathBuf,
    /// Bind the architecture to this config.json
    #[arg(long, value_name = "config.json")]
    pub(crate) config: Option<PathBuf>,
    /// Bind the architecture to the config.json and tensors of this model directory
    #[arg(long, value_name = "MODEL_DIR", conflicts_with = "config")]
    pub(crate) model: Option<PathBuf>,
}

/// `gristmill new`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill new path/to/model
  gristmill new path/to/model -o stablelm.ron
  gristmill new path/to/model -o mine.ron --base NAME
  gristmill check stablelm.ron --model path/to/model
  gristmill compile path/to/model -o dist --arch stablelm.ron

The draft extends the shipped architecture that fits the model's tensors with the fewest changes, or
--base. It lists the tensors and config.json keys that the base does not read, and those that the
base reads but the model lacks. A Python script is written beside it, which runs the original model
and records what `gristmill verify` compares with.")]
pub(crate) struct NewArgs {
    /// Model directory
    #[arg(value_name = "MODEL_DIR")]
    pub(crate) model: PathBuf,
    /// File to write [default: the model's type, in the current directory]
    #[arg(short, long, value_name = "FILE.ron")]
    pub(crate) output: Option<PathBuf>,
    /// Shipped architecture to extend [default: the one that fits with the fewest changes]
    #[arg(long, value_name = "NAME")]
    pub(crate) base: Option<String>,
    /// Overwrite files, and draft even if a shipped architecture describes the model
    #[arg(long)]
    pub(crate) force: bool,
}

/// `gristmill inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill inspect dist
  gristmill inspect dist --weights
  gristmill inspect dist --graph --dot --layer 0 | dot -Tsvg > layer.svg
  gristmill inspect dist --kernels --target firefox
  gristmill inspect dist --shader NAME --target firefox     (names: --kernels)
  gristmill inspect dist --shader NAME --target wasm
  gristmill inspect dist --memory --json")]
pub(crate) struct InspectArgs {
    /// Bundle to inspect
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// The view.
    #[command(flatten)]
    pub(crate) view: ViewFlags,
    /// Print the graph of an entry for Graphviz, with a cluster per layer and a colour per kernel
    #[arg(long, requires = "graph", conflicts_with = "json")]
    pub(crate) dot: bool,
    /// Entry to draw [default: the first one]
    #[arg(long, value_name = "NAME", requires = "dot")]
    pub(crate) entry: Option<String>,
    /// Draw only this layer, counted from 0
    #[arg(long, value_name = "N", requires = "dot")]
    pub(crate) layer: Option<u32>,
    /// Target whose programs and shaders are shown [default: native, or else the first one]
    #[arg(long, value_name = "T")]
    pub(crate) target: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `inspect` shows; an overview if no flag is given.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct ViewFlags {
    /// Show the graph of the model
    #[arg(long)]
    pub(crate) graph: bool,
    /// Show which rewrite rules applied and what they saved
    #[arg(long)]
    pub(crate) rewrites: bool,
    /// Show memory use: weights, caches, scratch buffers
    #[arg(long)]
    pub(crate) memory: bool,
    /// Show the kernels and how often each runs
    #[arg(long)]
    pub(crate) kernels: bool,
    /// Show each weight with its precision and size
    #[arg(long)]
    pub(crate) weights: bool,
    /// Print one kernel as WGSL or WebAssembly text; fallback:NAME is a fallback kernel
    #[arg(long, value_name = "NAME")]
    pub(crate) shader: Option<String>,
}

/// Backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendName {
    /// WebGPU if there is a GPU, else WebAssembly
    Auto,
    /// WebGPU
    Wgpu,
    /// WebAssembly on the CPU
    Wasm,
    /// The reference evaluator: slow and simple
    Reference,
}

/// Options that choose the backend.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub(crate) struct BackendFlags {
    /// Backend to run on
    #[arg(long, value_name = "BACKEND", value_enum, default_value_t = BackendName::Auto)]
    pub(crate) backend: BackendName,
    /// Adapter to use: an index or part of a name listed by `gristmill adapters`
    #[arg(long, value_name = "NAME|INDEX")]
    pub(crate) adapter: Option<String>,
    /// Profile whose programs run on the adapter [default: native, or else the first in the bundle]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Threads for --backend wasm [default: one per CPU, at most 8 and at most one per MiB of weights]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) threads: Option<u32>,
    /// SIMD instructions for --backend wasm
    #[arg(long, value_name = "KIND", value_enum, default_value_t = Simd::Auto)]
    pub(crate) simd: Simd,
}

/// SIMD instructions of the WebAssembly backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Simd {
    /// The fastest available
    Auto,
    /// The SIMD instructions that every engine supports
    Baseline,
    /// Relaxed SIMD, whose results may differ in the last bits between CPUs
    Relaxed,
}

/// How the next token is chosen. Defaults come from the model's generation_config.json.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingFlags {
    /// Always take the most likely token; in tensor mode, decode N tokens after the prompt
    #[arg(long, value_name = "N", num_args = 0..=1)]
    pub(crate) greedy: Option<Option<u32>>,
    /// Divide logits by this before sampling; 0 means greedy
    #[arg(long, value_name = "X", conflicts_with_all = ["greedy", "inputs"])]
    pub(crate) temperature: Option<f32>,
    /// Sample from the K most likely tokens
    #[arg(long, value_name = "K", conflicts_with_all = ["greedy", "inputs"])]
    pub(crate) top_k: Option<u32>,
    /// Sample from the most likely tokens whose probabilities add up to P
    #[arg(long, value_name = "P", conflicts_with_all = ["greedy", "inputs"])]
    pub(crate) top_p: Option<f32>,
    /// Drop tokens less likely than P times the most likely one
    #[arg(long, value_name = "P", conflicts_with_all = ["greedy", "inputs"])]
    pub(crate) min_p: Option<f32>,
    /// Divide positive and multiply negative logits of tokens seen before by X
    #[arg(long, value_name = "X", conflicts_with = "inputs")]
    pub(crate) repetition_penalty: Option<f32>,
    /// Seed of the random numbers; the same seed gives the same text
    #[arg(long, value_name = "N", conflicts_with_all = ["greedy", "inputs"])]
    pub(crate) seed: Option<u64>,
    /// Stop after N tokens
    #[arg(long, value_name = "N", conflicts_with = "inputs")]
    pub(crate) max_new_tokens: Option<u32>,
    /// Stop when this text appears; can be repeated
    #[arg(long, value_name = "TEXT", conflicts_with = "inputs")]
    pub(crate) stop: Vec<String>,
}

/// What gets timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Times {
    /// Start and end of each segment
    Segment,
    /// Start and end of each word
    Word,
}

/// The format of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SpeechFormat {
    /// Text; with --timestamps, a line per segment or word
    Txt,
    /// SubRip subtitles
    Srt,
    /// WebVTT subtitles
    Vtt,
    /// The same as --json
    Json,
}

fn certainty(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(v) if (0.0..1.0).contains(&v) => Ok(v),
        _ => Err("expected a number of at least 0 and below 1, such as 0.5".to_string()),
    }
}

/// `gristmill run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill run examples/stories260K --prompt \"Once upon a time\"
  gristmill run dist --prompt \"Why is the sky blue?\" --chat --temperature 0.7 --seed 1
  gristmill run dist --prompt \"Once upon\" --backend wgpu --adapter 0
  gristmill run dist --prompt \"Once upon\" --profile my-phone
  gristmill run examples/person-detector --image photo.jpg
  gristmill run dist --image *.jpg --top 1 --json
  gristmill run dist --image street.png --threshold 0.7 --draw found.png
  gristmill run dist --image pet.jpg --labels \"a cat,a dog\"
  gristmill run dist --image a.png b.png --prompt \"What is different?\" --chat
  gristmill run dist --video frames/ video.gif --labels \"a cat jumps,a dog sleeps\"
  gristmill run dist --audio speech.wav
  gristmill run dist --audio *.mp3 --language de --task translate --json
  gristmill run dist --audio talk.mp3 --timestamps word
  gristmill run dist --audio video.wav --format srt > video.srt
  gristmill run dist --audio bark.wav --labels \"a dog,rain\"
  gristmill run dist --inputs in.safetensors --outputs out.safetensors --taps
  gristmill run dist --inputs in.safetensors --outputs out.safetensors --greedy 16

A model that is not a bundle is compiled into a cache first: as `compile` does it if it generates
text, and with f32 weights otherwise or in tensor mode, unless --precision is given. Results go to
stdout, everything else to stderr. Ctrl-C stops the generation; a second Ctrl-C ends the program.
An embedding model prints the embedding of the prompt as a JSON list.

The output for images depends on the model: classes with scores, objects with boxes (left, top,
right, bottom, in pixels; --draw draws them), the similarity to each prompt or label, or text that
continues the prompt. A prompt can place its images with the model's image placeholder (often
<image>). Images without a placeholder go before the prompt or, with --chat, where the chat template
puts them. Images are rotated as their EXIF data says, and transparency is dropped.

A video is a folder of images in the order of their names, an animated GIF, or all other files
together. As many frames as the model takes are sampled from it at even intervals.

Audio is mixed to one channel and resampled to the model's rate. Audio longer than the model's
window (often 30 seconds) is transcribed window by window. Each window starts where the last segment
ended, and is decoded again at a higher temperature if its text is unlikely or repetitive.
--timestamps prints a line per segment or word; --format srt and vtt print subtitles; --json gives
segments with times in seconds. A model without timestamp tokens gets windows of fixed length.

Tensor mode (--inputs, --outputs) finds the entry from the names of the inputs. --greedy N adds
greedy.tokens [B, N] and greedy.logits [B, N, vocab]; --taps adds the intermediate values that the
architecture names. Tensors whose names start with `ref.` are not passed to the model.")]
pub(crate) struct RunArgs {
    /// Bundle, model directory, GGUF file, or org/name@revision on the Hub
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Text to continue or embed, or to compare images, videos or audio with; can be repeated to compare
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["inputs", "image", "video", "audio", "labels"], conflicts_with = "inputs")]
    pub(crate) prompt: Vec<String>,
    /// Texts to compare with, separated by commas; the same as a --prompt for each
    #[arg(long, value_name = "TEXT,TEXT,..", value_delimiter = ',', conflicts_with_all = ["inputs", "prompt"])]
    pub(crate) labels: Vec<String>,
    /// Input images: PNG, JPEG, WebP, GIF, BMP, TIFF, PNM or ICO
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "inputs")]
    pub(crate) image: Vec<PathBuf>,
    /// Input videos: folders of images, animated GIF files, or the images of one video
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with_all = ["inputs", "image"])]
    pub(crate) video: Vec<PathBuf>,
    /// Input audio: WAV, FLAC, MP3, Ogg Vorbis or AAC
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["inputs", "image", "video"])]
    pub(crate) audio: Vec<PathBuf>,
    /// Spoken language, such as `en`, for multilingual models [default: detected by the model]
    #[arg(long, value_name = "WORD", requires = "audio")]
    pub(crate) language: Option<String>,
    /// Speech task, such as `translate`, for models with several
    #[arg(long, value_name = "WORD", requires = "audio")]
    pub(crate) task: Option<String>,
    /// Print timestamps of each segment (the default) or each word
    #[arg(long, value_name = "WHAT", num_args = 0..=1, default_missing_value = "segment", requires = "audio")]
    pub(crate) timestamps: Option<Times>,
    /// Format of the transcript; subtitles (srt, vtt) always have timestamps
    #[arg(long, value_name = "FORMAT", requires = "audio", conflicts_with = "json")]
    pub(crate) format: Option<SpeechFormat>,
    /// Maximum number of classes to print per image or text
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top: u32,
    /// Minimum score of a detected object
    #[arg(long, value_name = "X", default_value_t = 0.5, requires = "image", value_parser = certainty)]
    pub(crate) threshold: f32,
    /// Draw the detected objects into a copy of the image
    #[arg(long, value_name = "FILE.png", requires = "image")]
    pub(crate) draw: Option<PathBuf>,
    /// Print classes, boxes, similarities or the transcript as JSON
    #[arg(long, conflicts_with = "inputs")]
    pub(crate) json: bool,
    /// Format the prompt as a chat message with the model's chat template
    #[arg(long, requires = "prompt")]
    pub(crate) chat: bool,
    /// Prepend a prompt of the embedding model, named in its settings, such as `query`
    #[arg(long, value_name = "NAME", requires = "prompt", conflicts_with = "chat")]
    pub(crate) prompt_name: Option<String>,
    /// System message
    #[arg(long, value_name = "TEXT", requires = "chat")]
    pub(crate) system: Option<String>,
    /// Tools that the model can call: a list of JSON schemas for the chat template
    #[arg(long, value_name = "FILE.json", requires = "chat")]
    pub(crate) tools: Option<PathBuf>,
    /// File of input tensors
    #[arg(long, value_name = "FILE.safetensors", requires = "outputs")]
    pub(crate) inputs: Option<PathBuf>,
    /// File to write the output tensors to
    #[arg(long, value_name = "FILE.safetensors", requires = "inputs")]
    pub(crate) outputs: Option<PathBuf>,
    /// Entry to call [default: found from the names of the inputs]
    #[arg(long, value_name = "NAME", requires = "inputs")]
    pub(crate) entry: Option<String>,
    /// Tokens that the decoder starts with [default: those in the model's config]
    #[arg(long, value_name = "ID,ID,..", value_delimiter = ',')]
    pub(crate) decoder_start: Vec<u32>,
    /// Also return intermediate values
    #[arg(long, requires = "inputs")]
    pub(crate) taps: bool,
    /// Sampling.
    #[command(flatten)]
    pub(crate) sampling: SamplingFlags,
    /// Backend.
    #[command(flatten)]
    pub(crate) backend: BackendFlags,
    /// How a model is compiled first.
    #[command(flatten)]
    pub(crate) flags: CompileFlags,
}

impl RunArgs {
    /// The texts of --prompt, or of --labels.
    #[cfg(feature = "run")]
    pub(crate) fn texts(&self) -> &[String] {
        if self.labels.is_empty() { &self.prompt } else { &self.labels }
    }
}

/// `gristmill verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill verify dist --inputs inputs.safetensors --expect outputs.safetensors
  gristmill verify path/to/model --inputs inputs.safetensors --expect outputs.safetensors --taps
  gristmill verify dist --inputs inputs.safetensors --expect outputs.safetensors --backend reference --tol 1e-4

Floats must lie within --tol standard deviations of the expected tensor; integers must be equal.
Positions where `attention_mask` is 0 are ignored in outputs whose first axes are batch and
position. If greedy.tokens is expected, the same number of tokens is decoded. Expected tensors that
the model does not produce are listed; if it produces none of them, the command fails. A model that
is not a bundle is compiled into a cache first, with f32 weights unless --precision is given.
Exit code 1: an output differs from the expected one.")]
pub(crate) struct VerifyArgs {
    /// Bundle, model directory, GGUF file, or org/name@revision on the Hub
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// File of input tensors
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) inputs: PathBuf,
    /// File of expected output tensors
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) expect: PathBuf,
    /// Maximum error, in standard deviations of the expected tensor
    #[arg(long, value_name = "X", default_value_t = 1e-3, value_parser = tolerance)]
    pub(crate) tol: f64,
    /// Entry to call [default: found from the names of the inputs]
    #[arg(long, value_name = "NAME")]
    pub(crate) entry: Option<String>,
    /// Tokens that the decoder starts with [default: those in the model's config]
    #[arg(long, value_name = "ID,ID,..", value_delimiter = ',')]
    pub(crate) decoder_start: Vec<u32>,
    /// Also compare intermediate values
    #[arg(long)]
    pub(crate) taps: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Backend.
    #[command(flatten)]
    pub(crate) backend: BackendFlags,
    /// How a model is compiled first.
    #[command(flatten)]
    pub(crate) flags: CompileFlags,
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if v >= 0.0 && v.is_finite() => Ok(v),
        _ => Err("expected a number of at least 0, such as 1e-3".to_string()),
    }
}

/// `gristmill bench`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill bench dist
  gristmill bench dist --backend wasm --threads 1 --simd baseline
  gristmill bench dist --prompt-tokens 512 --new-tokens 128 --runs 10 --json
  gristmill bench path/to/embedder --precision q8 --tokens 16,64,128

For a model that generates text: tokens per second of the prompt and of the generated text, and the
rate at which decoding reads weights. For an embedding model: milliseconds per text of each length.
The median and the range of all runs are printed, after a warm-up run that is not counted. A model
that is not a bundle is compiled into a cache first, as `compile` does it.")]
pub(crate) struct BenchArgs {
    /// Bundle, model directory, GGUF file, or org/name@revision on the Hub
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Tokens of the prompt [default: 128, or what fits]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) prompt_tokens: Option<u32>,
    /// Tokens to generate [default: 64, or what fits]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) new_tokens: Option<u32>,
    /// Lengths of the texts to embed, separated by commas [default: 16, 64 and 128, or what fits]
    #[arg(long, value_name = "LENGTHS", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) tokens: Vec<u32>,
    /// Number of measured runs
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) runs: u32,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Backend.
    #[command(flatten)]
    pub(crate) backend: BackendFlags,
    /// How a model is compiled first.
    #[command(flatten)]
    pub(crate) flags: CompileFlags,
}

/// `gristmill serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill serve dist
  gristmill serve dist --port 0                  (any free port; its number is printed)
  gristmill serve path/to/model --precision q8
  gristmill serve dist --lan                     (for phones; prints a QR code of the address)
  gristmill serve dist --host 0.0.0.0 --cors
  gristmill serve dist --host 0.0.0.0 --host-name mill.local

The address goes to stdout, everything else to stderr. Pages are cross-origin isolated (COOP and
COEP). Browsers cache weights for good, and revalidate all other files. A model that is not a bundle
is compiled into a cache first. The server is meant for this machine; docs/hosting.md describes how
to host a bundle for others. Ctrl-C ends it.

With --lan the page also opens on other devices, but runs no model there: browsers offer WebGPU,
storage and hashes only to pages from https and localhost. Remedies for phones are printed.")]
pub(crate) struct ServeArgs {
    /// Bundle, model directory, GGUF file, or org/name@revision on the Hub
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Port to listen on; 0 means any free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub(crate) port: u16,
    /// Also listen on the network addresses of this machine, and print a QR code of the first
    #[arg(long, conflicts_with = "host")]
    pub(crate) lan: bool,
    /// Address to listen on; 0.0.0.0 makes the server reachable from other machines
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) host: IpAddr,
    /// Host name to accept besides localhost and the address; can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) host_name: Vec<String>,
    /// Send no isolation headers, like hosts where headers cannot be set
    #[arg(long)]
    pub(crate) no_isolation: bool,
    /// Allow pages from other origins to load files (CORS)
    #[arg(long)]
    pub(crate) cors: bool,
    /// How a model is compiled first.
    #[command(flatten)]
    pub(crate) flags: CompileFlags,
}

/// `gristmill adapters`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill adapters
  gristmill run dist --prompt \"Hello\" --adapter 1

Exit code 3: no adapter was found. On Debian, `apt install mesa-vulkan-drivers` installs one that
runs on the CPU.")]
pub(crate) struct AdaptersArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gristmill cache`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill cache list
  gristmill cache verify
  gristmill cache clean --damaged

`run`, `verify`, `bench` and `serve` compile models into bundles in the cache
($XDG_CACHE_HOME/gristmill or ~/.cache/gristmill) and use them the next time. A damaged bundle is
compiled again. Exit code 1: `cache verify` found damaged bundles.")]
pub(crate) struct CacheArgs {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

/// What `gristmill cache` does.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List all bundles in the cache
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check every file of every bundle against its hash
    Verify,
    /// Remove bundles; they are compiled again when needed
    Clean {
        /// Remove only damaged bundles
        #[arg(long)]
        damaged: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn greedy_takes_a_number_or_nothing() {
        let parse = |args: &[&str]| match Cli::try_parse_from(args.iter().copied()).map(|c| c.command) {
            Ok(Command::Run(run)) => run.sampling.greedy,
            other => panic!("{other:?}"),
        };
        assert_eq!(parse(&["gristmill", "run", "m", "--prompt", "x"]), None);
        assert_eq!(parse(&["gristmill", "run", "m", "--prompt", "x", "--greedy"]), Some(None));
        assert_eq!(
            parse(&["gristmill", "run", "m", "--inputs", "i", "--outputs", "o", "--greedy", "16"]),
            Some(Some(16))
        );
    }

    #[test]
    fn targets_are_separated_by_commas() {
        let cli = Cli::try_parse_from(["gristmill", "compile", "m", "-o", "b", "--target", "chrome,native"]).unwrap();
        let Command::Compile(args) = cli.command else { panic!("not compile") };
        assert_eq!(args.flags.target, ["chrome", "native"]);
    }
}
