//! Models by name in a cache with the layout of the Hub's.

use std::path::{Path, PathBuf};

use crate::common::{Place, Ran, stories};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// A snapshot of the shipped model: links to blobs, as the Hub's client makes them.
fn snapshot(cache: &Path, commit: &str) -> PathBuf {
    let repository = cache.join("models--mill--stories");
    let (blobs, snapshot) = (repository.join("blobs"), repository.join("snapshots").join(commit));
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::create_dir_all(&snapshot).unwrap();
    for entry in std::fs::read_dir(stories()).unwrap().flatten().filter(|e| e.path().is_file()) {
        let blob = blobs.join(format!("blob-of-{}", entry.file_name().display()));
        std::fs::copy(entry.path(), &blob).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&blob, snapshot.join(entry.file_name())).unwrap();
        #[cfg(not(unix))]
        std::fs::copy(&blob, snapshot.join(entry.file_name())).unwrap();
    }
    snapshot
}

fn main_is(cache: &Path, commit: &str) {
    let refs = cache.join("models--mill--stories/refs");
    std::fs::create_dir_all(&refs).unwrap();
    std::fs::write(refs.join("main"), commit).unwrap();
}

/// Compiles with the cache of the test, independent of the machine's environment.
fn compile(place: &Place, model: &str, more: &[&str]) -> Ran {
    let args = [&["compile", model, "-o", "bundle", "--target", "native", "--precision", "f32"][..], more].concat();
    run(place, &args)
}

fn run(place: &Place, args: &[&str]) -> Ran {
    place.run(args)
}

fn cache(place: &Place) -> PathBuf {
    place.at("cache/huggingface/hub")
}

#[test]
fn a_snapshot_is_found_and_its_revision_is_said() {
    let place = Place::new();
    let cache = cache(&place);
    snapshot(&cache, COMMIT);
    let only = compile(&place, "mill/stories", &[]);
    assert!(only.stderr.contains(&format!("mill/stories: revision {COMMIT} (the only one)")), "{}", only.stderr);
    only.ok();
    let manifest = std::fs::read_to_string(place.at("bundle/manifest.json")).unwrap();
    assert!(
        manifest.contains("\"name\":\"stories\"") || manifest.contains("\"name\": \"stories\""),
        "the commit is no name"
    );

    snapshot(&cache, OTHER);
    compile(&place, "mill/stories", &[]).fails(2, &["no refs/main", COMMIT, OTHER, "--revision"]);
    main_is(&cache, OTHER);
    let check = |model: &str, more: &[&str], what: &str| {
        let ran = compile(&place, model, more);
        assert!(ran.stderr.contains(what), "{}", ran.stderr);
        ran.ok();
    };
    check("mill/stories", &[], &format!("revision {OTHER} (main)"));
    check("mill/stories@0123456", &[], &format!("revision {COMMIT} (as requested)"));
    check("mill/stories", &["--revision", COMMIT], &format!("revision {COMMIT} (as requested)"));
    compile(&place, "mill/stories@v2", &[])
        .fails(2, &["no revision v2", COMMIT, "hf download mill/stories --revision v2"]);
    compile(&place, "mill/stories@v2", &["--revision", "v3"]).fails(2, &["two revisions"]);
    compile(&place, "mill/stories", &["--revision", "../../x"]).fails(2, &["not a branch, tag or commit"]);

    let told = ["run", "mill/stories", "--prompt", "Once", "--backend", "reference", "--max-new-tokens", "4"];
    let ran = run(&place, &told);
    assert!(ran.stderr.contains(&format!("revision {OTHER} (main)")), "{}", ran.stderr);
    ran.ok();
    // An existing path takes precedence.
    std::fs::create_dir_all(place.at("mill/stories")).unwrap();
    compile(&place, "mill/stories", &[]).fails(2, &["mill/stories/config.json: not found"]);
    compile(&place, "mill/stories", &["--revision", "main"]).fails(2, &["needs the name of a model on the Hub"]);
}

#[test]
fn what_is_not_there_is_said_with_the_place_and_the_remedy() {
    let place = Place::new();
    let cache = cache(&place);
    let folder = cache.join("models--mill--stories").display().to_string();
    let how = if cfg!(feature = "download") { "unset HF_HUB_OFFLINE" } else { "with the feature `download`" };
    compile(&place, "mill/stories", &[]).fails(2, &[&folder, "hf download mill/stories", how]);
    for (name, home) in [("HF_HUB_CACHE", "x"), ("HF_HOME", "x")] {
        let inside = if name == "HF_HOME" { "x/hub/models--mill--stories" } else { "x/models--mill--stories" };
        place.run_with(&["compile", "mill/stories", "-o", "b"], &[(name, home)]).fails(2, &[inside, "hf download"]);
    }
    let path = snapshot(&cache, COMMIT);
    main_is(&cache, OTHER);
    compile(&place, "mill/stories", &[]).fails(2, &[&format!("main is revision {OTHER}"), "hf download"]);
    main_is(&cache, "../../../x");
    compile(&place, "mill/stories", &[]).fails(2, &["refs/main: does not contain a commit hash"]);
    main_is(&cache, COMMIT);
    std::fs::remove_file(path.join("model.safetensors")).unwrap();
    compile(&place, "mill/stories", &[])
        .fails(2, &[&path.display().to_string(), "no weights", "hf download mill/stories"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../../blobs/none", path.join("model.safetensors")).unwrap();
        compile(&place, "mill/stories", &[]).fails(2, &["model.safetensors is broken", "hf download"]);
        std::fs::remove_file(path.join("model.safetensors")).unwrap();
    }
    std::fs::remove_file(path.join("config.json")).unwrap();
    compile(&place, "mill/stories", &[]).fails(2, &["no config.json", "hf download mill/stories"]);
    // Repositories of GGUF files contain nothing else.
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/gguf/qwen2.gguf");
    std::fs::copy(&fixture, path.join("one.gguf")).unwrap();
    compile(&place, "mill/stories", &[]).ok();
    std::fs::copy(&fixture, path.join("two.gguf")).unwrap();
    compile(&place, "mill/stories", &[]).fails(2, &["several models", "one.gguf", "two.gguf"]);
}
