//! All cross-crate tests except those in browsers, which need the machine for themselves. They are one program, because
//! each takes seconds to link; `cargo test --test suite NAME::` runs those of one file. (With `-p`, all dependencies
//! would be built again with other features.)

mod audio;
mod bundles;
mod compared;
mod convolution;
mod ctc;
mod dawn;
mod doc_commands;
mod entries;
mod fuzz;
mod goldens_backends;
mod goldens_reference;
mod hybrid;
mod image_prompts;
mod images;
mod imports;
mod javascript;
mod links;
mod plan;
mod precision;
mod quantized;
mod release;
mod sampling;
mod several_kernels;
mod shaders;
mod sizes;
mod split;
mod states;
mod tidy;
mod tidy_matches;
mod wasm_kernels;
mod wasm_models;
mod web_compiler;
mod web_text;
