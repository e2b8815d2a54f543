//! Writes a Llama-like model directory with random bf16 weights (1.1 billion by default), to measure the compiler on a
//! large model: `random_model DIR [LAYERS] [FILES]`.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::bf16;
use serde_json::{Map, json};

const HIDDEN: u64 = 2048;
const FFN: u64 = 5632;
const HEADS: u64 = 32;
const KV_HEADS: u64 = 4;
const VOCABULARY: u64 = 32000;

/// A tensor's name and shape.
type Named = (String, Vec<u64>);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: random_model DIR [LAYERS] [FILES]")?;
    let layers: u64 = args.next().map_or(Ok(22), |n| n.parse())?;
    let files: usize = args.next().map_or(Ok(1), |n| n.parse())?;
    let dir = Path::new(&dir);
    std::fs::create_dir_all(dir)?;
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
        "hidden_size": HIDDEN, "intermediate_size": FFN, "num_hidden_layers": layers, "vocab_size": VOCABULARY,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": false,
        "bos_token_id": 1, "eos_token_id": 2,
    });
    std::fs::write(dir.join("config.json"), serde_json::to_vec_pretty(&config)?)?;
    let tensors = tensors(layers);
    let values = pool();
    let (mut weight_map, mut total) = (Map::new(), 0);
    let per_file = tensors.len().div_ceil(files.max(1));
    let count = tensors.chunks(per_file).len();
    for (i, part) in tensors.chunks(per_file).enumerate() {
        let name = match files {
            0 | 1 => "model.safetensors".to_string(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", i + 1),
        };
        total += write_file(&dir.join(&name), part, &values)?;
        weight_map.extend(part.iter().map(|(tensor, _)| (tensor.clone(), name.clone().into())));
    }
    if files > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
        std::fs::write(dir.join("model.safetensors.index.json"), serde_json::to_vec(&index)?)?;
    }
    println!("{}: {} weights in {} tensors, {total} bytes", dir.display(), total / 2, tensors.len());
    Ok(())
}

/// All tensors, with their names at Hugging Face.
fn tensors(layers: u64) -> Vec<Named> {
    let kv = HIDDEN / HEADS * KV_HEADS;
    let mut all = vec![("model.embed_tokens.weight".to_string(), vec![VOCABULARY, HIDDEN])];
    for layer in 0..layers {
        let parts: [(&str, Vec<u64>); 9] = [
            ("input_layernorm", vec![HIDDEN]),
            ("self_attn.q_proj", vec![HIDDEN, HIDDEN]),
            ("self_attn.k_proj", vec![kv, HIDDEN]),
            ("self_attn.v_proj", vec![kv, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("mlp.gate_proj", vec![FFN, HIDDEN]),
            ("mlp.up_proj", vec![FFN, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, FFN]),
        ];
        all.extend(parts.into_iter().map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape)));
    }
    all.push(("model.norm.weight".into(), vec![HIDDEN]));
    all.push(("lm_head.weight".into(), vec![VOCABULARY, HIDDEN]));
    all
}

/// The values that tensors are made of: sums of uniform numbers, close enough to a normal distribution.
fn pool() -> Vec<u8> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let one = |_| bf16::from_f32(0.02 * (0..12).map(|_| uniform()).sum::<f32>()).to_le_bytes();
    (0..1 << 21).flat_map(one).collect()
}

fn write_file(path: &Path, tensors: &[Named], pool: &[u8]) -> Result<u64, Box<dyn Error>> {
    let (mut header, mut end) = (Map::new(), 0u64);
    for (name, shape) in tensors {
        let bytes = 2 * shape.iter().product::<u64>();
        let info = json!({ "dtype": "BF16", "shape": shape, "data_offsets": [end, end + bytes] });
        header.insert(name.clone(), info);
        end += bytes;
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 22, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    // Pieces of the pool from different positions, so that rows do not repeat.
    let mut at = 0;
    for (_, shape) in tensors {
        let mut missing = 2 * shape.iter().product::<u64>() as usize;
        while missing > 0 {
            at = (at + 2 * 774_113) % pool.len();
            let piece = missing.min(pool.len() - at).min(1 << 16);
            file.write_all(&pool[at..at + piece])?;
            missing -= piece;
        }
    }
    file.flush()?;
    Ok(end)
}
