//! The command line as scripts see it: words, exit codes, and what is left behind.

mod bad_input;
mod bench;
mod common;
mod compare;
mod gguf;
mod hub;
mod new;
mod picture;
mod readme;
mod road;
mod serve;
mod sound;
mod unused;
mod usage;
