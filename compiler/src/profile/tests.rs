//! Loading profiles by name and by path, and messages about invalid ones.

use std::path::Path;

use super::{parse, read, shipped, shipped_names, targets};

const CHROME: &str = include_str!("../../profiles/chrome.ron");
const WASM: &str = include_str!("../../profiles/wasm.ron");

/// A profile with a part replaced.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn shipped_profiles_are_valid() {
    for name in shipped_names() {
        assert_eq!(shipped(name).expect("valid").name, name);
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let chrome = [
        ("browser: true", "browsr: true", "did you mean `browser`?"),
        ("map: (threads: 64)", "map: (thread: 64)", "did you mean `threads`?"),
        ("k_splits: 4", "k_splits: 3", "`schedule.matvec.k_splits` is 3; expected a power of two from 1 to 1024"),
        ("k_splits: 4", "k_splits: 16", "makes workgroups of 512 threads, but `limits.workgroup_size` is 256"),
        ("k_splits: 4", "k_splits: 2147483648", "`schedule.matvec.k_splits` is 2147483648"),
        ("k_splits: 4", "k_splits: 5000000000", "Integer is out of bounds"),
        ("k_splits: 4", "k_splits: -4", "k_splits: -4"),
        ("k_splits: 4, ", "", "k_splits"),
        ("tile_m: 32", "tile_m: 8", "`schedule.matmul.tile_m` is 8; expected a power of two from 16 to 64"),
        ("tile_n: 32", "tile_n: 48", "`schedule.matmul.tile_n` is 48"),
        ("tile_k: 64", "tile_k: 0", "`schedule.matmul.tile_k` is 0; expected a multiple of 16 up to 1024"),
        (
            "tile_k: 64",
            "tile_k: 80",
            "`schedule.matmul.tile_k` makes tiles of 20480 bytes, but `limits.shared_bytes` is",
        ),
        ("thread_m: 4", "thread_m: 16", "`schedule.matmul.thread_m` is 16; expected a power of two from 1 to 8"),
        ("thread_n: 4", "thread_n: 1", "`schedule.matmul.thread_n` is 1; expected a power of two from 2 to 4"),
        ("workgroup_size: 256", "workgroup_size: 32", "`schedule.matmul.tile_m` makes workgroups of 64 threads"),
        ("min_rows: 8", "min_rows: 0", "`schedule.matmul.min_rows` is 0"),
        ("queries: 4", "queries: 8", "`schedule.attention.queries` is 8; expected a power of two from 1 to 4"),
        ("queries: 4", "queries: 4, parts: 0", "`schedule.attention.parts` is 0; expected 1 to 256"),
        ("storage_buffers: 8", "storage_buffers: 1", "`limits.storage_buffers` is 1; expected 4 to 1024"),
        ("workgroup_size: 256", "workgroup_size: 0", "`limits.workgroup_size` is 0; expected 1 to 1024"),
        ("shared_bytes: 16384", "shared_bytes: 0", "`limits.shared_bytes` is 0"),
        ("binding_bytes: 134217728", "binding_bytes: 0", "`limits.binding_bytes` is 0"),
        ("launch_us: 5.0", "launch_us: 0.0", "`cost.launch_us` is 0; expected a number above 0"),
        ("launch_us: 5.0", "launch_us: inf", "`cost.launch_us` is inf"),
        ("launch_us: 5.0, ", "", "launch_us"),
        ("max_operands: 7", "max_operands: 1", "`cost.max_operands` is 1"),
        ("\"T\": 64", "\"T\": -1", "`cost.nominal` has -1 for T; expected 0 to 1048576"),
        ("nominal_of_others: 64", "nominal_of_others: -64", "has -64 for all other symbols"),
        ("variants: [(subgroups: true)]", "variants: [()]", "`variants` has one without requirements"),
        ("variants: [", "variants: [(subgroups: true), ", "`variants` has duplicates"),
        ("packed_bytes: true", "packed_bytes: true, byte_activations: true", "only kernels for the CPU multiply bytes"),
        ("browser: true", "browser: true, language: Glsl", "Glsl"),
        ("name: \"chrome\"", "name: \"../chrome\"", "must be usable in paths of the bundle"),
        ("name: \"chrome\"", "name: \"\"", "must be usable in paths of the bundle"),
        ("name: \"chrome\"", "name: \"all\"", "which is reserved"),
        ("name: \"chrome\"", "name: \"com1\"", "which is reserved"),
        ("name: \"chrome\"", "name: \"wasm\"", "`name` is `wasm`, but `language` is Wgsl"),
    ];
    let wasm = [
        ("name: \"wasm\"", "name: \"server\"", "runtimes find the programs for the CPU by the name `wasm`"),
        ("reduce: (threads: 1)", "reduce: (threads: 2)", "`schedule.reduce.threads` is 2; expected 1 for a CPU"),
        ("rows: 16", "rows: 2", "`schedule.matvec.rows` is 2; expected a multiple of 4"),
        (" rows_together: 8,", "", "`schedule.matmul.rows_together` is 0; expected 1 to 16"),
        ("tile: 64", "tile: 6", "`schedule.attention.tile` is 6; expected a multiple of 4"),
        ("quads: 2", "quads: 0", "`schedule.attention.quads` is 0"),
    ];
    let all = chrome.into_iter().map(|case| (CHROME, case)).chain(wasm.into_iter().map(|case| (WASM, case)));
    for (text, (from, to, words)) in all {
        let found = parse("my.ron", &changed(text, from, to)).expect_err(to).to_string();
        assert!(found.contains(words), "{to}: {found} does not say {words}");
        assert!(found.contains("--> my.ron:"), "{to}: {found}");
    }
}

#[test]
fn all_is_said_at_once() {
    let found =
        parse("my.ron", &changed(CHROME, "k_splits: 4, rows: 4", "k_splits: 3, rows: 5")).expect_err("two faults");
    let expected = "\
error: `schedule.matvec.k_splits` is 3; expected a power of two from 1 to 1024
  --> my.ron:11:28
   |
11 |         matvec: (k_splits: 3, rows: 5, lanes: 16),
   |                            ^

error: `schedule.matvec.rows` is 5; expected a power of two from 1 to 1024
  --> my.ron:11:37
   |
11 |         matvec: (k_splits: 3, rows: 5, lanes: 16),
   |                                     ^
";
    assert_eq!(found.to_string(), expected);
}

#[test]
fn targets_are_names_and_paths() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let mine = file("mine.ron", &changed(CHROME, "name: \"chrome\"", "name: \"my-phone\""));
    let chrome = file("chrome.ron", &changed(CHROME, "launch_us: 5.0", "launch_us: 7.0"));
    let names = |asked: &[&str]| -> Result<Vec<String>, String> {
        let asked: Vec<String> = asked.iter().map(|target| target.to_string()).collect();
        let found = targets(&asked).map_err(|e| e.to_string())?;
        Ok(found.into_iter().map(|profile| profile.name).collect())
    };
    assert_eq!(names(&[]).expect("all"), shipped_names().collect::<Vec<_>>());
    assert_eq!(names(&[&mine, "wasm", "edge"]).expect("three"), ["edge", "wasm", "my-phone"]);
    assert_eq!(names(&["all", &mine]).expect("all and one").len(), 7);
    assert_eq!(names(&[&chrome, "wasm"]).expect("in place of a shipped one"), ["wasm", "chrome"]);
    for asked in [[chrome.as_str(), "chrome"], ["all", &chrome], [&mine, &mine]] {
        let found = names(&asked).expect_err("one name twice");
        assert!(found.contains("rename the profile"), "{found}");
    }
    let found = names(&["crome"]).expect_err("no target");
    assert!(found.contains("unknown target `crome`; did you mean `chrome`?") && found.contains("edge"), "{found}");
    let found = names(&["missing.ron"]).expect_err("no file");
    assert!(found.starts_with("missing.ron: "), "{found}");
    assert_eq!(read(Path::new(&mine)).expect("a profile").name, "my-phone");
}
