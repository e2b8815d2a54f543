//! The words of the command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  gristmill run examples/stories260K --prompt \"Once upon a time\"
  gristmill compile path/to/model -o dist --precision q4
  gristmill run dist --prompt \"Once upon a time\"
  gristmill inspect dist --memory

Exit codes: 0 done, 1 the answer is no (verify, check), 2 wrong use or wrong input,
3 the environment lacks something (such as a graphics adapter or the network), or gristmill found a mistake of its own,
130 stopped by Ctrl-C.";

/// Compiles Hugging Face model directories into bundles that run on WebGPU.
#[derive(Debug, Parser)]
#[command(name = "gristmill", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compile a model directory into a bundle
    Compile(CompileArgs),
    /// Draft an architecture file for a model that none of the shipped ones describes
    New(NewArgs),
    /// Check an architecture file, a precision policy or a target profile
    Check(CheckArgs),
    /// Show what is in a bundle
    Inspect(InspectArgs),
    /// Generate text, look at images, write down speech, or call the model with tensors
    Run(Box<RunArgs>),
    /// Compare the outputs of a model with expected tensors
    Verify(Box<VerifyArgs>),
    /// Serve a bundle to browsers on this machine
    Serve(Box<ServeArgs>),
    /// Measure how fast a model runs on this machine
    Bench(Box<BenchArgs>),
    /// List the graphics adapters of this machine
    Adapters(AdaptersArgs),
    /// List, verify or remove the bundles that were made from model directories
    Cache(CacheArgs),
}

/// How a model is compiled.
#[derive(Debug, Args, Clone)]
#[command(next_help_heading = "Compiling")]
pub(crate) struct CompileFlags {
    /// Architecture file to use; otherwise config.json says which of the shipped ones
    #[arg(long, value_name = "FILE.ron")]
    pub(crate) arch: Option<PathBuf>,
    /// Branch, tag or commit of a model on the Hub; otherwise main
    #[arg(long, value_name = "REVISION")]
    pub(crate) revision: Option<String>,
    #[arg(long, value_name = "PRECISION", help = precisions())]
    pub(crate) precision: Option<String>,
    /// Columns per block of quantized weights: 16, 32, 64 or 128, as far as the format has them
    #[arg(long, value_name = "N", value_parser = group)]
    pub(crate) group: Option<u16>,
    /// Give blocks of quantized weights a minimum of their own
    #[arg(long)]
    pub(crate) asymmetric: bool,
    /// Precision of the key and value cache
    #[arg(long, value_name = "PRECISION", value_enum, default_value_t = Kv::F32)]
    pub(crate) kv: Kv,
    /// Targets to compile for, separated by commas: shipped profiles by name, others by their file, or all that ship
    #[arg(long, value_name = "NAME|FILE.ron", value_delimiter = ',')]
    pub(crate) target: Vec<String>,
    /// Most tokens a session can hold; otherwise the model's own limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_context: Option<u32>,
    /// Compile also if weights or settings that change the results are not read
    #[arg(long)]
    pub(crate) allow_unused: bool,
}

/// What `--precision` says of itself.
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

/// Storage of the key and value cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kv {
    /// 32-bit float.
    F32,
    /// 16-bit float, half the memory.
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
  gristmill compile org/name -o dist                     (of the Hugging Face Hub)
  gristmill compile org/name/model.Q8_0.gguf@v1 -o dist

A model directory has config.json, safetensors files (one, or several with an index) and, for
text, tokenizer.json. A GGUF file has all of that in one; of a split one name the first part.
Models of the Hub are taken from its cache on this machine, and what is missing there is downloaded (HF_TOKEN,
HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE=1); a download that is cut goes on where it stopped.
The bundle appears whole or not at all; an older bundle there is replaced.
Without --precision the architecture chooses: q4 for models that write text, q8 for those that
embed, or read images or audio, and both for models with several parts.")]
pub(crate) struct CompileArgs {
    /// Model directory, GGUF file, or org/name@revision on the Hub
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Where the bundle goes
    #[arg(short, long, value_name = "BUNDLE")]
    pub(crate) output: PathBuf,
    /// How.
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

Without a config only names, types and structure are checked; with one the whole graph is built
and its shapes are inferred; with a model directory its tensors have to be there as well. Exit
code 1: the file has errors, all of which are listed.")]
pub(crate) struct CheckArgs {
    /// Architecture file, precision policy, or target profile
    #[arg(value_name = "FILE.ron")]
    pub(crate) file: PathBuf,
    /// config.json of a model to bind it to
    #[arg(long, value_name = "config.json")]
    pub(crate) config: Option<PathBuf>,
    /// Model directory to bind it to: its config.json and its tensors
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
--base. It lists the tensors and the entries of config.json that the base does not know, and what
the base reads that the model does not have. Beside it lies a Python script that runs the original model and writes
what `gristmill verify` compares with.")]
pub(crate) struct NewArgs {
    /// A model directory
    #[arg(value_name = "MODEL_DIR")]
    pub(crate) model: PathBuf,
    /// Where the file goes; otherwise it is called as the type of the model, here
    #[arg(short, long, value_name = "FILE.ron")]
    pub(crate) output: Option<PathBuf>,
    /// Shipped architecture to extend; otherwise the one that fits with the fewest changes
    #[arg(long, value_name = "NAME")]
    pub(crate) base: Option<String>,
    /// Replace files, and draft one for a model that a shipped architecture describes
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
    /// A bundle
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// What to show.
    #[command(flatten)]
    pub(crate) view: ViewFlags,
    /// Print the graph of an entry for Graphviz: a cluster per layer, a colour per kernel
    #[arg(long, requires = "graph", conflicts_with = "json")]
    pub(crate) dot: bool,
    /// Entry to draw; otherwise the first one
    #[arg(long, value_name = "NAME", requires = "dot")]
    pub(crate) entry: Option<String>,
    /// Draw only the layers with this number, counted from 0
    #[arg(long, value_name = "N", requires = "dot")]
    pub(crate) layer: Option<u32>,
    /// Target whose programs and shaders are shown; otherwise native, or the first there is
    #[arg(long, value_name = "T")]
    pub(crate) target: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `inspect` shows; an overview if nothing is asked for.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct ViewFlags {
    /// The graph that the model means
    #[arg(long)]
    pub(crate) graph: bool,
    /// Which rewrite rules fired, and what they saved
    #[arg(long)]
    pub(crate) rewrites: bool,
    /// Memory: weights, caches, scratch buffers
    #[arg(long)]
    pub(crate) memory: bool,
    /// Kernels, and how often each runs
    #[arg(long)]
    pub(crate) kernels: bool,
    /// Every weight with its precision and size
    #[arg(long)]
    pub(crate) weights: bool,
    /// The text of one kernel: WGSL, or that of WebAssembly; fallback:NAME is a fallback kernel
    #[arg(long, value_name = "NAME")]
    pub(crate) shader: Option<String>,
}

/// What executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendName {
    /// WebGPU on a GPU, else WebAssembly.
    Auto,
    /// WebGPU.
    Wgpu,
    /// WebAssembly on the CPU.
    Wasm,
    /// The reference evaluator: slow, obvious, needs nothing.
    Reference,
}

/// Which backend to use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Executing")]
pub(crate) struct BackendFlags {
    /// What executes; auto takes a GPU if there is one, else the CPU (wasm)
    #[arg(long, value_name = "BACKEND", value_enum, default_value_t = BackendName::Auto)]
    pub(crate) backend: BackendName,
    /// Adapter to use: its number, or a part of its name, as `gristmill adapters` lists them
    #[arg(long, value_name = "NAME|INDEX")]
    pub(crate) adapter: Option<String>,
    /// Programs to run on the adapter, by the name of their profile; otherwise native, or the first of the bundle
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Threads of --backend wasm; otherwise one per CPU, at most 8, and one per MiB of weights
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) threads: Option<u32>,
    /// Vector instructions of --backend wasm
    #[arg(long, value_name = "KIND", value_enum, default_value_t = Simd::Auto)]
    pub(crate) simd: Simd,
}

/// Which vector instructions WebAssembly uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Simd {
    /// The fastest that there are.
    Auto,
    /// Those that every engine has.
    Baseline,
    /// Those whose results may differ in the last bits between CPUs.
    Relaxed,
}

/// How the next token is chosen. Defaults come from the model's generation_config.json.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingFlags {
    /// Always take the likeliest token; in tensor mode: decode N tokens after the prompt
    #[arg(long, value_name = "N", num_args = 0..=1)]
    pub(crate) greedy: Option<Option<u32>>,
    /// Divide logits by this before sampling; 0 is greedy
    #[arg(long, value_name = "X", conflicts_with_all = ["greedy", "inputs"])]
    pub(crate) temperature: Option<f32>,
    /// Sample from the K likeliest tokens
    #[arg(long, value_name = "K", conflicts_with_all = ["greedy", "inputs"])]
    pub(crate) top_k: Option<u32>,
    /// Sample from the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", conflicts_with_all = ["greedy", "inputs"])]
    pub(crate) top_p: Option<f32>,
    /// Leave out tokens less likely than this part of the likeliest
    #[arg(long, value_name = "P", conflicts_with_all = ["greedy", "inputs"])]
    pub(crate) min_p: Option<f32>,
    /// Divide positive (multiply negative) logits of tokens seen before by this
    #[arg(long, value_name = "X", conflicts_with = "inputs")]
    pub(crate) repetition_penalty: Option<f32>,
    /// Start of the random numbers; the same seed gives the same text
    #[arg(long, value_name = "N", conflicts_with_all = ["greedy", "inputs"])]
    pub(crate) seed: Option<u64>,
    /// Stop after this many tokens
    #[arg(long, value_name = "N", conflicts_with = "inputs")]
    pub(crate) max_new_tokens: Option<u32>,
    /// Stop when this text appears (may be given several times)
    #[arg(long, value_name = "TEXT", conflicts_with = "inputs")]
    pub(crate) stop: Vec<String>,
}

/// What times are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Times {
    /// When each segment begins and ends
    Segment,
    /// When each word does
    Word,
}

/// How speech is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SpeechFormat {
    /// Text; with --timestamps a line for each segment or word
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
        _ => Err("expected a number from 0 to 1, such as 0.5".to_string()),
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

The model is a bundle, or a model directory: that is compiled into a cache first, as `compile` does
it for models that write text, and with f32 weights for others and for tensors, unless --precision
says otherwise. Text goes to stdout, a continuation behind its prompt; everything else goes to
stderr. Ctrl-C stops the generation, a second one the program. A model that embeds sentences prints
the embedding of the prompt as a JSON list.

What becomes of images is up to the model: classes with their scores, things with their boxes
(left, top, right, bottom, in pixels; --draw shows them), how well each prompt or label fits, or a
text that continues the prompt. Such a prompt may say where its images are, with the model's own
mark for one (often <image>); those that it does not mention stand in front of it or, with --chat,
where the model's template puts them. Images are rotated as their EXIF data says, and transparency
is dropped.

A video is as many images as the model takes, at even distances among those that there are: the
images of a folder in the order of their names, those of an animated GIF, or all other files
together.

Audio files are mixed to one channel and brought to the rate that the model wants. What is longer
than the model takes at once (often 30 seconds) is
transcribed window by window: each one begins where the last segment of the one before ends, and is
decoded again at a higher temperature if its text is unlikely or repeats itself. --timestamps prints
a line for each segment or word, --format srt and vtt subtitles; --json gives segments with their
seconds. A model without tokens for times is given parts of that length instead.

In tensor mode the entry is found from the names of the inputs. --greedy N adds greedy.tokens
[B, N] and greedy.logits [B, N, vocab]; --taps adds the intermediate values that the architecture
names. Tensors whose names start with `ref.` are not passed to the model.")]
pub(crate) struct RunArgs {
    /// A bundle, or a model: directory, GGUF file, or org/name@revision on the Hub
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Text to continue, or to compare images, videos or audio files with (then it may be given several times)
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["inputs", "image", "video", "audio", "labels"], conflicts_with = "inputs")]
    pub(crate) prompt: Vec<String>,
    /// Texts to compare with, separated by commas: as a --prompt for each
    #[arg(long, value_name = "TEXT,TEXT,..", value_delimiter = ',', conflicts_with_all = ["inputs", "prompt"])]
    pub(crate) labels: Vec<String>,
    /// Images to look at: PNG, JPEG, WebP, GIF, BMP, TIFF, PNM or ICO
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "inputs")]
    pub(crate) image: Vec<PathBuf>,
    /// Videos to look at: folders with their images, animated GIF files, or the images of one video
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with_all = ["inputs", "image"])]
    pub(crate) video: Vec<PathBuf>,
    /// Audio files to write down: WAV, FLAC, MP3, Ogg Vorbis or AAC
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["inputs", "image", "video"])]
    pub(crate) audio: Vec<PathBuf>,
    /// Language that is spoken, such as `en`, for models that know several; otherwise the model finds out
    #[arg(long, value_name = "WORD", requires = "audio")]
    pub(crate) language: Option<String>,
    /// What to do with speech, such as `translate`, for models that can do several things
    #[arg(long, value_name = "WORD", requires = "audio")]
    pub(crate) task: Option<String>,
    /// Mark when each segment is said, or each word: `segment` (if nothing follows) or `word`
    #[arg(long, value_name = "WHAT", num_args = 0..=1, default_missing_value = "segment", requires = "audio")]
    pub(crate) timestamps: Option<Times>,
    /// How speech is printed; subtitles (srt, vtt) have timestamps in any case
    #[arg(long, value_name = "FORMAT", requires = "audio", conflicts_with = "json")]
    pub(crate) format: Option<SpeechFormat>,
    /// Most classes to name for each image or text
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top: u32,
    /// How certain a model must be of what it finds in an image
    #[arg(long, value_name = "X", default_value_t = 0.5, requires = "image", value_parser = certainty)]
    pub(crate) threshold: f32,
    /// Where to write the image with what was found in it
    #[arg(long, value_name = "FILE.png", requires = "image")]
    pub(crate) draw: Option<PathBuf>,
    /// Print classes, boxes, similarities and what is said as one JSON document
    #[arg(long, conflicts_with = "inputs")]
    pub(crate) json: bool,
    /// Treat the prompt as a message of a conversation, with the model's chat template
    #[arg(long, requires = "prompt")]
    pub(crate) chat: bool,
    /// Prompt to put in front of a text that is embedded, by its name in the model's settings, such as `query`
    #[arg(long, value_name = "NAME", requires = "prompt", conflicts_with = "chat")]
    pub(crate) prompt_name: Option<String>,
    /// Message of the system in front of the conversation
    #[arg(long, value_name = "TEXT", requires = "chat")]
    pub(crate) system: Option<String>,
    /// Tools that the model may call: a list of JSON schemas for the chat template
    #[arg(long, value_name = "FILE.json", requires = "chat")]
    pub(crate) tools: Option<PathBuf>,
    /// Input tensors
    #[arg(long, value_name = "FILE.safetensors", requires = "outputs")]
    pub(crate) inputs: Option<PathBuf>,
    /// Where output tensors go
    #[arg(long, value_name = "FILE.safetensors", requires = "inputs")]
    pub(crate) outputs: Option<PathBuf>,
    /// Entry to call; otherwise found from the names of the inputs
    #[arg(long, value_name = "NAME", requires = "inputs")]
    pub(crate) entry: Option<String>,
    /// Tokens that the decoder of an encoder starts with; otherwise those of the model's configuration
    #[arg(long, value_name = "ID,ID,..", value_delimiter = ',')]
    pub(crate) decoder_start: Vec<u32>,
    /// Return intermediate values too
    #[arg(long, requires = "inputs")]
    pub(crate) taps: bool,
    /// Sampling.
    #[command(flatten)]
    pub(crate) sampling: SamplingFlags,
    /// Backend.
    #[command(flatten)]
    pub(crate) backend: BackendFlags,
    /// For a model directory.
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
Positions where `attention_mask` is 0 do not count in outputs that begin with batch and position.
If greedy.tokens is expected, the same number of tokens is decoded. Expected tensors that the
model does not produce are listed and do not fail; none in common fails. Exit code 1: no match.
A model directory is compiled into a cache first, with f32 weights unless --precision is given.")]
pub(crate) struct VerifyArgs {
    /// A bundle, or a model: directory, GGUF file, or org/name@revision on the Hub
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Input tensors
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) inputs: PathBuf,
    /// Expected tensors
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) expect: PathBuf,
    /// Largest error allowed, in standard deviations of the expected tensor
    #[arg(long, value_name = "X", default_value_t = 1e-3, value_parser = tolerance)]
    pub(crate) tol: f64,
    /// Entry to call; otherwise found from the names of the inputs
    #[arg(long, value_name = "NAME")]
    pub(crate) entry: Option<String>,
    /// Tokens that the decoder of an encoder starts with; otherwise those of the model's configuration
    #[arg(long, value_name = "ID,ID,..", value_delimiter = ',')]
    pub(crate) decoder_start: Vec<u32>,
    /// Compare intermediate values too
    #[arg(long)]
    pub(crate) taps: bool,
    /// Print one JSON document instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Backend.
    #[command(flatten)]
    pub(crate) backend: BackendFlags,
    /// For a model directory.
    #[command(flatten)]
    pub(crate) flags: CompileFlags,
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if v >= 0.0 && v.is_finite() => Ok(v),
        _ => Err("expected a number such as 1e-3, not below 0".to_string()),
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

A model that generates: tokens per second of a prompt and of the text behind it, and the rate at
which decoding reads weights. A model that embeds: milliseconds per text of each length. Shown are
the median and the range of all runs; a run before them is not counted. A model directory is
compiled into a cache first, as `compile` does it.")]
pub(crate) struct BenchArgs {
    /// A bundle, or a model: directory, GGUF file, or org/name@revision on the Hub
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Length of the prompt; otherwise 128, or what fits
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) prompt_tokens: Option<u32>,
    /// Tokens to generate behind it; otherwise 64, or what fits
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) new_tokens: Option<u32>,
    /// Lengths of texts to embed, separated by commas; otherwise 16, 64 and 128, or what fits
    #[arg(long, value_name = "LENGTHS", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) tokens: Vec<u32>,
    /// Runs that count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) runs: u32,
    /// Print one JSON document instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Backend.
    #[command(flatten)]
    pub(crate) backend: BackendFlags,
    /// For a model directory.
    #[command(flatten)]
    pub(crate) flags: CompileFlags,
}

/// `gristmill serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill serve dist
  gristmill serve dist --port 0                  (any free port; the address is printed)
  gristmill serve path/to/model --precision q8
  gristmill serve dist --lan                     (prints a QR code of the address for phones)
  gristmill serve dist --host 0.0.0.0 --cors
  gristmill serve dist --host 0.0.0.0 --host-name mill.local

The address goes to stdout, everything else to stderr. Pages are isolated from other origins
(COOP and COEP), weights are cached for ever, all other files are asked for again. A model
directory is compiled into a cache first. It is a server for this machine: docs/hosting.md
says how to host a bundle for others. Ctrl-C ends it.

With --lan the page opens on other devices, too, but runs no model there: browsers offer WebGPU,
storage and hashes to pages from https and localhost only. What helps on a phone is printed.")]
pub(crate) struct ServeArgs {
    /// A bundle, or a model: directory, GGUF file, or org/name@revision on the Hub
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub(crate) port: u16,
    /// Listen on the addresses of this machine in its network, too, and print a QR code of the first
    #[arg(long, conflicts_with = "host")]
    pub(crate) lan: bool,
    /// Address to listen on; 0.0.0.0 is reachable for other machines
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) host: IpAddr,
    /// Name by which browsers may ask for the bundle, besides localhost and the address; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) host_name: Vec<String>,
    /// Leave out the headers that isolate pages, as hosts do where headers cannot be set
    #[arg(long)]
    pub(crate) no_isolation: bool,
    /// Let pages of other origins load from here
    #[arg(long)]
    pub(crate) cors: bool,
    /// For a model directory.
    #[command(flatten)]
    pub(crate) flags: CompileFlags,
}

/// `gristmill adapters`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gristmill adapters
  gristmill run dist --prompt \"Hello\" --adapter 1

Exit code 3: there is no adapter. On Debian `apt install mesa-vulkan-drivers` provides one in software.")]
pub(crate) struct AdaptersArgs {
    /// Print one JSON document
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

`run`, `verify`, `bench` and `serve` compile a model directory into a bundle in the cache
($XDG_CACHE_HOME/gristmill or ~/.cache/gristmill) and take it from there the next time. A bundle
that turns out to be damaged is made again. Exit code 1: `verify` has found damage.")]
pub(crate) struct CacheArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

/// What `gristmill cache` does.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List all bundles
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Check every file of every bundle
    Verify,
    /// Remove bundles; they are made again when they are needed
    Clean {
        /// Only those that are damaged
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
