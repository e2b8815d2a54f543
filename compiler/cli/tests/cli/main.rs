//! The command line as scripts see it: words, exit codes, and what is left behind.

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
mod profiles;
mod readme;
mod road;
mod serve;
#[cfg(unix)]
mod special_files;
mod unused;
mod usage;
