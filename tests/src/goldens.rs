//! Reads the golden outputs in `tests/goldens` (see its README), and compares with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gristmill_graph::text::{Library, Settings};
use gristmill_graph::{Array, Model, text};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Maximum error, in standard deviations of the golden tensor. The outer limit for a compiled model is 1e-3; rounding
/// errors explain 1e-5.
pub const TOLERANCE: f64 = 1e-4;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository").to_path_buf()
}

/// The architecture and block files of the repository.
pub fn library() -> Library {
    let mut library = Library::default();
    let models = root().join("models");
    let mut folders = vec![models.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("models/ can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "ron") {
                let name = path.strip_prefix(&models).expect("below models/").to_string_lossy().replace('\\', "/");
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                library.files.insert(name, text);
            }
        }
    }
    library
}

/// A golden case: a model directory and runs of the original model.
pub struct Case {
    /// `<family>/<case>`.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    meta: Value,
}

/// One run of a case.
pub struct Run {
    /// `main`, `leftpad`, ..
    pub name: String,
    /// Model inputs by name.
    pub inputs: BTreeMap<String, Array>,
    /// Expected tensors by name.
    pub outputs: BTreeMap<String, Array>,
    meta: Value,
}

/// The reference transcript of an audio file.
#[derive(Clone, Debug)]
pub struct GoldenTranscript {
    /// Index of the audio file.
    pub row: usize,
    /// The requested choices: word by name.
    pub wish: BTreeMap<String, String>,
    /// The token of the language that the model detected.
    pub detected: u32,
    /// The tokens, without the end token.
    pub tokens: Vec<u32>,
}

/// The comparison of one tensor.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Name of the tensor.
    pub name: String,
    /// `max |error| / std`.
    pub error: f64,
    /// Whether the tensor must match (rather than help to locate an error).
    pub is_final: bool,
}

impl Case {
    /// The case with this name, `llama/wide`.
    pub fn open(name: &str) -> Self {
        Self::at(&root().join("tests/goldens"), name)
    }

    fn at(goldens: &Path, name: &str) -> Self {
        let dir = goldens.join(name);
        Case { name: name.to_string(), meta: json(&dir.join("meta.json")), dir }
    }

    /// All cases of the repository, in alphabetical order.
    pub fn all() -> Vec<Self> {
        Self::all_below(&root().join("tests/goldens"))
    }

    /// All cases in a directory with the layout of `tests/goldens`, in alphabetical order.
    pub fn all_below(goldens: &Path) -> Vec<Self> {
        let mut names = Vec::new();
        let sub = |dir: &Path| -> Vec<PathBuf> {
            let entries = std::fs::read_dir(dir).expect("tests/goldens can be read");
            entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect()
        };
        for case in sub(goldens).iter().flat_map(|family| sub(family)) {
            let name = case.strip_prefix(goldens).expect("below").to_string_lossy().replace('\\', "/");
            names.push(name);
        }
        names.sort();
        names.iter().map(|n| Case::at(goldens, n)).collect()
    }

    /// The model directory.
    pub fn model_dir(&self) -> PathBuf {
        self.dir.join("model")
    }

    /// Writes the model directory with a context of `context` tokens. For models with rotary position embeddings,
    /// nothing else depends on it.
    pub fn write_for(&self, context: u32, to: &Path) {
        crate::speech::copy(&self.model_dir(), to);
        let mut config = self.config();
        config["max_position_embeddings"] = context.into();
        std::fs::write(to.join("config.json"), config.to_string()).expect("a config");
    }

    /// The architecture file of the case, if it is not one that ships.
    pub fn architecture_file(&self) -> Option<PathBuf> {
        self.meta["architecture_file"].as_str().map(|path| root().join(path))
    }

    /// The runs of the case.
    pub fn runs(&self) -> Vec<Run> {
        let runs = self.meta["runs"].as_object().expect("runs");
        let load = |(name, meta): (&String, &Value)| {
            let dir = self.dir.join(name);
            let mut inputs = load_tensors(&dir.join("inputs.safetensors"));
            inputs.retain(|n, _| !n.starts_with("ref."));
            let outputs = load_tensors(&dir.join("outputs.safetensors"));
            Run { name: name.clone(), inputs, outputs, meta: meta.clone() }
        };
        runs.iter().map(load).collect()
    }

    /// The reference transcripts of its audio files.
    pub fn transcripts(&self) -> Vec<GoldenTranscript> {
        let one = |transcript: &Value| {
            let number = |value: &Value| value.as_u64().expect("a number") as u32;
            let wish = transcript["wish"].as_object().expect("a wish").iter();
            let ends = ["eos_token_id", "pad_token_id"].map(|key| number(&self.config()[key]));
            let ids = transcript["ids"].as_array().expect("ids").iter().map(number);
            GoldenTranscript {
                row: number(&transcript["row"]) as usize,
                wish: wish.map(|(k, v)| (k.clone(), v.as_str().expect("a word").to_string())).collect(),
                detected: number(&transcript["detected"]),
                tokens: ids.take_while(|id| !ends.contains(id)).collect(),
            }
        };
        self.meta["transcripts"].as_array().expect("audio files").iter().map(one).collect()
    }

    fn config(&self) -> Value {
        json(&self.model_dir().join("config.json"))
    }

    /// The architecture file for a class, and the library that contains it.
    fn architecture(&self, class: &str) -> (Library, String) {
        let library = library();
        if let Some(path) = self.architecture_file() {
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            return (library.with_file("given.ron", text), "given.ron".to_string());
        }
        let file = library.architecture_for_class(class).unwrap_or_else(|| panic!("no architecture for {class}"));
        (library, file)
    }

    /// All tensors of the checkpoint.
    fn checkpoint(&self) -> BTreeMap<String, Array> {
        let mut tensors = BTreeMap::new();
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.model_dir())
            .expect("a model directory")
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
            .collect();
        files.sort();
        files.iter().for_each(|f| tensors.extend(load_tensors(f)));
        tensors
    }

    /// The model bound to `settings`.
    ///
    /// # Panics
    /// With all diagnostics, if the architecture does not fit.
    pub fn bind_to(&self, settings: Settings<'_>) -> Model {
        self.bound(settings, &self.checkpoint())
    }

    fn bound(&self, settings: Settings<'_>, tensors: &BTreeMap<String, Array>) -> Model {
        let shape = |t: &Array| t.shape.iter().map(|n| *n as u64).collect();
        let shapes = tensors.iter().map(|(n, t)| (n.clone(), shape(t))).collect();
        let (library, file) = self.architecture(settings.config["architectures"][0].as_str().expect("a class"));
        let model = text::bind_settings(&library, &file, settings, Some(&shapes));
        model.unwrap_or_else(|d| panic!("{}: {d}", self.name))
    }

    /// The model bound to its config, and its weights in the model's order.
    ///
    /// # Panics
    /// With all diagnostics, if the architecture does not fit.
    pub fn bind(&self) -> (Model, Vec<std::sync::Arc<Array>>) {
        let config = self.config();
        let tensors = self.checkpoint();
        let generation = self.model_dir().join("generation_config.json");
        let generation = if generation.exists() { json(&generation) } else { Value::Null };
        let settings = Settings { config: &config, generation: &generation, processors: &Value::Null };
        let model = self.bound(settings, &tensors);
        let weight = |w: &gristmill_graph::Weight| {
            let tensor = tensors.get(&w.source).unwrap_or_else(|| panic!("no tensor {}", w.source));
            std::sync::Arc::new(tensor.clone())
        };
        let weights = model.weights.iter().map(weight).collect();
        (model, weights)
    }

    /// The settings as transformers 5 saves them; `None` if it saves them as they are.
    pub fn resaved(&self) -> Option<PathBuf> {
        Some(self.dir.join("resaved")).filter(|dir| dir.is_dir())
    }
}

impl Run {
    /// Whether the prompt can be given in several calls. Not if what the first tokens compute depends on the number of
    /// later ones.
    pub fn may_be_cut(&self) -> bool {
        self.meta["whole"] != true
    }

    /// Compares outputs with the golden ones. Tensors that only one side has are skipped.
    ///
    /// # Panics
    /// If shapes differ, or integers do.
    pub fn judge(&self, produced: &BTreeMap<String, Array>) -> Vec<Judgement> {
        let both = self.outputs.iter().filter_map(|(n, golden)| Some((n, golden, produced.get(n)?)));
        both.map(|(name, golden, found)| self.judge_one(name, golden, found)).collect()
    }

    /// Names of the expected tensors that must be computed.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        self.outputs.keys().map(String::as_str).filter(|n| self.is_final(n))
    }

    /// The start tokens of a decoder with an encoder.
    pub fn start(&self) -> Vec<u32> {
        let ids = self.meta["greedy"]["decoder_start_ids"].as_array();
        ids.into_iter().flatten().map(|id| id.as_u64().expect("a token") as u32).collect()
    }

    /// The mask input whose zeros exclude positions of an output from the comparison.
    pub fn mask(&self, name: &str) -> Option<&str> {
        self.meta["outputs"][name]["mask"].as_str()
    }

    /// The cosine similarity of each final float output with the golden one, by name: a measure for low precision.
    ///
    /// # Panics
    /// If a shape differs.
    pub fn cosines(&self, produced: &BTreeMap<String, Array>) -> Vec<(String, f64)> {
        let finals = self.outputs.iter().filter(|(name, _)| self.is_final(name) && !name.starts_with("greedy."));
        let one = |(name, golden): (&String, &Array)| {
            let found = last_positions(produced.get(name)?, golden);
            assert_eq!(golden.shape, found.shape, "{}: shape of {name}", self.name);
            let pairs = self.pairs(name, golden.as_f32()?, found.as_f32()?);
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.iter().map(|p| (p.0 as f32, p.1 as f32)).unzip();
            Some((name.clone(), cosine(&a, &b)))
        };
        finals.filter_map(one).collect()
    }

    /// The expected and found values of an output, without those that its mask excludes.
    fn pairs(&self, name: &str, golden: &[f32], found: &[f32]) -> Vec<(f64, f64)> {
        let mask = self.mask(name).and_then(|m| self.inputs.get(m).or_else(|| self.outputs.get(m)));
        let per_row = mask.map_or(1, |m| golden.len() / m.data.len());
        let keeps = |i: usize| mask.is_none_or(|m| m.as_i32().expect("a mask of integers")[i / per_row] != 0);
        let pairs = golden.iter().zip(found).enumerate().filter(|(i, _)| keeps(*i)).map(|(_, p)| p);
        pairs.map(|(a, b)| (f64::from(*a), f64::from(*b))).collect()
    }

    fn is_final(&self, name: &str) -> bool {
        self.meta["outputs"][name]["role"] == "final"
    }

    fn judge_one(&self, name: &str, golden: &Array, found: &Array) -> Judgement {
        let found = &last_positions(found, golden);
        assert_eq!(golden.shape, found.shape, "{}: shape of {name}", self.name);
        let is_final = self.is_final(name);
        let (Some(golden_values), Some(found)) = (golden.as_f32(), found.as_f32()) else {
            assert_eq!(golden.data, found.data, "{}: {name}", self.name);
            return Judgement { name: name.to_string(), error: 0.0, is_final };
        };
        let pairs = self.pairs(name, golden_values, found);
        let n = pairs.len() as f64;
        let mean = pairs.iter().map(|p| p.0).sum::<f64>() / n;
        let std = (pairs.iter().map(|p| (p.0 - mean).powi(2)).sum::<f64>() / n).sqrt();
        // A NaN is an infinite error; `max` would ignore it.
        let worst = pairs.iter().map(|p| (p.0 - p.1).abs()).fold(0.0, |a, b| if a >= b { a } else { b });
        let error = if worst.is_nan() { f64::INFINITY } else { worst / std.max(1e-12) };
        Judgement { name: name.to_string(), error, is_final }
    }
}

/// The cosine similarity of two vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Some golden tensors of long inputs have only the last position. Returns the same part of `found` for those, else all
/// of it.
fn last_positions(found: &Array, golden: &Array) -> Array {
    match (found.shape.as_slice(), golden.shape.as_slice(), found.as_f32()) {
        ([batch, n, width], [_, kept, _], Some(values)) if kept < n => {
            let rows = values.chunks_exact(n * width).flat_map(|row| row[(n - kept) * width..].to_vec());
            Array::f32(&[*batch, *kept, *width], rows.collect())
        }
        _ => found.clone(),
    }
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All tensors of a safetensors file; integers become i32, floats f32.
///
/// # Panics
/// If the file cannot be read, or a tensor has a type that goldens do not use.
pub fn load_tensors(path: &Path) -> BTreeMap<String, Array> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let words = |data: &[u8]| data.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect::<Vec<_>>();
    let convert = |view: safetensors::tensor::TensorView<'_>| {
        let (shape, data) = (view.shape(), view.data());
        match view.dtype() {
            Dtype::F32 => Array::f32(shape, data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Dtype::F16 => Array::f32(shape, gristmill_graph::quant::decode_f16(data, data.len())),
            Dtype::BF16 => {
                let value = |w: u16| f32::from_bits(u32::from(w) << 16);
                Array::f32(shape, words(data).into_iter().map(value).collect())
            }
            Dtype::I64 => {
                let values = data.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b));
                Array::i32(shape, values.map(|v| i32::try_from(v).expect("a small integer")).collect())
            }
            Dtype::I32 => Array::i32(shape, data.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect()),
            Dtype::U8 | Dtype::BOOL => Array::i32(shape, data.iter().map(|b| i32::from(*b)).collect()),
            other => panic!("{}: unexpected type {other:?}", path.display()),
        }
    };
    file.tensors().into_iter().map(|(name, view)| (name, convert(view))).collect()
}

/// Defines one test per golden case, which calls `$check` with its name, and a test that no case of the repository is
/// missing.
#[macro_export]
macro_rules! golden_cases {
    ($check:ident) => {
        $crate::golden_cases! { $check:
            bart_base: "bart/base",
            bert_base: "bert/base",
            bert_labels: "bert/labels",
            bert_mlm: "bert/mlm",
            clap_fused: "clap/fused",
            clap_unfused: "clap/unfused",
            clip_eos_argmax: "clip/eos_argmax",
            clip_eos_first: "clip/eos_first",
            detr_resnet: "detr/resnet",
            detr_timm: "detr/timm",
            distilbert_cls: "distilbert/cls",
            gated_conv_mixed: "gated_conv/mixed",
            gated_conv_plain: "gated_conv/plain",
            gemma_base: "gemma/base",
            gemma2_softcap: "gemma2/softcap",
            gemma3_text: "gemma3/text",
            gpt2_base: "gpt2/base",
            gpt2_published: "gpt2/published",
            llama_gqa_untied: "llama/gqa_untied",
            llama_tied_llama3_rope: "llama/tied_llama3_rope",
            llama_wide: "llama/wide",
            llama_yarn_biases: "llama/yarn_biases",
            llava_base: "llava/base",
            llava_next_anyres: "llava_next/anyres",
            mistral_sliding: "mistral/sliding",
            mobilebert_mlm: "mobilebert/mlm",
            mobilenet_v1_both_sides: "mobilenet_v1/both_sides",
            mobilenet_v1_same: "mobilenet_v1/same",
            olmo2_base: "olmo2/base",
            phi3_longrope: "phi3/longrope",
            phi3_plain: "phi3/plain",
            qwen2_mixed_window: "qwen2/mixed_window",
            qwen2_tied: "qwen2/tied",
            qwen2_vl_mrope: "qwen2_vl/mrope",
            qwen2_vl_rows: "qwen2_vl/rows",
            qwen3_qk_norm: "qwen3/qk_norm",
            resnet_basic: "resnet/basic",
            resnet_bottleneck: "resnet/bottleneck",
            roberta_cls: "roberta/cls",
            roberta_mlm: "roberta/mlm",
            t5_v1_0: "t5/v1_0",
            vit_cls: "vit/cls",
            wav2vec2_ctc_group_norm: "wav2vec2/ctc_group_norm",
            wav2vec2_ctc_layer_norm: "wav2vec2/ctc_layer_norm",
            whisper_mel80: "whisper/mel80",
            whisper_published: "whisper/published",
            xclip_base: "xclip/base",
        }
    };
    ($check:ident: $($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { $check($name); })*

        /// A case that no test runs is worse than none.
        #[test]
        fn every_case_is_listed() {
            let names: Vec<String> = $crate::goldens::Case::all().into_iter().map(|c| c.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}
