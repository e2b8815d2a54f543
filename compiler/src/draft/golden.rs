//! The script that records expected outputs for a drafted architecture.

/// A Python script that runs the original model and writes the tensors that `gristmill verify` compares with. `inputs`
/// are the names of the inputs without a default.
pub fn golden_script(class: &str, file: &str, inputs: &[String]) -> String {
    let made: Vec<String> = inputs.iter().map(|name| format!("    {},", input(name))).collect();
    format!(
        r#""""Runs the original model, and writes inputs and outputs for

    gristmill verify MODEL_DIR --arch {file} --inputs inputs.safetensors --expect outputs.safetensors --taps

Usage: python SCRIPT MODEL_DIR   (needs torch, transformers and safetensors)
"""

import sys

import torch
import transformers
from safetensors.torch import save_file

model = transformers.{class}.from_pretrained(sys.argv[1], dtype=torch.float32, attn_implementation="eager").eval()
torch.manual_seed(0)
# The arguments of `forward`. Use different sizes for all axes, and a batch with padding.
inputs = {{
{made}
}}

with torch.no_grad():
    results = model(**inputs, output_hidden_states=True)
outputs = {{}}
for name, value in results.items():
    if torch.is_tensor(value):
        outputs[name] = value
    elif isinstance(value, tuple):
        outputs.update({{f"{{name}}.{{i}}": part for i, part in enumerate(value) if torch.is_tensor(part)}})
save_file({{name: value.contiguous() for name, value in inputs.items()}}, "inputs.safetensors")
save_file({{name: value.contiguous().clone() for name, value in outputs.items()}}, "outputs.safetensors")
print("inputs.safetensors, outputs.safetensors:", ", ".join(outputs))
"#,
        made = made.join("\n"),
    )
}

/// A line of Python that creates an input.
fn input(name: &str) -> String {
    if name.ends_with("input_ids") {
        format!("\"{name}\": torch.randint(0, model.config.vocab_size, (2, 17))")
    } else {
        format!("\"{name}\": torch.randn(2, 3),  # replace it with the shape that the model expects")
    }
}
