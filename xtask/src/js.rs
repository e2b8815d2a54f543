//! The JavaScript parts: npm installs packages, esbuild bundles scripts, tsc writes declarations, and the page is
//! copied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::command::{Outcome, run, say};
use crate::place::{Place, copy, list, read};

/// The scripts of the page; all others belong to the runtime.
pub(crate) const PAGE_SCRIPTS: [&str; 2] = ["page.js", SERVICE_WORKER.0];

/// The output scripts and their sources, relative to `runtime/web`. Code that several share goes into chunks beside
/// them.
const ENTRIES: [(&str, &str); 5] = [
    ("gristmill", "ts/index.ts"),
    ("worker", "ts/worker.ts"),
    ("compute", "ts/wasm/compute.ts"),
    ("engine", "ts/engine.ts"),
    ("page", "page/page.ts"),
];

/// The service worker is beside index.html, not beside the other scripts: its scope is its own folder.
const SERVICE_WORKER: (&str, &str) = ("sw.js", "page/sw.ts");
/// Only loaded for models with a chat template.
const CHAT: &str = "ts/text/template.ts";

/// The page, and the kinds of files that are copied with it.
const PAGE: &str = "page/index.html";
const PAGE_FILES: [&str; 4] = ["html", "svg", "png", "webmanifest"];
/// Images that the system or the reader asks for, if at all: the page works without them.
const IMAGES: &str = "png";

/// For each script that esbuild wrote, bytes by source file, relative to `runtime/web`.
pub(crate) type Bundled = BTreeMap<String, BTreeMap<String, u64>>;

/// Checks before the build that the sources exist.
pub(crate) fn check_entries(place: &Place) -> Outcome {
    let needed = ENTRIES.iter().map(|(_, source)| *source).chain([PAGE, SERVICE_WORKER.1]);
    let missing: Vec<&str> = needed.filter(|source| !place.web.join(source).is_file()).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("missing below {}: {}", place.web.display(), missing.join(", "))),
    }
}

/// Installs the packages in the package-lock.json of a folder, unless they are installed already.
pub(crate) fn install(folder: &Path) -> Outcome {
    let wanted = read(&folder.join("package-lock.json"))?;
    let installed = read(&folder.join("node_modules/.package-lock.json")).unwrap_or_default();
    if is_installed(&wanted, &installed) {
        return Ok(());
    }
    say(&format!("installing what {} names (npm ci)", folder.join("package-lock.json").display()));
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    run(Command::new(npm).current_dir(folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]), "npm ci")
}

/// Whether all packages of a lock file are installed, according to npm's own list of installed packages.
fn is_installed(wanted: &str, installed: &str) -> bool {
    let packages = |text: &str| serde_json::from_str::<Value>(text).ok()?["packages"].as_object().cloned();
    let (Some(wanted), Some(installed)) = (packages(wanted), packages(installed)) else { return false };
    // The package without a name is the project. Optional packages are for other systems.
    let needed = |(name, package): &(&String, &Value)| !name.is_empty() && package["optional"] != true;
    let same = |(name, package): (&String, &Value)| {
        installed
            .get(name)
            .is_some_and(|i| i["version"] == package["version"] && i["integrity"] == package["integrity"])
    };
    wanted.iter().filter(needed).all(same) && installed.keys().all(|name| wanted.contains_key(name))
}

fn esbuild(place: &Place) -> Command {
    let mut command = Command::new(place.npm_program("esbuild"));
    command.current_dir(&place.web).args(["--bundle", "--target=es2022", "--minify", "--log-level=warning"]);
    // The licences of bundled packages are in LICENSES.txt, complete.
    command.args(["--legal-comments=none", "--charset=utf8"]);
    command
}

/// Bundles all entries into the output folder.
pub(crate) fn bundle(place: &Place) -> Outcome<Bundled> {
    let report = place.target.join("esbuild.json");
    let mut command = esbuild(place);
    command.args(ENTRIES.map(|(name, source)| format!("{name}={source}")));
    command.args(["--splitting", "--format=esm", "--chunk-names=[name]-[hash]"]);
    command.arg(format!("--outdir={}", place.stage.display())).arg(format!("--metafile={}", report.display()));
    run(&mut command, "esbuild")?;
    parse_report(&read(&report)?).ok_or_else(|| format!("{}: unexpected output of esbuild", report.display()))
}

fn parse_report(text: &str) -> Option<Bundled> {
    let report: Value = serde_json::from_str(text).ok()?;
    let mut bundled = Bundled::new();
    for (path, output) in report["outputs"].as_object()? {
        let name = Path::new(path).file_name()?.to_str()?.to_string();
        let inputs = output["inputs"].as_object()?.iter();
        bundled
            .insert(name, inputs.map(|(i, v)| Some((i.clone(), v["bytesInOutput"].as_u64()?))).collect::<Option<_>>()?);
    }
    Some(bundled)
}

/// Writes the type declarations of the public interface to `types/`. Fails on type errors.
pub(crate) fn declare_types(place: &Place) -> Outcome {
    let mut command = Command::new(place.npm_program("tsc"));
    command
        .current_dir(&place.web)
        .args(["--project", "tsconfig.types.json", "--outDir"])
        .arg(place.stage.join("types"));
    run(&mut command, "tsc")
}

/// Copies the files of the page other than scripts.
pub(crate) fn copy_page(place: &Place) -> Outcome {
    let wanted = |p: &PathBuf| p.extension().is_some_and(|e| PAGE_FILES.iter().any(|wanted| e == *wanted));
    for file in list(&place.web.join("page"))?.into_iter().filter(wanted) {
        copy(&file, &place.stage.join(file.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// Bundles the service worker with the list of files to cache: everything in the output folder so far, except images and
/// what is only loaded for models with a chat template. It is not a module, because not all browsers support modules as
/// service workers.
pub(crate) fn bundle_service_worker(place: &Place, bundled: &Bundled) -> Outcome {
    let names = list(&place.stage)?
        .into_iter()
        .filter(|p| p.is_file() && p.extension().is_none_or(|e| e != IMAGES))
        .filter_map(|p| p.file_name()?.to_str().map(String::from));
    let chats = |name: &String| bundled.get(name).is_some_and(|inputs| inputs.contains_key(CHAT));
    let (chat, page): (Vec<String>, Vec<String>) = names.filter(|n| *n != "index.html").partition(chats);
    if chat.is_empty() {
        return Err(format!("esbuild wrote no script for {CHAT}"));
    }
    let paths = |names: Vec<String>| names.into_iter().map(|n| format!("runtime/{n}")).collect::<Value>();
    let (script, source) = SERVICE_WORKER;
    let mut command = esbuild(place);
    command.arg(source).arg("--format=iife");
    command.arg(format!("--define:PAGE_FILES={}", paths(page))).arg(format!("--define:CHAT_FILES={}", paths(chat)));
    command.arg(format!("--outfile={}", place.stage.join(script).display()));
    run(&mut command, "esbuild")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_when_the_lock_file_changes() {
        let lock = |version: &str| {
            format!(
                r#"{{"packages": {{"": {{"version": "9"}}, "node_modules/a": {{"version": "{version}"}},
                   "node_modules/b": {{"version": "1", "optional": true}}}}}}"#
            )
        };
        let installed = r#"{"packages": {"node_modules/a": {"version": "1"}}}"#;
        assert!(is_installed(&lock("1"), installed));
        assert!(!is_installed(&lock("2"), installed));
        assert!(!is_installed(&lock("1"), ""));
        assert!(!is_installed(&lock("1"), r#"{"packages": {}}"#));
        let more = r#"{"packages": {"node_modules/a": {"version": "1"}, "node_modules/old": {"version": "1"}}}"#;
        assert!(!is_installed(&lock("1"), more));
    }

    #[test]
    fn the_report_of_esbuild_is_understood() {
        let text = r#"{"outputs": {"../x/a.js": {"inputs": {"ts/a.ts": {"bytesInOutput": 7}}}}}"#;
        let bundled = parse_report(text).expect("well-formed");
        assert_eq!(bundled["a.js"]["ts/a.ts"], 7);
        assert_eq!(parse_report("{}"), None);
    }
}
