//! The commands in the documents of the repository, and in the help texts of `gristmill`, are ones that its programs accept:
//! no document names a flag, a subcommand, a script, or a test that does not exist. Words in capitals (`MODEL_DIR`) are
//! placeholders. A test of the task runner checks the commands of `cargo xtask`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command as Process;

use gristmill_tests::goldens::root;
use serde_json::Value;

#[path = "../../../xtask/src/commands.rs"]
pub(super) mod commands;

use commands::{Command, commands as commands_of, current_documents, examples, is_placeholder, lines_of, refusal};

/// The targets of the workspace: kind ("bin", "test", "example", ..), name, and the file of its `main`.
struct Targets(Vec<(String, String, String)>, BTreeSet<String>);

impl Targets {
    fn of_workspace() -> Self {
        let mut cargo = Process::new(env!("CARGO"));
        let output =
            cargo.current_dir(root()).args(["metadata", "--locked", "--no-deps", "--format-version=1"]).output();
        let metadata: Value = serde_json::from_slice(&output.expect("cargo runs").stdout).expect("JSON");
        let packages = metadata["packages"].as_array().expect("packages");
        let text = |value: &Value| value.as_str().expect("a string").to_string();
        let targets = packages.iter().flat_map(|p| p["targets"].as_array().expect("targets"));
        let target = |t: &Value| (text(&t["kind"][0]), text(&t["name"]), text(&t["src_path"]));
        Targets(targets.map(target).collect(), packages.iter().map(|p| text(&p["name"])).collect())
    }

    /// The file of a target.
    fn file(&self, kind: &str, name: &str) -> Result<&Path, String> {
        let found = self.0.iter().find(|(k, n, _)| k == kind && n == name);
        found.map(|(_, _, file)| Path::new(file)).ok_or_else(|| format!("there is no {kind} `{name}`"))
    }
}

/// The word after one of these flags.
fn value<'a>(words: &'a [String], flags: &[&str]) -> Option<&'a str> {
    let at = words.iter().position(|word| flags.contains(&word.as_str()))?;
    words.get(at + 1).map(String::as_str)
}

/// The names of the flags among some words.
fn flags(words: &[String]) -> impl Iterator<Item = &str> {
    words.iter().filter_map(|word| word.strip_prefix("--")).filter(|name| !name.is_empty())
}

/// Fails if a file of the repository is not there.
fn exists(path: &str) -> Result<(), String> {
    root().join(path).exists().then_some(()).ok_or_else(|| format!("there is no file {path}"))
}

/// Checks a command of cargo: packages and targets exist, and `gristmill` or an example gets flags that it has.
fn check_cargo(targets: &Targets, command: &Command) -> Result<(), String> {
    let words = &command.words;
    let (own, passed) = match words.iter().position(|word| word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (&words[..], &[][..]),
    };
    if let Some(package) = value(own, &["-p", "--package"]) {
        targets.1.get(package).ok_or_else(|| format!("there is no package `{package}`"))?;
    }
    if let Some(name) = value(own, &["--bin"]) {
        targets.file("bin", name)?;
        if name == "gristmill" && own.get(1).is_some_and(|word| word == "run") {
            let words = [&["gristmill".to_string()], passed].concat();
            return refusal(gristmill::command(), &Command { words, ..command.clone() }).map_or(Ok(()), Err);
        }
    }
    if let Some(name) = value(own, &["--example"]) {
        let source = std::fs::read_to_string(targets.file("example", name)?).expect("a source");
        let unknown = flags(passed).find(|flag| !source.contains(&format!("\"--{flag}\"")));
        return unknown.map_or(Ok(()), |flag| Err(format!("the example `{name}` has no flag --{flag}")));
    }
    if let Some(name) = value(own, &["--test"]) {
        let folder = targets.file("test", name)?.parent().expect("a folder");
        // `MODULE::` of a program of several files.
        let module = own.iter().find_map(|word| word.split_once("::")).map(|(module, _)| module);
        let missing = module.filter(|module| !folder.join(format!("{module}.rs")).is_file());
        return missing.map_or(Ok(()), |module| Err(format!("the tests `{name}` have no module `{module}`")));
    }
    Ok(())
}

/// Checks a command of Node.js: the script exists, and its call of `parseArgs` defines the flags.
fn check_node(words: &[String]) -> Result<(), String> {
    exists(&words[1])?;
    let source = std::fs::read_to_string(root().join(&words[1])).expect("a source");
    let options = source.split("parseArgs({").nth(1).and_then(|rest| rest.split("});").next()).unwrap_or_default();
    let keys = options.split(['{', '}', ',']).filter_map(|part| part.split_once(':')).map(|(key, _)| key.trim());
    let keys: BTreeSet<&str> = keys.map(|key| key.trim_matches('"')).collect();
    let unknown = flags(words).find(|flag| !keys.contains(flag) || ["options", "type", "default"].contains(flag));
    unknown.map_or(Ok(()), |flag| Err(format!("{} has no flag --{flag}", words[1])))
}

/// Checks a command of npm: the folder holds a package.
fn check_npm(words: &[String]) -> Result<(), String> {
    value(words, &["--prefix"]).map_or(Ok(()), |folder| exists(&format!("{folder}/package.json")))
}

fn check(targets: &Targets, command: &Command) -> Result<(), String> {
    match command.words[0].as_str() {
        "gristmill" => refusal(gristmill::command(), command).map_or(Ok(()), Err),
        "cargo" => check_cargo(targets, command),
        "node" => check_node(&command.words),
        "npm" => check_npm(&command.words),
        script => exists(script),
    }
}

#[test]
fn commands_are_found() {
    let text = "`gristmill run M` and `gristmill`\n\n    $ A=1 cargo demo \\\n        --lan  # why\n    x\n\n```ts\nnode no\n```\n\
                ```\nnpm ci && node a.mjs [--b \"c d\"]\n        [--e F]\n```\n    cargo no\n";
    let found: Vec<(usize, String, bool)> =
        commands_of(text).into_iter().map(|c| (c.line, c.words.join(" "), c.whole)).collect();
    let expected = [
        (1, "gristmill run M", false),
        (3, "cargo demo --lan", true),
        (11, "npm ci", true),
        (11, "node a.mjs --b c d --e F", true),
        (14, "cargo no", true),
    ];
    assert_eq!(found, expected.map(|(line, words, whole)| (line, words.to_string(), whole)));
    assert!(is_placeholder("MODEL_DIR") && is_placeholder("ID,..") && !is_placeholder("FILE.ron"));
}

#[test]
fn wrong_commands_are_refused() {
    let targets = Targets::of_workspace();
    let wrong = [
        "gristmill compyle m -o b",
        "gristmill compile m -o b --presicion q4",
        "gristmill compile m",
        "gristmill compile m -o b --max-context many",
        "cargo run --bin gristmill -- serve dist --prot 1",
        "cargo run --bin grist",
        "cargo test -p grist",
        "cargo test --test suite nothing::",
        "cargo run --example precisions -- m --devise wasm",
        "node tests/browser/runs.mjs",
        "node tests/browser/run.mjs --nothing",
        "npm ci --prefix nowhere",
        "tests/nothing.sh",
    ];
    for line in wrong {
        let found = lines_of(1, line, true);
        assert_eq!(found.len(), 1, "{line}");
        assert!(check(&targets, &found[0]).is_err(), "{line}");
    }
    let right = ["gristmill compile M -o B --max-context N --kv KIND", "gristmill run m --prompt \"a --b\""];
    for line in right {
        assert_eq!(check(&targets, &lines_of(1, line, true)[0]), Ok(()), "{line}");
    }
    assert_eq!(check(&targets, &lines_of(1, "gristmill compile --kv f16", false)[0]), Ok(()));
}

#[test]
fn documents_name_commands_that_exist() {
    let targets = Targets::of_workspace();
    let (mut wrong, mut programs) = (Vec::new(), BTreeSet::new());
    let mut checked = 0;
    for page in current_documents(&root()) {
        let text = std::fs::read_to_string(&page).expect("UTF-8");
        for command in commands_of(&text) {
            checked += 1;
            if let Err(why) = check(&targets, &command) {
                let page = page.strip_prefix(root()).expect("below the root").display();
                wrong.push(format!("{page}:{}: {}\n{why}", command.line, command.words.join(" ")));
            }
            programs.insert(command.words[0].clone());
        }
    }
    assert!(checked > 100, "{checked} commands: the test does not see them");
    assert!(
        ["gristmill", "cargo", "node", "npm", "tests/setup.sh"].iter().all(|p| programs.contains(*p)),
        "{programs:?}"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The README's table of commands: `run MODEL --image FILE` and, in the same row, flags of that command.
#[test]
fn the_readme_lists_commands_that_exist() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("UTF-8");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| row.split('`').step_by(2));
    let mut checked = 0;
    for mut spans in rows {
        let command = spans.next().expect("a first cell");
        let Some(name) = command.split(' ').next().filter(|word| word.chars().all(char::is_lowercase)) else {
            continue;
        };
        let flags = spans.filter(|span| span.starts_with("--")).map(|flag| format!("{name} {flag}"));
        for line in std::iter::once(command.to_string()).chain(flags) {
            let found = lines_of(1, &format!("gristmill {line}"), false);
            assert_eq!(refusal(gristmill::command(), &found[0]), None, "{line}");
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked} commands and flags: the test does not see them");
}

#[test]
fn help_texts_name_commands_that_exist() {
    let found = examples(&gristmill::command());
    assert!(found.len() > 30, "{} examples: the test does not see them", found.len());
    for command in found {
        let refused = refusal(gristmill::command(), &command).filter(|_| command.words[0] == "gristmill");
        assert_eq!(refused, None, "{}", command.words.join(" "));
    }
}
