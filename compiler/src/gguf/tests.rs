//! Values of each type compared with the reference, and malformed files.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use gristmill_graph::text::Conversion;
use safetensors::SafeTensors;
use serde_json::json;
use tempfile::NamedTempFile;

use super::value::Value;
use super::{Gguf, name, parts};
use crate::error::CompileError;
use crate::hf::dir::ModelDir;
use crate::source::{Folder, Source};
use crate::weights::WeightError;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/gguf").join(name)
}

fn open(path: &Path) -> Result<Gguf, WeightError> {
    let source = Folder::around(path);
    Gguf::open(&source, source.whole().unwrap())
}

#[test]
fn every_type_is_decoded_as_the_reference_does() {
    let gguf = open(&fixture("types.gguf")).unwrap();
    let bytes = std::fs::read(fixture("types.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(expected.len(), 12);
    for (kind, tensor) in expected.tensors() {
        let want: Vec<u32> = tensor.data().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        let got: Vec<u32> = gguf.vector(&kind).unwrap().unwrap().iter().map(|v| v.to_bits()).collect();
        assert_eq!(got, want, "{kind}");
        let stored = &gguf.tensors.iter().find(|(_, t)| t.name == kind).unwrap().1;
        assert_eq!(stored.kind.to_string(), kind);
        assert_eq!(stored.shape, tensor.shape().iter().map(|d| *d as u64).collect::<Vec<_>>());
    }
    let refused = gguf.vector("IQ4_XS").unwrap_err().to_string();
    assert!(refused.contains("tensor `IQ4_XS`: is stored as IQ4_XS"), "{refused}");
}

/// A file under construction.
struct Bytes(Vec<u8>);

impl Bytes {
    fn header(version: u32, tensors: u64, keys: u64) -> Self {
        Bytes(b"GGUF".to_vec()).u32(version).u64(tensors).u64(keys)
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn text(mut self, text: &str) -> Self {
        self = self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }

    /// Adds a key with a number.
    fn number(self, key: &str, value: u32) -> Self {
        self.text(key).u32(4).u32(value)
    }

    /// Adds a key with a text.
    fn word(self, key: &str, value: &str) -> Self {
        self.text(key).u32(8).text(value)
    }

    fn tensor(self, name: &str, shape: &[u64], kind: u32, start: u64) -> Self {
        let shaped = shape.iter().fold(self.text(name).u32(shape.len() as u32), |b, d| b.u64(*d));
        shaped.u32(kind).u64(start)
    }

    /// Pads to a multiple of 32 with zeros, then appends `bytes` more.
    fn data(mut self, bytes: usize) -> Self {
        let length = self.0.len().next_multiple_of(32) + bytes;
        self.0.resize(length, 0);
        self
    }

    fn file(&self) -> NamedTempFile {
        let mut file = NamedTempFile::with_suffix(".gguf").unwrap();
        file.write_all(&self.0).unwrap();
        file
    }
}

#[track_caller]
fn refused(bytes: &Bytes, texts: &[&str]) {
    let file = bytes.file();
    let error = open(file.path()).map(|_| ()).expect_err("it is read").to_string();
    for text in [file.path().to_str().unwrap()].iter().chain(texts) {
        assert!(error.contains(text), "no `{text}` in: {error}");
    }
}

#[test]
fn broken_headers_are_refused() {
    let start = || Bytes::header(3, 0, 1);
    refused(&Bytes(b"GGU".to_vec()), &["is not a GGUF file"]);
    refused(&Bytes(b"GGML\x03\0\0\0".to_vec()), &["is not a GGUF file"]);
    refused(&Bytes(b"GGUF".to_vec()), &["claims 4 bytes"]);
    refused(&Bytes::header(1, 0, 0), &["version 1"]);
    refused(&Bytes::header(4, 0, 0), &["version 4"]);
    refused(&Bytes::header(3u32.swap_bytes(), 0, 0), &["big-endian"]);
    refused(&Bytes::header(3, u64::MAX, 0), &["tensors; at most"]);
    refused(&Bytes::header(3, 0, u64::MAX), &["metadata keys"]);
    refused(&Bytes::header(3, 0, 5), &["claims 8 bytes"]);
    refused(&start().u64(1 << 40), &["the name of a metadata key claims"]);
    refused(&start().u64(900), &["claims 900 bytes of text"]);
    refused(&start().text("k").u32(99), &["`k` has a value of the unknown type 99"]);
    refused(&start().text("k").u32(8).u64(u64::MAX), &["`k` claims"]);
    refused(&start().text("k").u32(7).u32(2), &["`k` has the value 2 as a bool"]);
    refused(&Bytes::header(3, 0, 2).number("k", 1).number("k", 2), &["`k` occurs twice"]);
    // Lists that are longer than the file, longer than any limit, or nested too deeply.
    refused(&start().text("k").u32(9).u32(8).u64(1 << 60), &["elements of metadata `k`"]);
    let mut long = start().text("k").u32(9).u32(0).u64(5 << 20);
    long.0.resize(long.0.len() + (5 << 20), 0);
    refused(&long, &["`k` has 5242880 elements"]);
    let deep = (0..4).fold(start().text("k").u32(9), |b, _| b.u32(9).u64(1));
    refused(&deep.u32(0).u64(0).u64(0), &["`k` has lists nested"]);
    let mut letters = start().u64(1);
    letters.0.extend([0xff, 4, 0, 0, 0, 0, 0, 0, 0]);
    refused(&letters, &["not UTF-8"]);
    for alignment in [0, 3, 48, 1 << 30] {
        refused(&start().number("general.alignment", alignment), &["power of two"]);
    }
}

#[test]
fn tensors_that_cannot_be_are_refused() {
    let one = || Bytes::header(3, 1, 0);
    refused(&one().tensor("t", &[1, 1, 1, 1, 1], 0, 0).data(4), &["`t`", "5 dimensions"]);
    refused(&one().tensor("t", &[4], 0, 8).data(64), &["`t`", "not a multiple of 32"]);
    refused(&one().tensor("t", &[4], 0, 0).data(8), &["`t`", "end after the file"]);
    refused(&one().tensor("t", &[4], 0, 1 << 60).data(8), &["`t`", "end after the file"]);
    refused(&one().tensor("t", &[4], 0, u64::MAX - 31).data(8), &["`t`", "end after the file"]);
    refused(&one().tensor("t", &[1 << 40, 1 << 40], 0, 0).data(8), &["`t`", "overflows"]);
    refused(&one().tensor("t", &[1 << 61, 2], 0, 0).data(8), &["`t`", "overflows"]);
    refused(&one().tensor("t", &[48], 8, 0).data(99), &["`t`", "Q8_0, in blocks of 32"]);
    let two = || Bytes::header(3, 2, 0);
    refused(&two().tensor("t", &[4], 0, 0).tensor("t", &[4], 0, 32).data(64), &["`t`", "occurs twice"]);
    refused(&two().tensor("a", &[16], 0, 0).tensor("b", &[4], 0, 32).data(64), &["`b`", "overlaps that of `a`"]);
}

#[test]
fn what_a_file_says_is_checked_before_it_is_used() {
    let refused = |bytes: Bytes, texts: &[&str]| {
        let file = bytes.file();
        let error = ModelDir::open(file.path()).and_then(|dir| dir.checkpoint().map(|_| ()));
        let error = error.expect_err("it is read");
        assert!(!matches!(error, CompileError::Internal(_)), "{error}");
        for text in texts {
            assert!(error.to_string().contains(text), "no `{text}` in: {error}");
        }
    };
    refused(Bytes::header(3, 0, 0), &["no metadata `general.architecture`"]);
    refused(Bytes::header(3, 0, 1).word("general.architecture", "../x"), &["not the name of an architecture"]);
    refused(
        Bytes::header(3, 0, 1).word("general.architecture", "decoder"),
        &["`decoder` are not supported; supported are"],
    );
    let arch = |keys: u64| Bytes::header(3, 0, keys + 1).word("general.architecture", "qwen2");
    refused(arch(0), &["`arch.embedding_length` is not in the metadata of the file"]);
    refused(arch(2).number("qwen2.a", 1).number("qwen2.a.b", 1), &["`a.b` contradicts another key"]);
    let sizes = |keys: u64, tensors: u64| {
        let start = Bytes::header(3, tensors, keys + 6).word("general.architecture", "qwen2");
        let start = start.number("qwen2.embedding_length", 32).number("qwen2.block_count", 1);
        let start = start.number("qwen2.feed_forward_length", 64).number("qwen2.context_length", 64);
        start.number("qwen2.attention.head_count", 4)
    };
    let eps = |bytes: Bytes| bytes.text("qwen2.attention.layer_norm_rms_epsilon").u32(6).u32(1e-5f32.to_bits());
    refused(eps(sizes(2, 0).number("qwen2.expert_count", 8)), &["mixtures of experts"]);
    refused(eps(sizes(2, 0).number("qwen2.rope.dimension_count", 4)), &["a part of each head"]);
    refused(eps(sizes(2, 0).word("qwen2.rope.scaling.type", "longrope")), &["'longrope' is not supported"]);
    let stored = eps(sizes(2, 2).number("qwen2.vocab_size", 64));
    let stored = stored.tensor("token_embd.weight", &[256, 1], 23, 0).tensor("blk.0.ffn_up.weight", &[256], 10, 256);
    refused(
        stored.data(999),
        &["`token_embd.weight`: is stored as IQ4_XS", "2 tensors", "Q2_K", "use a file in one of"],
    );
    let word = |model| eps(sizes(2, 0).word("tokenizer.ggml.model", model));
    refused(word("t5"), &["no `tokenizer.ggml.tokens`"]);
    let tokens = |model, tokens: &[&str]| {
        let list = eps(sizes(3, 0).word("tokenizer.ggml.model", model)).text("tokenizer.ggml.tokens");
        tokens.iter().fold(list.u32(9).u32(8).u64(tokens.len() as u64), |b, t| b.text(t))
    };
    refused(tokens("bert", &["a"]), &["`tokenizer.ggml.model` is `bert`; gpt2, llama are supported"]);
    refused(tokens("llama", &["a", "a"]), &["tokens 0 and 1 are both `a`"]);
    refused(tokens("llama", &["a", &"b".repeat(2000)]), &["token 1 has 2000 bytes"]);
    refused(tokens("llama", &["a"]), &["neither metadata `tokenizer.ggml.merges` nor `tokenizer.ggml.scores`"]);
    refused(tokens("gpt2", &["a"]), &["no metadata `tokenizer.ggml.merges`"]);
}

#[test]
fn every_conversion_that_ships_is_valid() {
    let library = crate::library::library();
    let names = Conversion::names(&library);
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let conversion = Conversion::load(&library, name).unwrap_or_else(|d| panic!("{d}"));
        // Without metadata, each formula fails because of a missing value and for no other reason.
        let facts = ["arch", "general", "tokenizer", "tensors"].map(|n| (n.to_string(), json!({})));
        let facts = facts.into_iter().chain([("token_count".into(), json!(5)), ("rope_factors".into(), json!(null))]);
        let found = conversion.apply(&facts.collect()).unwrap_err();
        for diagnostic in &found.0 {
            assert!(diagnostic.message.ends_with("is not in the metadata of the file"), "{diagnostic}");
        }
        assert!(conversion.knows("embedding_length") && !conversion.knows("embedding"), "{name}");
    }
}

#[test]
fn parts_of_a_model_are_found_by_name() {
    let path = Path::new("/x/m-00001-of-00003.gguf");
    assert_eq!(name(path), "m");
    assert_eq!(parts(path)[2], Path::new("/x/m-00003-of-00003.gguf"));
    assert_eq!(parts(Path::new("m-00002-of-00003.gguf")).len(), 1);
    assert_eq!((name(Path::new("a.Q4_0.gguf")), parts(Path::new("a.gguf")).len()), ("a.Q4_0".into(), 1));
}

/// Opens a model in two parts; the header of the second has these numbers.
fn in_parts(dir: &Path, number: u16, count: u16, tensors: u32) -> Result<Gguf, String> {
    let split = |bytes: Bytes, number: u16, count: u16| {
        let number = bytes.number("split.no", u32::from(number));
        number.number("split.count", u32::from(count)).number("split.tensors.count", tensors)
    };
    let first = split(Bytes::header(3, 1, 3), 0, 2).tensor("a", &[2], 0, 0).data(8);
    let second = split(Bytes::header(3, 1, 3), number, count).tensor("b", &[2], 0, 0).data(8);
    std::fs::write(dir.join("m-00001-of-00002.gguf"), first.0).unwrap();
    std::fs::write(dir.join("m-00002-of-00002.gguf"), second.0).unwrap();
    open(&dir.join("m-00001-of-00002.gguf")).map_err(|e| e.to_string())
}

#[test]
fn parts_are_one_model() {
    let dir = tempfile::tempdir().unwrap();
    let gguf = in_parts(dir.path(), 1, 2, 2).unwrap();
    let tensors: Vec<(usize, &str)> = gguf.tensors.iter().map(|(file, t)| (*file, t.name.as_str())).collect();
    assert_eq!(tensors, [(0, "a"), (1, "b")]);
    assert_eq!(gguf.metadata["split.count"], Value::Unsigned(2));
    let second = open(&dir.path().join("m-00002-of-00002.gguf")).unwrap_err().to_string();
    assert!(second.contains("is part 2 of a split model"), "{second}");
    assert!(in_parts(dir.path(), 0, 2, 2).unwrap_err().contains("does not say that it is part 2"));
    assert!(in_parts(dir.path(), 1, 2, 3).unwrap_err().contains("have 3 tensors, but they have 2"));
    std::fs::remove_file(dir.path().join("m-00002-of-00002.gguf")).unwrap();
    let missing = open(&dir.path().join("m-00001-of-00002.gguf")).unwrap_err().to_string();
    assert!(missing.contains("m-00002-of-00002.gguf: cannot open"), "{missing}");
}

#[test]
fn no_cut_of_a_file_is_read_or_panics() {
    let whole = std::fs::read(fixture("pieces.gguf")).unwrap();
    // The tensors reach the end of the file, so any cut removes a part of them; cuts in the header are the interesting
    // ones.
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let file = Bytes(whole[..length].to_vec()).file();
        let opened = open(file.path());
        assert!(opened.is_err(), "{length} of {} bytes are read", whole.len());
    }
    // Changes single bytes of the header.
    for at in (4..6000).step_by(41) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let file = Bytes(bytes).file();
        if let Err(error) = ModelDir::open(file.path()).and_then(|dir| dir.checkpoint().map(|_| ())) {
            assert!(!matches!(error, CompileError::Internal(_)), "byte {at}: {error}");
        }
    }
}
