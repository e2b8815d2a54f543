//! Random model directories, for tests that need many shapes.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

/// A tensor of a checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpointed {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Row-major values, stored as F32.
    pub data: Vec<f32>,
}

/// The content of a model directory.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    /// `config.json`.
    pub config: Value,
    /// The tensors of `model.safetensors`, in this order.
    pub tensors: Vec<Checkpointed>,
}

/// The dimensions of a random decoder.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward part.
    pub ffn: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Query heads per key head.
    pub group: usize,
    /// Layers.
    pub layers: usize,
    /// Vocabulary.
    pub vocab: usize,
    /// Whether the output projection is tied to the embedding.
    pub tied: bool,
}

/// The dimensions of a random encoder.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Heads; divides `hidden`.
    pub heads: usize,
    /// Width of the feed-forward part.
    pub ffn: usize,
    /// Layers.
    pub layers: usize,
    /// Vocabulary.
    pub vocab: usize,
}

/// Pseudo-random numbers, determined by the seed.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Starts a sequence.
    pub fn new(seed: u64) -> Self {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform in -1 to 1.
    pub fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Approximately normal, with standard deviation 1.
    pub fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.uniform()).sum::<f32>() * std::f32::consts::FRAC_1_SQRT_2
    }

    /// An integer below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (((self.uniform() + 1.0) / 2.0 * end as f32) as usize).min(end - 1)
    }
}

struct Tensors {
    numbers: Numbers,
    all: Vec<Checkpointed>,
}

impl Tensors {
    fn add(&mut self, name: &str, shape: &[usize], data: impl FnMut(&mut Numbers) -> f32) {
        let (mut data, n) = (data, shape.iter().product());
        let data = (0..n).map(|_| data(&mut self.numbers)).collect();
        self.all.push(Checkpointed { name: name.to_string(), shape: shape.to_vec(), data });
    }

    /// A matrix that preserves the magnitude of its input.
    fn matrix(&mut self, name: &str, rows: usize, columns: usize) {
        let scale = 1.0 / (columns as f32).sqrt();
        self.add(name, &[rows, columns], |r| scale * r.normal());
    }

    fn table(&mut self, name: &str, rows: usize, columns: usize) {
        self.add(name, &[rows, columns], Numbers::normal);
    }

    fn near_one(&mut self, name: &str, n: usize) {
        self.add(name, &[n], |r| 1.0 + 0.1 * r.uniform());
    }

    fn small(&mut self, name: &str, n: usize) {
        self.add(name, &[n], |r| 0.1 * r.uniform());
    }
}

impl Decoder {
    /// A Llama-like model with random weights.
    pub fn files(&self, seed: u64) -> ModelFiles {
        let mut t = Tensors { numbers: Numbers::new(seed), all: Vec::new() };
        let Decoder { hidden, ffn, head_dim, kv_heads, group, layers, vocab, tied } = *self;
        let (q, kv) = (kv_heads * group * head_dim, kv_heads * head_dim);
        t.table("model.embed_tokens.weight", vocab, hidden);
        for i in 0..layers {
            let name = |part: &str| format!("model.layers.{i}.{part}.weight");
            t.near_one(&name("input_layernorm"), hidden);
            t.matrix(&name("self_attn.q_proj"), q, hidden);
            t.matrix(&name("self_attn.k_proj"), kv, hidden);
            t.matrix(&name("self_attn.v_proj"), kv, hidden);
            t.matrix(&name("self_attn.o_proj"), hidden, q);
            t.near_one(&name("post_attention_layernorm"), hidden);
            t.matrix(&name("mlp.gate_proj"), ffn, hidden);
            t.matrix(&name("mlp.up_proj"), ffn, hidden);
            t.matrix(&name("mlp.down_proj"), hidden, ffn);
        }
        t.near_one("model.norm.weight", hidden);
        if !tied {
            t.matrix("lm_head.weight", vocab, hidden);
        }
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
            "intermediate_size": ffn, "num_hidden_layers": layers, "vocab_size": vocab, "head_dim": head_dim,
            "num_attention_heads": kv_heads * group, "num_key_value_heads": kv_heads,
            "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
            "tie_word_embeddings": tied, "bos_token_id": 1, "eos_token_id": 2,
        });
        ModelFiles { config, tensors: t.all }
    }
}

impl Encoder {
    /// A BERT-like model with random weights.
    pub fn files(&self, seed: u64) -> ModelFiles {
        let mut t = Tensors { numbers: Numbers::new(seed), all: Vec::new() };
        let Encoder { hidden, heads, ffn, layers, vocab } = *self;
        let norm = |t: &mut Tensors, name: &str| {
            t.near_one(&format!("{name}.LayerNorm.weight"), hidden);
            t.small(&format!("{name}.LayerNorm.bias"), hidden);
        };
        let dense = |t: &mut Tensors, name: &str, rows: usize, columns: usize| {
            t.matrix(&format!("{name}.weight"), rows, columns);
            t.small(&format!("{name}.bias"), rows);
        };
        t.table("embeddings.word_embeddings.weight", vocab, hidden);
        t.table("embeddings.position_embeddings.weight", 64, hidden);
        t.table("embeddings.token_type_embeddings.weight", 2, hidden);
        norm(&mut t, "embeddings");
        for i in 0..layers {
            let name = |part: &str| format!("encoder.layer.{i}.{part}");
            for part in ["query", "key", "value"] {
                dense(&mut t, &name(&format!("attention.self.{part}")), hidden, hidden);
            }
            dense(&mut t, &name("attention.output.dense"), hidden, hidden);
            norm(&mut t, &name("attention.output"));
            dense(&mut t, &name("intermediate.dense"), ffn, hidden);
            dense(&mut t, &name("output.dense"), hidden, ffn);
            norm(&mut t, &name("output"));
        }
        dense(&mut t, "pooler.dense", hidden, hidden);
        let config = json!({
            "architectures": ["BertModel"], "model_type": "bert", "hidden_size": hidden, "intermediate_size": ffn,
            "num_hidden_layers": layers, "vocab_size": vocab, "num_attention_heads": heads,
            "max_position_embeddings": 64, "layer_norm_eps": 1e-12, "hidden_act": "gelu", "type_vocab_size": 2,
        });
        ModelFiles { config, tensors: t.all }
    }
}

impl ModelFiles {
    /// The tensor with this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn tensor(&mut self, name: &str) -> &mut Checkpointed {
        self.tensors.iter_mut().find(|t| t.name == name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// Writes the directory.
    pub fn write(&self, dir: &Path) {
        fs::create_dir_all(dir).expect("a directory");
        fs::write(dir.join("config.json"), self.config.to_string()).expect("config.json");
        let (mut header, mut data) = (Map::new(), Vec::new());
        for t in &self.tensors {
            let begin = data.len();
            data.extend(t.data.iter().flat_map(|x| x.to_le_bytes()));
            let info = json!({ "dtype": "F32", "shape": t.shape, "data_offsets": [begin, data.len()] });
            header.insert(t.name.clone(), info);
        }
        write_safetensors(&dir.join("model.safetensors"), &Value::Object(header).to_string(), &data);
    }
}

/// Writes a safetensors file with any header, valid or not.
pub fn write_safetensors(path: &Path, header: &str, data: &[u8]) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    fs::write(path, bytes).expect("model.safetensors");
}
