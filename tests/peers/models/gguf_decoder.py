"""A decoder as GGUF, every matrix in the same format."""

import gguf
import numpy as np

from weights import MATRICES

NAMES = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def write_gguf(s, weights, path, kind="Q4_0"):
    """Writes the file. Its tokenizer makes token i of the text `t%06d`, so that a text gives exactly these ids."""
    quantization = getattr(gguf.GGMLQuantizationType, kind)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(path.stem)
    writer.add_context_length(s.context)
    writer.add_embedding_length(s.hidden)
    writer.add_block_count(s.layers)
    writer.add_feed_forward_length(s.ffn)
    writer.add_head_count(s.heads)
    writer.add_head_count_kv(s.kv_heads)
    writer.add_layer_norm_rms_eps(s.epsilon)
    writer.add_rope_freq_base(s.theta)
    writer.add_rope_dimension_count(s.head)
    writer.add_vocab_size(s.vocabulary)
    writer.add_file_type(getattr(gguf.LlamaFileType, f"MOSTLY_{kind}"))
    # The one tokenizer of llama.cpp that takes any words: the longest known one, again and again.
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list([f"t{i:06}" for i in range(s.vocabulary)])
    writer.add_token_types([1] * s.vocabulary)
    writer.add_eos_token_id(2)
    writer.add_bos_token_id(1)
    writer.add_add_bos_token(False)

    def put(name, tensor):
        if tensor.ndim == 1:
            writer.add_tensor(name, tensor.astype(np.float32))
        else:
            writer.add_tensor(name, gguf.quants.quantize(tensor, quantization), raw_dtype=quantization)

    def interleave(matrix, heads):
        """Rotary pairs: halves of a head in Hugging Face's files, neighbours in GGUF."""
        return matrix.reshape(heads, 2, s.head // 2, -1).swapaxes(1, 2).reshape(matrix.shape)

    put("token_embd.weight", weights["embed"])
    put("output_norm.weight", weights["norm"])
    for layer in range(s.layers):
        put(f"blk.{layer}.attn_norm.weight", weights[f"{layer}.n1"])
        put(f"blk.{layer}.ffn_norm.weight", weights[f"{layer}.n2"])
        for short in MATRICES:
            matrix = weights[f"{layer}.{short}"]
            if short in ("q", "k"):
                matrix = interleave(matrix, s.heads if short == "q" else s.kv_heads)
            put(f"blk.{layer}.{NAMES[short]}.weight", matrix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
