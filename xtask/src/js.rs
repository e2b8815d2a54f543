//! The JavaScript parts: npm installs packages, esbuild bundles scripts, tsc writes declarations, and the page is
//! copied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::command::{Outcome, run, say};
use crate::place::{Place, copy, list, read, write};

/// The scripts of the runtime, and their sources below `runtime/web`. Each is whole: people copy them, and bundlers copy
/// those that the first one names.
const RUNTIME: [(&str, &str); 3] =
    [("gristmill", "ts/index.ts"), ("engine", "ts/worker.ts"), ("template", "ts/text/template_engine.ts")];
/// The script of the page. What it loads later goes into chunks beside it.
const PAGE_ENTRY: (&str, &str) = ("page", "page/page.ts");
/// The service worker is beside index.html, not beside the other scripts: its scope is its own folder.
const SERVICE_WORKER: (&str, &str) = ("sw.js", "page/sw.ts");
/// Only loaded for models with a chat template.
const CHAT: [&str; 2] = ["ts/text/template_engine.ts", "page/text/markdown/markdown_parser.ts"];
/// What imports a script by its address when a model is loaded.
const IMPORTER: &str = "gristmill.js";
/// Tells bundlers that such an address is none of a module that they should find. esbuild leaves no comments.
const IGNORED: &str = "import(/*webpackIgnore:true,turbopackIgnore:true*//*@vite-ignore*/";

/// The page, and the kinds of files that are copied with it.
const PAGE: &str = "page/index.html";
const PAGE_FILES: [&str; 4] = ["html", "svg", "png", "webmanifest"];
/// Images that the system or the reader asks for, if at all: the page works without them.
const IMAGES: &str = "png";

/// For each script that esbuild wrote, bytes by source file, relative to `runtime/web`.
pub(crate) type Bundled = BTreeMap<String, BTreeMap<String, u64>>;

/// Checks before the build that the sources exist.
pub(crate) fn check_entries(place: &Place) -> Outcome {
    let needed = RUNTIME.iter().map(|(_, source)| *source).chain([PAGE_ENTRY.1, PAGE, SERVICE_WORKER.1]);
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

/// Whether a script is the page's; all others belong to the runtime.
pub(crate) fn is_of_page(name: &str) -> bool {
    name == SERVICE_WORKER.0 || name.split(['.', '-']).next() == Some(PAGE_ENTRY.0)
}

/// Bundles the runtime and the page into the result.
pub(crate) fn bundle(place: &Place) -> Outcome<Bundled> {
    let mut bundled = bundle_modules(place, &RUNTIME, &[])?;
    let chunks = format!("--chunk-names={}-[name]-[hash]", PAGE_ENTRY.0);
    bundled.append(&mut bundle_modules(place, &[PAGE_ENTRY], &["--splitting", &chunks])?);
    let importer = place.stage.join(IMPORTER);
    write(&importer, leave_imports(&read(&importer)?)?)?;
    Ok(bundled)
}

fn bundle_modules(place: &Place, entries: &[(&str, &str)], more: &[&str]) -> Outcome<Bundled> {
    let report = place.target.join("esbuild.json");
    let mut command = esbuild(place);
    command.args(entries.iter().map(|(name, source)| format!("{name}={source}"))).arg("--format=esm").args(more);
    command.arg(format!("--outdir={}", place.stage.display())).arg(format!("--metafile={}", report.display()));
    run(&mut command, "esbuild")?;
    parse_report(&read(&report)?).ok_or_else(|| format!("{}: unexpected output of esbuild", report.display()))
}

/// A script whose one import by an address is left alone by bundlers.
fn leave_imports(script: &str) -> Outcome<String> {
    match script.matches("import(").count() {
        1 => Ok(script.replace("import(", IGNORED)),
        count => Err(format!("{IMPORTER}: expected one import by an address, found {count}")),
    }
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

/// Writes type declarations of the public interface to `types/`, as TypeScript finds them in all its modes. Type errors end
/// the build.
pub(crate) fn declare_types(place: &Place) -> Outcome {
    let mut command = Command::new(place.npm_program("tsc"));
    command
        .current_dir(&place.web)
        .args(["--project", "tsconfig.types.json", "--outDir"])
        .arg(place.stage.join("types"));
    run(&mut command, "tsc")?;
    name_files(&place.stage.join("types"))
}

/// Adds the extension to imports in declarations. Sources have none, but Node.js wants it.
fn name_files(folder: &Path) -> Outcome {
    for path in list(folder)? {
        match path.is_dir() {
            true => name_files(&path)?,
            false => write(&path, with_extensions(&read(&path)?))?,
        }
    }
    Ok(())
}

/// The same declarations with `./a.js` for `./a`.
fn with_extensions(declarations: &str) -> String {
    let parts: Vec<&str> = declarations.split('"').collect();
    let relative = |text: &str| text.starts_with("./") || text.starts_with("../");
    let named = parts.iter().enumerate().map(|(at, part)| {
        // Every other part stands in quotes.
        if at % 2 == 1 && relative(part) && !part.ends_with(".js") { format!("{part}.js") } else { part.to_string() }
    });
    named.collect::<Vec<_>>().join("\"")
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
    let chats =
        |name: &String| bundled.get(name).is_some_and(|inputs| CHAT.iter().any(|source| inputs.contains_key(*source)));
    let (chat, page): (Vec<String>, Vec<String>) = names.filter(|n| *n != "index.html").partition(chats);
    if chat.len() != CHAT.len() {
        return Err(format!("expected a script for each of {}, found {}", CHAT.join(", "), chat.join(", ")));
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
    fn imports_are_left_to_the_browser() {
        let left = leave_imports("let o=t=>import(t);").expect("one import");
        assert_eq!(left, "let o=t=>import(/*webpackIgnore:true,turbopackIgnore:true*//*@vite-ignore*/t);");
        assert!(leave_imports("import(a);import(b)").is_err() && leave_imports("").is_err());
    }

    #[test]
    fn declarations_name_files() {
        let text =
            "export { A } from \"./a\";\nimport type { B } from \"../b/c\";\nimport(\"./d.js\"); type E = \"x\";";
        let named =
            "export { A } from \"./a.js\";\nimport type { B } from \"../b/c.js\";\nimport(\"./d.js\"); type E = \"x\";";
        assert_eq!(with_extensions(text), named);
    }

    #[test]
    fn scripts_of_the_page_are_known_by_their_names() {
        assert!(["page.js", "page-notes-A1B2.js", "sw.js"].into_iter().all(is_of_page));
        assert!(!["gristmill.js", "engine.js", "template.js", "pages.js"].into_iter().any(is_of_page));
    }

    #[test]
    fn the_report_of_esbuild_is_understood() {
        let text = r#"{"outputs": {"../x/a.js": {"inputs": {"ts/a.ts": {"bytesInOutput": 7}}}}}"#;
        let bundled = parse_report(text).expect("well-formed");
        assert_eq!(bundled["a.js"]["ts/a.ts"], 7);
        assert_eq!(parse_report("{}"), None);
    }
}
