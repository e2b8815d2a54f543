//! The command line as scripts see it: output, exit codes, and the files that are left behind.

mod audio;
mod bad_input;
mod bench;
mod common;
mod compare;
#[cfg(feature = "download")]
mod download;
mod gguf;
#[cfg(unix)]
mod hammer;
mod healing;
mod hostile_text;
mod hub;
#[cfg(feature = "download")]
mod hub_server;
mod image;
mod new;
mod pipeline;
mod profiles;
mod readme;
mod serve;
#[cfg(unix)]
mod special_files;
mod unused;
mod usage;
