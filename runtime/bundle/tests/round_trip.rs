//! Bundles written, read back, damaged and forged.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gristmill_bundle::*;
use proptest::prelude::*;

fn size(text: &str) -> Size {
    text.parse().expect("a size")
}

/// A ring along the second axis.
fn ring(window: u32, rows: u32) -> StateKind {
    StateKind::Appended { axis: 1, ring: Some(Ring { window, rows }) }
}

fn manifest() -> Manifest {
    let symbol = |name: &str, max| Symbol { name: name.to_string(), min: 0, max };
    Manifest {
        format: FORMAT,
        generator: "gristmill test".to_string(),
        model: ModelInfo {
            name: "toy".to_string(),
            architecture: "toy".to_string(),
            precision: "f32".to_string(),
            parameters: 3,
            max_context: 8,
            prefill_chunk: 4,
            eos_token_ids: vec![2],
            decoder_start_tokens: vec![],
            choices: vec![],
            embedding: None,
        },
        symbols: vec![symbol("B", 4), symbol("T", 8), symbol("P", 8), symbol("C", 8)],
        inputs: vec![Input {
            name: "input_ids".to_string(),
            elem: Elem::I32,
            shape: vec![size("B"), size("T")],
            default: None,
            advance: Some(Advance::Token),
            below: None,
        }],
        states: vec![State {
            name: "k".to_string(),
            elem: Elem::F16,
            shape: vec![size("B"), size("C"), size("4")],
            kind: StateKind::Appended { axis: 1, ring: None },
        }],
        entries: vec![Entry {
            name: "forward".to_string(),
            role: EntryRole::Tensors,
            bind: BTreeMap::new(),
            inputs: vec![0],
            outputs: vec![Output { name: "y".to_string(), elem: Elem::F32, shape: vec![size("B*T")] }],
            task: None,
            states: vec![0],
            components: vec![0],
        }],
        tensors: vec![],
        shards: vec![],
        components: vec![],
        files: BTreeMap::new(),
        profiles: vec!["native".to_string()],
    }
}

fn programs() -> Programs {
    let variant = |requires: &[&str]| Variant {
        requires: requires.iter().map(|r| r.to_string()).collect(),
        file: "shaders/native/copy.wgsl".to_string(),
    };
    Programs {
        kernels: vec![Kernel {
            name: "copy".to_string(),
            writes: vec![false, true],
            variants: vec![variant(&["subgroups"]), variant(&[])],
        }],
        programs: BTreeMap::from([(
            "forward".to_string(),
            Program {
                slots: vec![size("4*B*T")],
                steps: vec![Step {
                    nodes: "y".to_string(),
                    dispatches: vec![Dispatch {
                        kernel: 0,
                        grid: size("ceil_div(B*T, 64)"),
                        bind: vec![Binding::Tensor(0), Binding::Output(0)],
                    }],
                    fallback: vec![Dispatch {
                        kernel: 0,
                        grid: size("B*T"),
                        bind: vec![Binding::Output(0), Binding::Tensor(0)],
                    }],
                }],
            },
        )]),
        fallbacks: vec![Kernel {
            name: "copy".to_string(),
            writes: vec![true, false],
            variants: vec![variant(&["threads"]), variant(&[])],
        }],
    }
}

/// Weights of lengths that do not fit any alignment, in tiny shards.
fn write(dir: &Path) -> Manifest {
    let mut w = BundleWriter::create(dir).unwrap();
    w.add("shaders/native/copy.wgsl", b"// nothing").unwrap();
    w.add_programs("native", &programs()).unwrap();
    let mut weights = w.weights(112).unwrap();
    weights.begin("a", &[3], "f32").unwrap();
    weights.put(vec![1; 12]).unwrap();
    assert_eq!(weights.end().unwrap(), 16);
    weights.begin("b", &[1000], "q8.g32").unwrap();
    for i in 0..10u8 {
        weights.put(vec![i; 101]).unwrap();
    }
    weights.begin("c", &[0], "f32").unwrap();
    weights.begin("d", &[1], "f32").unwrap();
    weights.put(vec![9; 4]).unwrap();
    w.adopt_weights(weights.finish().unwrap());
    w.finish(manifest()).unwrap()
}

/// A bundle whose weights all say which version it is.
fn write_version(dir: &Path, version: u8) -> Result<Manifest, Error> {
    let mut w = BundleWriter::create(dir)?;
    w.add("shaders/native/copy.wgsl", &[version; 100])?;
    w.add_programs("native", &programs())?;
    let mut weights = w.weights(112)?;
    weights.begin("a", &[300], "q8")?;
    for i in 0..300u16 {
        weights.put(vec![version ^ i as u8])?;
    }
    w.adopt_weights(weights.finish()?);
    w.finish(manifest())
}

/// Whoever has opened a bundle goes on with it, and whoever opens one finds one, while others are put in its place.
#[cfg(unix)]
#[test]
fn readers_are_not_disturbed_by_writers() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("bundle");
    write_version(&dir, 0).unwrap();
    let done = AtomicBool::new(false);
    let read = || {
        let mut rounds = 0;
        while !done.load(Ordering::Relaxed) || rounds < 200 {
            let bundle = Bundle::open(&dir).unwrap();
            let version = bundle.read("shaders/native/copy.wgsl").unwrap()[0];
            bundle.check_files().unwrap();
            let expected: Vec<u8> = (0..300u16).map(|i| version ^ i as u8).collect();
            assert_eq!(bundle.tensor(0).unwrap()[..300], expected);
            rounds += 1;
        }
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(read)).collect();
        let write = |half: u8| (0..60).try_for_each(|i| write_version(&dir, 2 * i + half).map(drop));
        let writers: Vec<_> = (0..2).map(|half| scope.spawn(move || write(half))).collect();
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        written.into_iter().for_each(|result| result.unwrap());
    });
    // What was still read when it was replaced goes with the next one.
    write_version(&dir, 7).unwrap();
    let left: Vec<_> = fs::read_dir(tmp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["bundle"]);
}

/// What a program that was killed has left behind goes with the next compilation, but not what others are writing.
#[test]
fn leftovers_are_removed() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("bundle");
    let dead = tmp.path().join(".bundle.tmp-999999-0");
    fs::create_dir_all(dead.join("weights")).unwrap();
    fs::write(dead.join(MANIFEST), "").unwrap();
    fs::write(dead.join("weights/unfinished"), "half").unwrap();
    let bare = tmp.path().join(".bundle.tmp-999999-1");
    fs::create_dir(&bare).unwrap();
    let other = tmp.path().join(".bundles.tmp-1-0");
    fs::create_dir_all(&other).unwrap();
    let writer = DirSink::create(&dir).unwrap();
    let second = DirSink::create(&dir).unwrap();
    assert!(!dead.exists() && !bare.exists() && other.exists());
    assert!(writer.dir().exists() && second.dir().exists() && writer.dir() != second.dir());
    drop((writer, second));
    assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_no_target() {
    let tmp = tempfile::tempdir().unwrap();
    let link = tmp.path().join("link");
    std::os::unix::fs::symlink("/nonexistent/x", &link).unwrap();
    let error = BundleWriter::create(&link).unwrap_err().to_string();
    assert!(error.contains("is a broken link"), "{error}");
    // A link to a bundle stays one.
    fs::remove_file(&link).unwrap();
    write(&tmp.path().join("bundle"));
    std::os::unix::fs::symlink("bundle", &link).unwrap();
    write(&link);
    assert!(link.is_symlink() && Bundle::open(&link).is_ok());
}

#[test]
fn weights_have_no_more_files_than_they_need() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("bundle");
    let mut manifest = write(&dir);
    let shard = manifest.shards[0].clone();
    manifest.shards.extend(vec![shard; 200_000]);
    manifest.components[0].shards = manifest.shards.len() as u32;
    let error = manifest.validate().unwrap_err().to_string();
    assert!(error.contains("but tensors need only"), "{error}");
}

#[test]
fn what_is_written_is_read_back() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("bundle");
    let written = write(&dir);
    let bundle = Bundle::open(&dir).unwrap();
    assert_eq!(*bundle.manifest(), written);
    assert_eq!(bundle.programs("native").unwrap(), programs());
    assert_eq!(bundle.tensor(0).unwrap(), [vec![1; 12], vec![0; 4]].concat());
    let b = bundle.tensor(1).unwrap();
    assert_eq!(b.len(), 1024);
    assert!((0..10).all(|i| b[i * 101..(i + 1) * 101].iter().all(|v| *v == i as u8)));
    assert!(bundle.tensor(2).unwrap().is_empty());
    assert_eq!(bundle.tensor(3).unwrap()[..4], [9; 4]);
    assert!(bundle.manifest().shards.iter().all(|s| s.bytes <= 112));
    // Equal shards are one file.
    let files = fs::read_dir(dir.join("weights")).unwrap().count();
    assert!(files < written.shards.len(), "{files} files");

    // The pieces of all shards are the tensors.
    let mut joined = vec![Vec::new(); 4];
    for (i, pieces) in bundle.manifest().pieces().into_iter().enumerate() {
        let shard = bundle.shard(i).unwrap();
        for p in pieces {
            assert_eq!(joined[p.tensor].len() as u64, p.offset);
            joined[p.tensor].extend_from_slice(&shard[p.range]);
        }
    }
    for (i, bytes) in joined.iter().enumerate() {
        assert_eq!(*bytes, bundle.tensor(i).unwrap());
    }
}

#[test]
fn output_is_deterministic_and_leaves_nothing_beside_it() {
    let tmp = tempfile::tempdir().unwrap();
    let (a, b) = (tmp.path().join("a"), tmp.path().join("b"));
    write(&a);
    write(&b);
    write(&b);
    for file in ["manifest.json", "programs/native.json"] {
        assert_eq!(fs::read(a.join(file)).unwrap(), fs::read(b.join(file)).unwrap());
    }
    {
        let mut dropped = BundleWriter::create(tmp.path().join("c")).unwrap();
        dropped.add("x", b"y").unwrap();
        let mut weights = dropped.weights(1 << 20).unwrap();
        weights.begin("t", &[1 << 20], "f32").unwrap();
        weights.put(vec![1; 4 << 20]).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(&tmp).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn only_bundles_are_replaced() {
    let tmp = tempfile::tempdir().unwrap();
    let refused = |path: &Path| BundleWriter::create(path).unwrap_err().to_string();
    fs::write(tmp.path().join("file"), "x").unwrap();
    assert!(refused(&tmp.path().join("file")).contains("not a directory"));
    let web = tmp.path().join("web");
    fs::create_dir(&web).unwrap();
    drop(BundleWriter::create(&web).unwrap());
    fs::write(web.join("manifest.json"), r#"{"name": "a web app", "icons": []}"#).unwrap();
    assert!(refused(&web).contains("other than a gristmill bundle"));
    // A bundle that fails at the end leaves the old one as it was.
    let good = tmp.path().join("good");
    let before = write(&good);
    let writer = BundleWriter::create(&good).unwrap();
    assert!(writer.finish(manifest()).is_err(), "the profile has no programs");
    assert_eq!(*Bundle::open(&good).unwrap().manifest(), before);
}

#[test]
fn damage_is_found() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("bundle");
    let m = write(&dir);
    let shard = dir.join(shard_path(&m.shards[0].sha256));
    let mut bytes = fs::read(&shard).unwrap();
    bytes[0] ^= 1;
    fs::write(&shard, &bytes).unwrap();
    let bundle = Bundle::open(&dir).unwrap();
    let text = bundle.tensor(0).unwrap_err().to_string();
    assert!(text.contains("expected SHA-256") && text.contains("damaged"), "{text}");
    fs::write(&shard, b"short").unwrap();
    assert!(bundle.tensor(0).unwrap_err().to_string().contains("expected 112 bytes, found 5"));
    fs::remove_file(&shard).unwrap();
    assert!(bundle.tensor(0).unwrap_err().to_string().contains("not in this bundle"));
    fs::write(dir.join("shaders/native/copy.wgsl"), "// nothinG").unwrap();
    assert!(matches!(bundle.read("shaders/native/copy.wgsl"), Err(Error::Integrity { .. })));
    assert!(matches!(bundle.read("../bundle/manifest.json"), Err(Error::Missing { .. })));
    assert!(matches!(bundle.programs("chrome"), Err(Error::Invalid { .. })));
    assert!(matches!(Bundle::open(tmp.path()), Err(Error::NotABundle { .. })));
}

/// A change to a manifest, and what the complaint must mention.
type Forgery = (fn(&mut Manifest), &'static str);

fn choice(place: u32, default: &str) -> Choice {
    let values = BTreeMap::from([("a".to_string(), 7)]);
    Choice { name: "language".to_string(), place, values, default: Some(default.to_string()) }
}

fn largest_file(m: &mut Manifest) -> &mut FileInfo {
    m.files.values_mut().max_by_key(|info| info.bytes).unwrap()
}

fn forward(p: &mut Programs) -> &mut Program {
    p.programs.get_mut("forward").unwrap()
}

#[test]
fn forged_manifests_are_refused() {
    let tmp = tempfile::tempdir().unwrap();
    let valid = write(&tmp.path().join("bundle"));
    let forgeries: &[Forgery] = &[
        (|m| m.format = 1, "format 1, but this gristmill reads format 2; compile the model again: `gristmill compile"),
        (|m| m.format = 3, "format 3, but this gristmill reads format 2; update gristmill"),
        (|m| m.tensors[1].offset = u64::MAX - 255, "tensor `b`"),
        (|m| m.tensors[1].offset = 1, "not aligned"),
        (|m| m.tensors[1].offset = 0, "overlaps tensor"),
        (|m| m.tensors[1].bytes = 1 << 40, "the weight stream has"),
        (|m| m.tensors[1].name = "a".into(), "occurs twice"),
        (|m| m.shards[0].bytes = 1 << 50, "expected a multiple of 16"),
        (|m| m.shards[0].sha256 = "../../etc/passwd".into(), "not a lower-case SHA-256"),
        (|m| m.entries[0].inputs = vec![7], "input 7"),
        (|m| m.entries[0].outputs[0].shape[0] = size("Q"), "`Q` is not a declared symbol"),
        (|m| m.states[0].shape[0] = size("T"), "`T` is not a declared symbol"),
        (
            |m| m.states[0].kind = StateKind::Appended { axis: 2, ring: None },
            "grows along axis 2, whose size is not `C`",
        ),
        (
            |m| m.states[0].kind = StateKind::Appended { axis: 3, ring: None },
            "grows along axis 3, whose size is not `C`",
        ),
        (|m| m.states[0].kind = ring(0, 4), "has a window of 0 in a ring of 4 rows"),
        (|m| m.states[0].kind = ring(5, 4), "has a window of 5 in a ring of 4 rows"),
        (|m| m.states[0].kind = ring(2, 4), "grows along axis 1, whose size is not `min(C, 4)`"),
        (|m| m.states[0].shape[0] = size("C"), "where it does not grow"),
        (|m| m.states[0].kind = StateKind::Overwritten, "where it does not grow"),
        (|m| m.states[0].kind = StateKind::Kept, "where it does not grow"),
        (|m| m.entries[0].states = vec![0, 0], "state 0 does not exist or occurs twice"),
        (|m| m.entries[0].states = vec![1], "state 1 does not exist or occurs twice"),
        (|m| m.symbols[0].min = 99, "min <= max"),
        (|m| m.symbols[0].name = "B-1".into(), "identifier"),
        (|m| m.profiles.push("x/../../y".into()), "is not in files"),
        (|m| m.model.prefill_chunk = 0, "must not be 0"),
        (|m| m.states = vec![m.states[0].clone(); 2_001], "2001 elements; at most 2000 are supported"),
        (|m| m.inputs = vec![m.inputs[0].clone(); 257], "257 elements; at most 256 are supported"),
        (|m| largest_file(m).bytes = 1 << 40, "1099511627776 bytes; at most"),
        (
            |m| m.model.choices = vec![choice(1, "a")],
            "place 1 is not after the previous one, or is beyond the start tokens",
        ),
        (
            |m| {
                m.model.decoder_start_tokens = vec![1, 2];
                m.model.choices = vec![choice(0, "a")];
            },
            "place 0",
        ),
        (
            |m| {
                m.model.decoder_start_tokens = vec![1, 2];
                m.model.choices = vec![choice(1, "other")];
            },
            "its default is not one of them",
        ),
        (
            |m| drop(m.files.insert("/etc/passwd".into(), m.files["programs/native.json"].clone())),
            "clean relative path",
        ),
        (|m| drop(m.files.insert("a/../b".into(), m.files["programs/native.json"].clone())), "clean relative path"),
        (|m| drop(m.files.insert("a\\b".into(), m.files["programs/native.json"].clone())), "clean relative path"),
    ];
    for (forge, complaint) in forgeries {
        let mut m = valid.clone();
        forge(&mut m);
        let text = m.validate().unwrap_err().to_string();
        assert!(text.contains(complaint), "{text}\n  should mention: {complaint}");
    }
    let unknown = serde_json::to_string(&valid).unwrap().replacen("\"format\":2", "\"format\":2,\"extra\":0", 1);
    assert!(parse_manifest(unknown.as_bytes()).unwrap_err().to_string().contains("unknown field `extra`"));
    let outputs = serde_json::to_string(&valid.entries[0].outputs[0].shape).unwrap();
    for (text, complaint) in [
        ("B +".to_string(), "size `B +`: expected a value, found the end"),
        (format!("{}B{}", "(".repeat(100), ")".repeat(100)), "is nested deeper than 32"),
        ("1+".repeat(600), "is longer than 1000 bytes"),
    ] {
        let bad = serde_json::to_string(&valid).unwrap().replace(&outputs, &format!("[{text:?}]"));
        let error = parse_manifest(bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(complaint) && error.contains("line 1"), "{error}\n  should mention: {complaint}");
    }
    for found in [1, 9] {
        let other = format!(r#"{{"format": {found}, "all": "else is unknown"}}"#);
        assert!(matches!(parse_manifest(other.as_bytes()), Err(Error::Format { found: n }) if n == found));
    }
}

/// A change to programs, and what the complaint must mention.
type ProgramForgery = (fn(&mut Programs), &'static str);

fn step(p: &mut Programs) -> &mut Step {
    &mut p.programs.get_mut("forward").unwrap().steps[0]
}

fn dispatch(p: &mut Programs) -> &mut Dispatch {
    &mut step(p).dispatches[0]
}

fn fallback(p: &mut Programs) -> &mut Dispatch {
    &mut step(p).fallback[0]
}

/// The step in two dispatches, the first of which hands a slot on; its fallback knows nothing of that.
fn in_two(p: &mut Programs) {
    let mut first = dispatch(p).clone();
    first.bind[1] = Binding::Slot(0);
    step(p).dispatches.insert(0, first);
    let (mut last, output) = (p.kernels[0].clone(), dispatch(p).clone());
    last.writes.insert(0, false);
    p.kernels.push(last);
    step(p).dispatches[1] =
        Dispatch { kernel: 1, bind: vec![Binding::Slot(0), Binding::Tensor(0), Binding::Output(0)], ..output };
}

#[test]
fn forged_programs_are_refused() {
    let tmp = tempfile::tempdir().unwrap();
    let m = write(&tmp.path().join("bundle"));
    let forgeries: &[ProgramForgery] = &[
        (|p| dispatch(p).kernel = 5, "kernel 5 does not exist"),
        (|p| dispatch(p).bind.truncate(1), "binds 2 buffers, found 1"),
        (|p| dispatch(p).bind[0] = Binding::Tensor(99), "Tensor(99), does not exist"),
        (|p| dispatch(p).bind[1] = Binding::Tensor(1), "is read-only, but written"),
        (|p| dispatch(p).bind = vec![Binding::Slot(0); 2], "bound twice and written"),
        (|p| dispatch(p).grid = size("nope"), "`nope` is not a declared symbol"),
        (|p| step(p).dispatches.clear(), "no dispatches"),
        (|p| step(p).dispatches = vec![dispatch(p).clone(); 20_001], "dispatches: 20001 elements"),
        (|p| p.kernels[0].variants.truncate(1), "require nothing"),
        (|p| p.kernels[0].variants[1].file = "other.wgsl".into(), "not in the manifest"),
        (
            |p| forward(p).steps = vec![forward(p).steps[0].clone(); 20_001],
            "steps: 20001 elements; at most 20000 are supported",
        ),
        (|p| forward(p).slots = vec![size("1"); 20_001], "slots: 20001 elements; at most 20000 are supported"),
        (|p| p.programs.clear(), "no program for entry `forward`"),
        (|p| fallback(p).kernel = 1, "fallback: kernel 1 does not exist"),
        (|p| p.fallbacks.clear(), "fallback: kernel 0 does not exist"),
        (|p| fallback(p).bind.truncate(1), "binds 2 buffers, found 1"),
        (|p| fallback(p).bind[1] = Binding::Tensor(99), "Tensor(99), does not exist"),
        (|p| fallback(p).bind[1] = Binding::Input(0), "Input(0) is not bound by the step"),
        (|p| fallback(p).bind.reverse(), "is read-only, but written"),
        (|p| p.fallbacks[0].writes[0] = false, "write different buffers"),
        (
            |p| {
                in_two(p);
                step(p).dispatches.swap(0, 1);
            },
            "write different buffers: Slot(0)",
        ),
        (|p| fallback(p).grid = size("nope"), "`nope` is not a declared symbol"),
        (|p| p.fallbacks[0].variants.truncate(1), "require nothing"),
        (|p| p.fallbacks[0].variants[0].file = "wasm/other.wasm".into(), "not in the manifest"),
    ];
    let mut handing = programs();
    in_two(&mut handing);
    handing.validate(&m, "programs/native.json").unwrap();
    for (forge, complaint) in forgeries {
        let mut p = programs();
        forge(&mut p);
        let text = p.validate(&m, "programs/native.json").unwrap_err().to_string();
        assert!(text.contains(complaint), "{text}\n  should mention: {complaint}");
    }
}

/// A valid manifest and its programs as JSON.
fn texts() -> (String, String) {
    let tmp = tempfile::tempdir().unwrap();
    let m = write(&tmp.path().join("bundle"));
    (serde_json::to_string(&m).unwrap(), serde_json::to_string(&programs()).unwrap())
}

proptest! {
    #[test]
    fn raw_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_manifest(&bytes);
        let _ = serde_json::from_slice::<Programs>(&bytes);
    }
}

#[test]
fn mutated_manifests_never_panic() {
    let (manifest_text, programs_text) = texts();
    let valid: Manifest = serde_json::from_str(&manifest_text).unwrap();
    let snippets =
        ["0", "-1", "4294967296", "18446744073709551615", "\"T\"", "\"\"", "[]", "{}", "null", "\"..\"", "9e99"];
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (any::<proptest::sample::Index>(), 0usize..4, 0..snippets.len(), any::<bool>());
    runner
        .run(&strategy, |(at, cut, snippet, in_manifest)| {
            let text = if in_manifest { &manifest_text } else { &programs_text };
            // Replace the value after some `:` or `,`, which keeps most of the text parseable.
            let marks: Vec<usize> = text.match_indices([':', ',', '[']).map(|(i, _)| i + 1).collect();
            let from = marks[at.index(marks.len())];
            let end = text[from..].find([',', '}', ']']).map_or(text.len(), |n| from + n);
            let end = (end + cut / 3).min(text.len());
            let mutated = format!("{}{}{}", &text[..from], snippets[snippet], &text[end..]);
            if in_manifest {
                if let Ok(m) = parse_manifest(mutated.as_bytes()) {
                    m.pieces();
                }
            } else if let Ok(p) = serde_json::from_str::<Programs>(&mutated) {
                let _ = p.validate(&valid, "programs/native.json");
            }
            Ok(())
        })
        .unwrap();
}

/// Three components in shards of 112 bytes; the second one is empty but for a tensor without elements.
fn write_components(dir: &Path) -> Manifest {
    let mut w = BundleWriter::create(dir).unwrap();
    w.add("shaders/native/copy.wgsl", b"// nothing").unwrap();
    w.add_programs("native", &programs()).unwrap();
    let mut weights = w.weights(112).unwrap();
    for (name, bytes) in [("first", 300), ("empty", 0), ("last", 20)] {
        weights.component(name).unwrap();
        weights.begin(name, &[bytes], "f32").unwrap();
        weights.put(vec![7; bytes as usize]).unwrap();
    }
    w.adopt_weights(weights.finish().unwrap());
    let mut manifest = manifest();
    manifest.entries[0].components = vec![0, 2];
    w.finish(manifest).unwrap()
}

#[test]
fn components_have_shards_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("bundle");
    let manifest = write_components(&target);
    let shares: Vec<_> = manifest.components.iter().map(|c| (c.name.as_str(), c.tensors, c.shards)).collect();
    // 300 bytes are padded to 512, where the next tensor can begin.
    assert_eq!(shares, [("first", 1, 5), ("empty", 1, 0), ("last", 1, 1)]);
    assert_eq!(manifest.tensors.iter().map(|t| t.bytes).collect::<Vec<_>>(), [304, 0, 32]);
    let spans = manifest.component_spans();
    assert_eq!(spans.iter().map(|s| s.bytes.clone()).collect::<Vec<_>>(), [0..512, 512..512, 512..544]);
    assert_eq!((spans[2].tensors.clone(), spans[2].shards.clone()), (2..3, 5..6));
    let bundle = Bundle::open(&target).unwrap();
    assert_eq!(bundle.tensor(2).unwrap()[..20], [7; 20]);
}

#[test]
fn components_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = write_components(&dir.path().join("bundle"));
    let fault = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        manifest.validate().unwrap_err().to_string()
    };
    good.validate().unwrap();
    assert!(fault(&|m| m.components[0].shards = 4).contains("have 3 tensors and 5 shards of 3 and 6"));
    assert!(fault(&|m| m.components[0].tensors = u32::MAX).contains("tensors and 6 shards of 3 and 6"));
    let moved = |m: &mut Manifest| (m.components[0].shards, m.components[2].shards) = (2, 4);
    assert!(fault(&moved).contains("tensor `first` is not in its shards"));
    assert!(fault(&|m| m.components.clear()).contains("have 0 tensors"));
    assert!(fault(&|m| m.components[1].name = "first".to_string()).contains("not unique"));
    assert!(fault(&|m| m.components[1].name.clear()).contains("is empty"));
    assert!(fault(&|m| m.entries[0].components = vec![3]).contains("components that do not exist"));
    assert!(fault(&|m| m.entries[0].components = vec![2, 0]).contains("not in order"));
}
