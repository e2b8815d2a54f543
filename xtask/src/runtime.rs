//! Whether the browser runtime is built and up to date, as the build script of `gristmill` checks it.

include!("../../compiler/cli/build/runtime.rs");
