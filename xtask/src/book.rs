//! `cargo xtask book`: builds the documentation as a site, with mdBook.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::command::{Outcome, run, say};
use crate::links::links;
use crate::place::{Place, at, copy, read, write};

/// The list of chapters, relative to the root of the repository.
const SUMMARY: &str = "docs/SUMMARY.md";
/// The settings of mdBook.
const SETTINGS: &str = "docs/book.toml";
/// Extensions of images in pages.
const IMAGES: [&str; 2] = ["png", "svg"];

/// `cargo xtask book`.
#[derive(Debug, Args)]
#[command(after_help = "\
It needs mdBook: `cargo install mdbook --locked`. The site is left in target/book/site. Its chapters are those of
docs/SUMMARY.md, wherever in the repository they lie.")]
pub(crate) struct BookArgs {
    /// Address of the repository, to which links to anything but chapters lead; without it they become text
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
}

/// Copies the chapters, rewrites their links for the site, and runs mdBook.
pub(crate) fn book(place: &Place, args: &BookArgs) -> Outcome {
    let folder = place.root.join("target/book");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|e| at(&folder, &e))?;
    }
    copy(&place.root.join(SETTINGS), &folder.join("book.toml"))?;
    let pages = folder.join("src");
    let summary = read(&place.root.join(SUMMARY))?;
    let chapters: BTreeSet<PathBuf> =
        links(&summary).iter().filter_map(|l| resolve(Path::new(SUMMARY), &summary[l.target.clone()])).collect();
    let mut images = BTreeSet::new();
    for chapter in &chapters {
        let text = read(&place.root.join(chapter))?;
        let text = rewrite(&text, |target| match resolve(chapter, target) {
            // mdBook renames these pages to index.html, but not the links to them.
            Some(path) if chapters.contains(&path) => Some(target.replace("README.md", "index.md")),
            Some(path) if path.extension().is_some_and(|e| IMAGES.iter().any(|i| e == *i)) => {
                images.insert(path);
                Some(target.to_string())
            }
            Some(path) => args.repository.as_ref().map(|url| format!("{url}/blob/HEAD/{}", slashes(&path))),
            None => Some(target.to_string()),
        });
        write_page(&pages.join(chapter), &text)?;
    }
    for image in images {
        copy(&place.root.join(&image), &pages.join(&image))?;
    }
    // mdBook resolves chapters relative to the list, which is at the root here.
    let summary = rewrite(&summary, |target| resolve(Path::new(SUMMARY), target).map(|path| slashes(&path)));
    write_page(&pages.join("SUMMARY.md"), &summary)?;
    run(Command::new("mdbook").arg("build").arg(&folder), "mdbook build")?;
    say(&format!("the site is {}", folder.join("site").display()));
    Ok(())
}

fn write_page(path: &Path, text: &str) -> Outcome {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| at(folder, &e))?;
    }
    write(path, text)
}

/// The target of a link in `page`; both paths are relative to the root. `None` for other sites and for anchors in the
/// page.
fn resolve(page: &Path, target: &str) -> Option<PathBuf> {
    let file = target.split('#').next().filter(|file| !file.is_empty() && !file.contains("://"))?;
    let mut path = page.parent()?.to_path_buf();
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

fn slashes(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// Replaces the targets of links. Where there is no new target, only the text of the link remains.
fn rewrite(text: &str, mut target: impl FnMut(&str) -> Option<String>) -> String {
    let mut edits = Vec::new();
    for link in links(text) {
        match target(&text[link.target.clone()]) {
            Some(other) => edits.push((link.target, other)),
            None => {
                edits.push((link.text.start..link.text.start + 1, String::new()));
                edits.push((link.text.end - 1..link.target.end + 1, String::new()));
            }
        }
    }
    edits.sort_by_key(|(place, _)| place.start);
    let mut out = text.to_string();
    for (place, other) in edits.into_iter().rev() {
        out.replace_range(place, &other);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_below_the_root() {
        let from = |page: &str, target: &str| resolve(Path::new(page), target).map(|p| slashes(&p));
        assert_eq!(from("docs/a.md", "../models/x.md#y").as_deref(), Some("models/x.md"));
        assert_eq!(from("README.md", "docs/").as_deref(), Some("docs"));
        assert_eq!(from("README.md", "https://example.org/x"), None);
        assert_eq!(from("README.md", "#here"), None);
    }

    #[test]
    fn links_are_rewritten_or_become_text() {
        let to = |target: &str| (target != "gone").then(|| format!("<{target}>"));
        assert_eq!(rewrite("a [b](c) [`d`](gone), `[e](f)`", to), "a [b](<c>) `d`, `[e](f)`");
        assert_eq!(rewrite("[![i](x.png)](y)", to), "[![i](<x.png>)](<y>)");
        assert_eq!(rewrite("[![i](x.png)](gone)", to), "![i](<x.png>)");
    }
}
