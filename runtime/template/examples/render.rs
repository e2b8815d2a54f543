//! Renders templates from standard input for comparison with jinja2. Each line is a JSON object with either `source`,
//! `variables` (a JSON text) and `now`, or `chat` and `request` (JSON texts). Writes an object with `text` or `error`
//! for each.

use std::io::{BufRead, Write};

use gristmill_template::{Error, render, render_chat};
use serde_json::{Value, json};

fn answer(line: &str) -> Result<String, Error> {
    let value: Value = serde_json::from_str(line).unwrap_or_default();
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    match value["chat"].as_str() {
        Some(chat) => render_chat(chat, text("request")),
        None => render("template", text("source"), text("variables"), value["now"].as_i64().unwrap_or(0)),
    }
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = match answer(&line?) {
            Ok(text) => json!({ "text": text }),
            Err(e) => json!({ "error": e.to_string() }),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}
