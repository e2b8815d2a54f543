//! Whether the runtime for browsers is built, and from the sources as they are: the code of the build script of
//! `gristmill`, which asks the same.

include!("../../compiler/cli/build/runtime.rs");
