//! The reference of all functions, blocks and operations, generated from the sources.

use std::fmt::Write;

use super::file::{self, Blocks};
use super::functions::{self, Function};
use super::library::{BLOCKS, Library};
use crate::dtype::DType;
use crate::scalar::{Binary, Unary};

/// The source with the meaning of each operation.
const OPS: &str = include_str!("../op.rs");

/// `models/OPS.md`: all functions, the blocks of the library, and all operations of graphs, in Markdown.
///
/// Blocks are explained by their `doc`, or by the comment above them.
pub fn manual(library: &Library) -> String {
    let mut out = String::from(
        "# Functions, blocks and operations\n\n\
         What formulas of an architecture file can call, and the operations that they become. A test (`UPDATE=1 cargo test --lib manual`) generates \
         this file;\n[README.md](README.md) explains the language.\n\n\
         ## Functions\n\n\
         `name?` is optional. `axis` counts from 0, or from the end if negative.\n\n\
         | function | returns |\n| --- | --- |\n",
    );
    for Function { name, params, doc } in functions::all() {
        let _ = writeln!(out, "| `{name}({})` | {} |", params.join(", "), phrase(doc));
    }
    out.push_str(
        "\n## Blocks\n\nFunctions written in formulas, in `blocks/`. `name?` is optional; `name: value` has that \
         default.\n",
    );
    for (name, text) in library.files.iter().filter(|(n, _)| n.starts_with(BLOCKS)) {
        block_file(&mut out, name, text);
    }
    out.push_str(
        "\n## Operations\n\n\
         The nodes of the graph that formulas become, as `inspect --graph` shows them. Operands are in brackets. Authors do \
         not write\noperations by name; the compiler finds the fused ones.\n",
    );
    operations(&mut out);
    out.push_str(
        "\n### Functions of elements\n\nWhat `Unary` and `Binary` compute; both operands of `Binary` have one type.\n\n\
         | function | returns | types |\n| --- | --- | --- |\n",
    );
    let unary = Unary::ALL.iter().map(|f| (f.row().name, "x", f.row().doc, f.takes()));
    let binary = Binary::ALL.iter().map(|f| (f.row().name, "a, b", f.row().doc, f.takes().to_vec()));
    for (name, operands, doc, types) in unary.chain(binary) {
        let types: Vec<String> = types.iter().map(DType::to_string).collect();
        let _ = writeln!(out, "| `{name}` `[{operands}]` | {} | {} |", phrase(doc), types.join(", "));
    }
    out
}

/// A line of documentation as part of a sentence: without capital and full stop.
fn phrase(doc: &str) -> String {
    let text = cell(doc);
    let text = text.strip_suffix('.').filter(|t| !t.ends_with('.')).unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn block_file(out: &mut String, name: &str, text: &str) {
    // A file that cannot be read is reported where it is used.
    let Some(read) = file::peek_borrowed::<Blocks<'_>>(text) else { return };
    let _ =
        writeln!(out, "\n### {}\n\n{}\n\n| block | meaning |\n| --- | --- |", &name[BLOCKS.len()..], cell(read.doc.0));
    for (signature, block) in &read.blocks.0 {
        let mut doc = if block.doc.0.is_empty() { comment_above(text, signature.0) } else { block.doc.0.to_string() };
        if doc.is_empty() && block.body.is_empty() {
            doc = format!("`{}`", block.result.0);
        }
        let _ = writeln!(out, "| `{}` | {} |", signature.0, cell(&doc));
    }
}

/// The comment directly above the line in which `part`, a slice of `text`, begins.
fn comment_above(text: &str, part: &str) -> String {
    let at = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len());
    let before = text[..at].rsplit_once('\n').map_or("", |(lines, _)| lines);
    let mut lines: Vec<&str> = before.lines().rev().map_while(|line| line.trim().strip_prefix("//")).collect();
    lines.reverse();
    lines.join(" ")
}

/// Reads the variants of `Op` and their docs; `// ----` lines are headings.
fn operations(out: &mut String) {
    let body = OPS.split("pub enum Op {").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap_or_default();
    let (mut doc, mut row) = (String::new(), None::<(String, String)>);
    let finish = |out: &mut String, row: &mut Option<(String, String)>| {
        if let Some((name, text)) = row.take() {
            let _ = writeln!(out, "| {name} | {} |", cell(&text));
        }
    };
    for line in body.lines() {
        let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
        if let Some(heading) = line.strip_prefix("// ---- ") {
            finish(out, &mut row);
            let _ = writeln!(out, "\n### {}\n\n| operation | meaning |\n| --- | --- |", capital(heading));
        } else if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
        } else if indent == 4 && line.starts_with(|c: char| c.is_ascii_uppercase()) {
            finish(out, &mut row);
            let name = line.split(['(', ' ', ',', '{']).next().unwrap_or_default();
            row = Some((format!("`{name}`"), std::mem::take(&mut doc)));
        } else if indent == 8
            && let Some((field, _)) = line.split_once(':')
            && let Some((_, text)) = &mut row
        {
            let _ = write!(text, " `{field}`:{}", std::mem::take(&mut doc));
        }
    }
    finish(out, &mut row);
}

/// With a capital first letter.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
