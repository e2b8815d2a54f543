//! Downloading models from a test server by their name on the Hub.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::{Place, Ran, load, save, stories};
use crate::hub_server::{Fault, Host, Hub, Manners, Seen, git_hash};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba98";
const TOKEN: &str = "hf_secret";
const WEIGHTS: &str = "model.safetensors";

/// A hub with the shipped model, and with files that no compilation needs.
fn hub() -> Hub {
    let hub = Hub::new("mill/stories", COMMIT);
    for entry in std::fs::read_dir(stories()).unwrap().flatten().filter(|e| e.path().is_file()) {
        hub.file(entry.file_name().to_str().unwrap(), &std::fs::read(entry.path()).unwrap());
    }
    for unneeded in ["pytorch_model.bin", "onnx/config.json", "image.png", "trainer_state.json", "model.onnx"] {
        hub.file(unneeded, b"nobody needs this");
    }
    hub
}

/// Runs the binary with this hub, independent of the machine's environment.
fn run(place: &Place, hub: &Hub, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let url = hub.url();
    let all = [&[("HF_ENDPOINT", url.as_str()), ("HF_HUB_OFFLINE", ""), ("NO_PROXY", "*")][..], env].concat();
    place.run_with(args, &all)
}

fn compile(place: &Place, hub: &Hub, model: &str, env: &[(&str, &str)]) -> Ran {
    run(place, hub, &["compile", model, "-o", "bundle", "--target", "native", "--precision", "f32"], env)
}

fn folder(place: &Place) -> PathBuf {
    place.at("cache/huggingface/hub/models--mill--stories")
}

fn weights() -> Vec<u8> {
    std::fs::read(stories().join(WEIGHTS)).unwrap()
}

fn blob(place: &Place, content: &[u8]) -> PathBuf {
    folder(place).join("blobs").join(gristmill_bundle::sha256_hex(content))
}

fn incomplete(place: &Place) -> PathBuf {
    blob(place, &weights()).with_extension("incomplete")
}

/// How many bytes of large files were sent, and which ranges were requested.
fn from_cdn(seen: &[Seen]) -> (usize, Vec<Option<String>>) {
    let all: Vec<&Seen> = seen.iter().filter(|s| s.host == Host::Cdn && s.method == "GET").collect();
    (all.iter().map(|s| s.sent).sum(), all.iter().map(|s| s.range.clone()).collect())
}

#[test]
fn what_is_needed_arrives_in_the_layout_of_the_cache_and_the_token_goes_to_the_hub_only() {
    let (place, hub) = (Place::new(), hub());
    let ran = compile(&place, &hub, "mill/stories", &[("HF_TOKEN", TOKEN)]);
    for text in [&format!("revision {COMMIT} (main)"), "downloading mill/stories into", "downloaded 5 files, 1.0"] {
        assert!(ran.stderr.contains(text), "`{text}` is not in {}", ran.stderr);
    }
    assert!(!ran.stderr.contains(TOKEN), "{}", ran.stderr);
    ran.ok();

    let seen = hub.seen();
    let of = |host: Host| seen.iter().filter(move |s| s.host == host);
    assert!(of(Host::Hub).all(|s| s.token.as_deref() == Some("Bearer hf_secret")), "{seen:?}");
    assert!(of(Host::Cdn).count() > 0 && of(Host::Cdn).all(|s| s.token.is_none()), "{seen:?}");
    let got: BTreeSet<&str> =
        seen.iter().filter(|s| s.method == "GET").filter_map(|s| s.path.rsplit('/').next()).collect();
    let expected =
        ["main?blobs=true", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"];
    let expected: BTreeSet<&str> = expected.into_iter().chain(["model.safetensors?signature=x%2Fy"]).collect();
    assert_eq!(got, expected);

    assert_eq!(std::fs::read_to_string(folder(&place).join("refs/main")).unwrap(), COMMIT);
    let snapshot = folder(&place).join("snapshots").join(COMMIT);
    let config = std::fs::read(stories().join("config.json")).unwrap();
    #[cfg(unix)]
    {
        let link = |name: &str| std::fs::read_link(snapshot.join(name)).unwrap();
        assert_eq!(link("config.json"), Path::new("../../blobs").join(git_hash(&config)));
        assert_eq!(link(WEIGHTS), Path::new("../../blobs").join(gristmill_bundle::sha256_hex(&weights())));
    }
    assert_eq!(std::fs::read(snapshot.join("config.json")).unwrap(), config);
    assert_eq!(std::fs::read(snapshot.join(WEIGHTS)).unwrap(), weights());

    // Once cached, a branch costs one request, and a commit or HF_HUB_OFFLINE none.
    compile(&place, &hub, "mill/stories", &[]).ok();
    assert_eq!(hub.seen().len(), 1);
    compile(&place, &hub, &format!("mill/stories@{COMMIT}"), &[]).ok();
    compile(&place, &hub, "mill/stories@0123456", &[]).ok();
    compile(&place, &hub, "mill/stories", &[("HF_HUB_OFFLINE", "1")]).ok();
    assert_eq!(hub.seen().len(), 0);
}

#[test]
fn a_branch_that_moved_brings_only_what_changed() {
    let (place, hub) = (Place::new(), hub());
    compile(&place, &hub, "mill/stories", &[]).ok();
    hub.seen();
    hub.revision("main", OTHER);
    hub.file("generation_config.json", br#"{"eos_token_id": 1}"#);
    let ran = compile(&place, &hub, "mill/stories", &[]);
    assert!(ran.stderr.contains(&format!("revision {OTHER} (main)")), "{}", ran.stderr);
    ran.ok();
    let gets: Vec<String> =
        hub.seen().iter().filter(|s| s.method == "GET" && s.path.contains("resolve")).map(|s| s.path.clone()).collect();
    assert_eq!(gets, [format!("/mill/stories/resolve/{OTHER}/generation_config.json")]);
    assert_eq!(std::fs::read_to_string(folder(&place).join("refs/main")).unwrap(), OTHER);
    // A branch with a slash, and the old commit, which is still cached.
    hub.revision("refs/pr/1", OTHER);
    compile(&place, &hub, "mill/stories@refs/pr/1", &[]).ok();
    hub.seen();
    compile(&place, &hub, &format!("mill/stories@{COMMIT}"), &[]).ok();
    assert_eq!(hub.seen().len(), 0);

    // Without the server, the cache is used, with a message.
    for status in [503, 429] {
        hub.manners(Manners { status: Some(status), ..Manners::default() });
        let ran = compile(&place, &hub, "mill/stories", &[]);
        assert!(
            ran.stderr.contains("failed with status") && ran.stderr.contains("may not be the newest"),
            "{}",
            ran.stderr
        );
        ran.ok();
    }
    let closed = "http://127.0.0.1:1";
    let ran = compile(&place, &hub, "mill/stories", &[("HF_ENDPOINT", closed)]);
    assert!(ran.stderr.contains("cannot be reached") && ran.stderr.contains("may not be the newest"), "{}", ran.stderr);
    ran.ok();
    hub.manners(Manners { status: Some(401), ..Manners::default() });
    compile(&place, &hub, "mill/stories", &[]).fails(3, &["HF_TOKEN", "HF_HUB_OFFLINE=1 uses"]);
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    const FIRST: usize = 300_000;
    let all = weights().len();
    // Within one command.
    let (place, hub) = (Place::new(), hub());
    hub.faults(&[Fault::Cut(FIRST)]);
    compile(&place, &hub, "mill/stories", &[]).ok();
    assert_eq!(from_cdn(&hub.seen()), (all, vec![None, Some(format!("bytes={FIRST}-"))]));

    // In the next command. Meanwhile nothing of the partial download looks complete.
    let place = Place::new();
    hub.faults(&[&[Fault::Cut(FIRST)][..], &[Fault::Cut(0); 20]].concat());
    let cut = compile(&place, &hub, "mill/stories", &[]);
    cut.fails(3, &["mill/stories/model.safetensors", "stopped after 293.0 KiB of 1020.5 KiB", "resumes"]);
    assert_eq!(std::fs::metadata(incomplete(&place)).unwrap().len(), FIRST as u64);
    assert!(!folder(&place).join("refs/main").exists());
    hub.faults(&[]);
    compile(&place, &hub, "mill/stories", &[("HF_HUB_OFFLINE", "1")]).fails(2, &["no weights", "HF_HUB_OFFLINE"]);
    hub.seen();
    compile(&place, &hub, "mill/stories", &[]).ok();
    assert_eq!(from_cdn(&hub.seen()), (all - FIRST, vec![Some(format!("bytes={FIRST}-"))]));
    assert!(!incomplete(&place).exists());

    // A server that ignores the range, and one with fewer bytes than were downloaded.
    let place = Place::new();
    std::fs::create_dir_all(folder(&place).join("blobs")).unwrap();
    std::fs::write(incomplete(&place), &weights()[..FIRST]).unwrap();
    hub.faults(&[Fault::Whole]);
    compile(&place, &hub, "mill/stories", &[]).ok();
    assert_eq!(from_cdn(&hub.seen()), (all, vec![Some(format!("bytes={FIRST}-"))]));
    assert_eq!(std::fs::read(blob(&place, &weights())).unwrap(), weights());
}

#[cfg(unix)]
#[test]
fn a_program_that_is_ended_leaves_what_has_arrived() {
    const FIRST: usize = 300_000;
    let (place, hub) = (Place::new(), hub());
    hub.faults(&[Fault::Stall(FIRST)]);
    let mut command = place.command(&["compile", "mill/stories", "-o", "bundle", "--target", "native"]);
    command.env("HF_ENDPOINT", hub.url()).env("HF_HUB_OFFLINE", "").env("NO_PROXY", "*");
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while std::fs::metadata(incomplete(&place)).map_or(0, |m| m.len()) < FIRST as u64 {
        assert!(Instant::now() < until, "nothing arrives");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Like Ctrl-C; but background jobs of a shell may ignore SIGINT.
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{status:?}");
    hub.seen();
    compile(&place, &hub, "mill/stories", &[]).ok();
    assert_eq!(from_cdn(&hub.seen()).1, [Some(format!("bytes={FIRST}-"))]);
}

#[cfg(unix)]
#[test]
fn another_program_that_downloads_is_waited_for() {
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::{MetadataExt, symlink};

    let (place, hub) = (Place::new(), hub());
    let name = gristmill_bundle::sha256_hex(&weights());
    let locks = place.at("cache/huggingface/hub/.locks/models--mill--stories");
    std::fs::create_dir_all(&locks).unwrap();
    let lock = std::fs::File::create(locks.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let mut command = place.command(&["compile", "mill/stories", "-o", "bundle", "--target", "native"]);
    command.env("HF_ENDPOINT", hub.url()).env("HF_HUB_OFFLINE", "").env("NO_PROXY", "*");
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("waiting for another process that is downloading model.safetensors")));
    // The other process completes the blob and uses it at once.
    std::fs::write(blob(&place, &weights()), weights()).unwrap();
    let link = folder(&place).join("snapshots").join(COMMIT).join(WEIGHTS);
    symlink(format!("../../blobs/{name}"), &link).unwrap();
    let made = || link.symlink_metadata().map(|m| (m.ino(), m.mtime(), m.mtime_nsec())).unwrap();
    let before = made();
    drop(lock);
    let rest: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success(), "{rest:?}");
    assert_eq!(made(), before, "the link was made anew while it was in use");
    assert_eq!(from_cdn(&hub.seen()).0, 0);
}

#[test]
fn what_is_damaged_is_not_kept() {
    let (place, hub) = (Place::new(), hub());
    hub.faults(&[Fault::Damage]);
    compile(&place, &hub, "mill/stories", &[]).fails(3, &["model.safetensors", "another SHA-256", "try again"]);
    assert!(!incomplete(&place).exists() && !blob(&place, &weights()).exists());
    // A partial file of something else is detected, too.
    std::fs::write(incomplete(&place), vec![7; 1000]).unwrap();
    hub.seen();
    let ran = compile(&place, &hub, "mill/stories", &[]);
    assert!(ran.stderr.contains("does not match; downloading it again"), "{}", ran.stderr);
    ran.ok();
    assert_eq!(from_cdn(&hub.seen()).1, [Some("bytes=1000-".to_string()), None]);
    assert_eq!(std::fs::read(blob(&place, &weights())).unwrap(), weights());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said() {
    let (place, hub) = (Place::new(), hub());
    std::fs::create_dir_all(folder(&place).join("blobs")).unwrap();
    std::os::unix::fs::symlink("/dev/full", incomplete(&place)).unwrap();
    compile(&place, &hub, "mill/stories", &[]).fails(3, &["No space left", "free some space", "HF_HUB_CACHE"]);
}

#[test]
fn refusals_say_what_to_do() {
    let (place, hub) = (Place::new(), hub());
    let gate = Manners { gate: Some(TOKEN.into()), ..Manners::default() };
    hub.manners(gate.clone());
    let accept = format!("{}/mill/stories", hub.url());
    compile(&place, &hub, "mill/stories", &[]).fails(3, &["licence", &accept, "set HF_TOKEN", "/settings/tokens"]);
    let refused = compile(&place, &hub, "mill/stories", &[("HF_TOKEN", "hf_of_someone")]);
    refused.fails(3, &["licence", &accept, "the token in HF_TOKEN"]);
    assert!(!refused.stderr.contains("hf_of_someone"), "{}", refused.stderr);
    compile(&place, &hub, "mill/stories", &[("HF_TOKEN", "two words")]).fails(2, &["HF_TOKEN: contains no token"]);
    // The token file of the Hub's client.
    std::fs::create_dir_all(place.at("cache/huggingface")).unwrap();
    std::fs::write(place.at("cache/huggingface/token"), "hf_old\n").unwrap();
    let file = place.at("cache/huggingface/token").display().to_string();
    compile(&place, &hub, "mill/stories", &[]).fails(3, &[&file]);
    std::fs::write(place.at("token"), format!("{TOKEN}\n")).unwrap();
    compile(&place, &hub, "mill/stories", &[("HF_TOKEN_PATH", place.at("token").to_str().unwrap())]).ok();

    let place = Place::new();
    hub.manners(Manners::default());
    let unknown = compile(&place, &hub, "mill/other", &[]);
    unknown.fails(2, &["no such file or directory", &hub.url(), "shows no such model", "HF_TOKEN"]);
    for no_codes in [false, true] {
        hub.manners(Manners { no_codes, ..Manners::default() });
        let url = format!("{accept}/commits/main");
        compile(&place, &hub, "mill/stories@v9", &[]).fails(2, &["has no revision v9", &url]);
        compile(&place, &hub, "mill/other", &[]).fails(2, &["shows no such model"]);
    }
    hub.manners(Manners { status: Some(403), ..Manners::default() });
    compile(&place, &hub, "mill/stories", &[("HF_TOKEN", TOKEN)]).fails(3, &["rejected the token in HF_TOKEN"]);
    hub.manners(Manners { status: Some(418), ..Manners::default() });
    compile(&place, &hub, "mill/stories", &[]).fails(3, &["status 418", "HF_ENDPOINT"]);
    hub.manners(Manners { status: Some(500), ..Manners::default() });
    compile(&place, &hub, "mill/stories", &[])
        .fails(3, &["status 500", "check the network", "no such model in the Hub cache"]);
    compile(&place, &hub, "mill/stories", &[("HF_ENDPOINT", "http://127.0.0.1:1")])
        .fails(3, &["http://127.0.0.1 cannot be reached", "HTTPS_PROXY", "no such model in the Hub cache"]);
    compile(&place, &hub, "mill/stories", &[("HF_ENDPOINT", "hub")]).fails(2, &["HF_ENDPOINT: hub is not the address"]);
    std::fs::write(place.at("none.pem"), "x").unwrap();
    compile(&place, &hub, "mill/stories", &[("SSL_CERT_FILE", "none.pem")])
        .fails(2, &["none.pem", "no PEM certificate"]);
    // Nothing is left behind.
    assert!(!folder(&place).exists());
}

#[test]
fn of_several_weights_those_of_the_index_come() {
    let (place, hub) = (Place::new(), hub());
    let tensors = load(&stories().join(WEIGHTS));
    let mut map = serde_json::Map::new();
    for (i, part) in ["a.safetensors", "b.safetensors"].into_iter().enumerate() {
        let some: std::collections::BTreeMap<_, _> =
            tensors.iter().enumerate().filter(|(n, _)| n % 2 == i).map(|(_, (k, v))| (k.clone(), v.clone())).collect();
        map.extend(some.keys().map(|name| (name.clone(), part.into())));
        save(&place.at(part), &some);
        hub.file(part, &std::fs::read(place.at(part)).unwrap());
    }
    hub.file("model.safetensors.index.json", serde_json::json!({ "weight_map": map }).to_string().as_bytes());
    hub.remove(WEIGHTS);
    hub.file("c.safetensors", b"no part of it");
    hub.file("fp16/d.safetensors", b"no part of it");
    compile(&place, &hub, "mill/stories", &[]).ok();
    let parts: BTreeSet<String> = hub.seen().iter().filter(|s| s.host == Host::Cdn).map(|s| s.path.clone()).collect();
    assert_eq!(parts, BTreeSet::from(["/a.safetensors", "/b.safetensors"].map(|p| format!("{p}?signature=x%2Fy"))));
    // An incomplete snapshot is not used.
    let snapshot = folder(&place).join("snapshots").join(COMMIT);
    std::fs::remove_file(snapshot.join("b.safetensors")).unwrap();
    compile(&place, &hub, "mill/stories", &[("HF_HUB_OFFLINE", "1")])
        .fails(2, &["is incomplete: b.safetensors is missing", "hf download mill/stories"]);
    compile(&place, &hub, "mill/stories", &[]).ok();
    assert_eq!(from_cdn(&hub.seen()).0, 0, "the blob is here");
}

#[test]
fn folders_of_modules_come_and_other_formats_do_not() {
    let (place, hub) = (Place::new(), hub());
    hub.file(
        "modules.json",
        br#"[{"path": "", "type": "x"}, {"path": "1_Pooling", "type": "x"}, {"path": "2_Dense", "type": "x"}]"#,
    );
    for file in
        ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin"]
    {
        hub.file(file, b"{}");
    }
    hub.file("additional_chat_templates/rag.jinja", b"{{ x }}");
    // Whatever the command then says about this model.
    compile(&place, &hub, "mill/stories", &[]);
    let snapshot = folder(&place).join("snapshots").join(COMMIT);
    for file in ["1_Pooling/config.json", "2_Dense/model.safetensors", "additional_chat_templates/rag.jinja", WEIGHTS] {
        assert!(snapshot.join(file).is_file(), "{file}");
    }
    for file in ["2_Dense/pytorch_model.bin", "pytorch_model.bin", "onnx", "image.png", "README.md"] {
        assert!(!snapshot.join(file).exists(), "{file}");
    }

    let place = Place::new();
    hub.remove(WEIGHTS);
    hub.remove("2_Dense/model.safetensors");
    hub.seen();
    compile(&place, &hub, "mill/stories", &[])
        .fails(2, &["mill/stories: has no safetensors weights", "pytorch_model.bin", "save_pretrained"]);
    assert_eq!(hub.seen().len(), 1, "nothing is downloaded that cannot be compiled");
    hub.remove("config.json");
    hub.remove("modules.json");
    hub.file("adapter_config.json", br#"{"peft_type": "LORA", "base_model_name_or_path": "some/base"}"#);
    hub.file("adapter_model.safetensors", b"large");
    compile(&place, &hub, "mill/stories", &[]).fails(2, &["an adapter (LORA) of some/base", "merge_and_unload"]);
    assert_eq!(from_cdn(&hub.seen()).0, 0);
}

#[test]
fn one_gguf_file_comes() {
    let (place, hub) = (Place::new(), Hub::new("mill/stories", COMMIT));
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/gguf/qwen2.gguf");
    let content = std::fs::read(fixture).unwrap();
    hub.file("README.md", b"x");
    hub.file("one.gguf", &content);
    compile(&place, &hub, "mill/stories", &[]).ok();
    hub.file("q8/two.gguf", b"another");
    // The cached file was requested.
    hub.seen();
    compile(&place, &hub, "mill/stories", &[]).ok();
    assert_eq!(hub.seen().len(), 1);

    let place = Place::new();
    compile(&place, &hub, "mill/stories", &[])
        .fails(2, &["several models", "mill/stories/one.gguf (", "mill/stories/q8/two.gguf (7 B)"]);
    hub.seen();
    compile(&place, &hub, "mill/stories/one.gguf@main", &[]).ok();
    assert_eq!(from_cdn(&hub.seen()).0, content.len());
    compile(&place, &hub, "mill/stories/one.gguf", &[("HF_HUB_OFFLINE", "1")]).ok();
    compile(&place, &hub, "mill/stories/q8/two.gguf", &[("HF_HUB_OFFLINE", "1")])
        .fails(2, &["has no q8/two.gguf", "hf download mill/stories q8/two.gguf"]);
    compile(&place, &hub, "mill/stories/three.gguf", &[])
        .fails(2, &["no file three.gguf", "name one of one.gguf, q8/two.gguf"]);
}

#[test]
fn other_commands_download_as_well() {
    let (place, hub) = (Place::new(), hub());
    let args = ["run", "mill/stories", "--prompt", "Once", "--backend", "reference", "--max-new-tokens", "4"];
    run(&place, &hub, &args, &[]).ok();
    assert_eq!(from_cdn(&hub.seen()).0, weights().len());
}
