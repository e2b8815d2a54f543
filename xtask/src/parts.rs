//! Attributes the size of a module to crates, by the names of its functions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wasmparser::{BinaryReaderError, KnownCustom, Name, Parser, Payload, TypeRef};

use crate::command::Outcome;
use crate::sizes::Size;

/// The part for functions that cannot be attributed to another crate, and the bindings.
const LIBRARY: &str = "standard library, bindings";
/// The part for data: architectures, tables, texts of messages.
const DATA: &str = "data";
/// The part for everything else.
const REST: &str = "types, imports, exports";
/// Crates below this share of the total are listed together.
const SMALL: f64 = 0.005;

/// The id of the code section, whose functions are counted individually.
const CODE: u8 = 10;

/// The bytes of a module by part. A function that is instantiated for a type of a crate, such as a vector of its nodes,
/// counts towards that crate.
pub(crate) type Parts = BTreeMap<String, Vec<u8>>;

/// Divides a module with function names into parts.
///
/// # Errors
/// If it is not a module, or has no names.
pub(crate) fn parts(module: &[u8]) -> Outcome<Parts> {
    let parts = read(module).map_err(|e| format!("the module cannot be read: {e}"))?;
    parts.ok_or_else(|| "the module has no function names".to_string())
}

fn read(module: &[u8]) -> Result<Option<Parts>, BinaryReaderError> {
    let (mut imported, mut bodies, mut names) = (0, Vec::new(), BTreeMap::new());
    let mut parts = Parts::new();
    let mut add = |part: &str, bytes: &[u8]| parts.entry(part.to_string()).or_default().extend_from_slice(bytes);
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Some((id, range)) = payload.as_section()
            && id != CODE
            && !matches!(payload, Payload::CustomSection(_))
        {
            add(if matches!(payload, Payload::DataSection(_)) { DATA } else { REST }, &module[range]);
        }
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.range()),
            Payload::CustomSection(section) => {
                let KnownCustom::Name(section) = section.as_known() else { continue };
                for subsection in section {
                    let Name::Function(map) = subsection? else { continue };
                    for naming in map {
                        let naming = naming?;
                        names.insert(naming.index, naming.name);
                    }
                }
            }
            _ => {}
        }
    }
    for (index, range) in (imported..).zip(bodies) {
        add(crate_of(names.get(&index).copied().unwrap_or_default()).unwrap_or(LIBRARY), &module[range]);
    }
    Ok((!names.is_empty()).then_some(parts))
}

/// The first crate in a name that is not in the standard library: `egg` in `<alloc::vec::Vec<egg::Id> as ..>::clone`.
fn crate_of(name: &str) -> Option<&str> {
    const OF_LIBRARY: [&str; 8] =
        ["core", "alloc", "std", "hashbrown", "compiler_builtins", "dlmalloc", "rustc_demangle", "__rustc"];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words = name.split("::").scan("", |before, text| {
        // The name of a crate is followed by its hash in brackets.
        let text = text.strip_suffix(']').and_then(|text| text.rsplit_once('[')).map_or(text, |(text, _)| text);
        let word = text.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
        // Whether a path starts here or continues.
        let begins = word > 0 || before.is_empty();
        *before = text;
        Some((begins, &text[word..]))
    });
    // What follows the last `::` is not a crate.
    let count = name.matches("::").count();
    words
        .take(count)
        .filter(|(begins, word)| *begins && !word.is_empty())
        .map(|(_, word)| word)
        .find(|word| !OF_LIBRARY.contains(word))
}

/// A table of bytes and compressed bytes. The compressed size of the whole is divided among the parts in proportion to
/// their individual compressed sizes.
///
/// # Errors
/// If compression fails.
pub(crate) fn report(parts: &Parts, whole: Size) -> Outcome<String> {
    let mut sizes =
        parts.iter().map(|(name, bytes)| Ok((name.as_str(), Size::of(bytes)?))).collect::<Outcome<Vec<_>>>()?;
    let alone: u64 = sizes.iter().map(|(_, size)| size.gzip).sum();
    let share = |size: Size| size.gzip as f64 / alone.max(1) as f64;
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(size.gzip));
    let (small, large): (Vec<_>, Vec<_>) = sizes.into_iter().partition(|(_, size)| share(*size) < SMALL);
    let mut out = format!("{:<40}{:>10}{:>10}\n", "part", "bytes", "gzip -9");
    let mut row = |name: &str, size: Size| {
        let part = share(size);
        let _ = writeln!(out, "  {name:<38}{:>10}{:>10.0}{:>8.1} %", size.raw, part * whole.gzip as f64, part * 100.0);
    };
    large.iter().for_each(|(name, size)| row(name, *size));
    if !small.is_empty() {
        let rest = small.iter().fold(Size { raw: 0, gzip: 0 }, |all, (_, size)| Size {
            raw: all.raw + size.raw,
            gzip: all.gzip + size.gzip,
        });
        row(&format!("{} more", small.len()), rest);
    }
    let _ = writeln!(out, "{:<40}{:>10}{:>10}", "the module", whole.raw, whole.gzip);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_of_whom_they_serve() {
        for (name, found) in [
            ("egg::run::Runner<L,N,D>::run::h0123456789abcdef", Some("egg")),
            ("<alloc::vec::Vec<egg::Id> as core::clone::Clone>::clone", Some("egg")),
            ("core::ptr::drop_in_place<alloc::vec::Vec<naga::Span>>", Some("naga")),
            ("<&naga::Handle<T> as core::fmt::Debug>::fmt", Some("naga")),
            ("<alloc[e24a27700634d609]::vec::Vec<egg[0f]::Id>>::push", Some("egg")),
            ("<[naga[0f]::Span]>::sort::<core[e2]::cmp::Ordering>", Some("naga")),
            ("<[u8] as core[e2]::fmt::Debug>::fmt", None),
            ("core::fmt::write", None),
            ("<core::fmt::Arguments as core::fmt::Display>::fmt", None),
            ("memcpy", None),
            ("__wbindgen_malloc", None),
            ("", None),
        ] {
            assert_eq!(crate_of(name), found, "{name}");
        }
    }

    /// Two functions with names. Each is one byte, preceded by its size.
    fn module() -> Vec<u8> {
        let sections: [&[u8]; 5] = [
            &[1, 4, 1, 0x60, 0, 0],
            &[3, 3, 2, 0, 0],
            &[10, 7, 2, 2, 0, 0x0b, 2, 0, 0x0b],
            &[11, 6, 1, 1, 3, b'a', b'b', b'c'],
            &[
                0, 24, 4, b'n', b'a', b'm', b'e', 1, 17, 2, 0, 6, b'e', b'g', b'g', b':', b':', b'a', 1, 6, b'm', b'e',
                b'm', b'c', b'p', b'y',
            ],
        ];
        [&b"\0asm\x01\0\0\0"[..], &sections.concat()].concat()
    }

    #[test]
    fn every_byte_of_a_module_is_of_a_part() {
        let found = parts(&module()).expect("a module");
        let sizes: Vec<(&str, usize)> = found.iter().map(|(name, bytes)| (name.as_str(), bytes.len())).collect();
        assert_eq!(sizes, [("data", 6), ("egg", 2), (LIBRARY, 2), (REST, 7)]);
        let report = report(&found, Size { raw: 51, gzip: 40 }).expect("compresses");
        assert!(report.contains("  egg ") && report.contains("the module"), "{report}");
        assert!(parts(b"\0asm\x01\0\0\0").is_err() && parts(b"x").is_err());
    }
}
