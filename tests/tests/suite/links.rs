//! The documents of the repository: every link between them works, and the site has every page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gristmill_tests::goldens::root;

#[path = "../../../xtask/src/links.rs"]
mod markdown;

use super::doc_commands::commands::documents;
use markdown::{links, prose};

/// The anchors of all headings in a text, as GitHub and mdBook generate them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for (_, _, line) in prose(text) {
        let Some(heading) = line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')) else {
            continue;
        };
        // Only the text of a link in a heading counts.
        let mut shown = heading.trim().to_string();
        for link in links(heading).into_iter().rev() {
            shown.replace_range(link.text.end..link.target.end + 1, "");
        }
        let letters = shown.trim().chars().flat_map(char::to_lowercase);
        let slug: String = letters
            .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let count = seen.entry(slug.clone()).or_default();
        found.push(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What is wrong with a link of a page.
fn fault(page: &Path, text: &str, target: &str) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { page.to_path_buf() } else { page.parent()?.join(file) };
    let Some(anchor) = anchor else { return (!path.exists()).then_some("there is no such file") };
    let linked = match file.is_empty() {
        true => text.to_string(),
        false if path.extension().is_some_and(|e| e == "md") && path.is_file() => read(&path),
        false => return Some("only Markdown has anchors, and there is none"),
    };
    (!anchors(&linked).iter().any(|a| a == anchor)).then_some("there is no such heading")
}

#[test]
fn links_and_anchors_are_found() {
    let text = "# A `b` & [c](d)\n\n[e](f#g) `[no](code)`\n```\n[no](code)\n# no\n```\n## Same\n## Same\n![i](j.png) [k\nl](m)\n";
    let targets: Vec<(usize, &str)> = links(text).iter().map(|l| (l.line, &text[l.target.clone()])).collect();
    assert_eq!(targets, [(1, "d"), (3, "f#g"), (10, "j.png"), (11, "m")]);
    assert_eq!(anchors(text), ["a-b--c", "same", "same-1"]);
}

#[test]
fn links_lead_somewhere() {
    let pages = documents(&root());
    assert!(pages.len() > 20, "{pages:?}: the test looks in the wrong place");
    let mut wrong = Vec::new();
    let mut followed = 0;
    for page in &pages {
        let text = read(page);
        for link in links(&text) {
            let target = &text[link.target];
            followed += 1;
            if let Some(why) = fault(page, &text, target) {
                let page = page.strip_prefix(root()).expect("below the root").display();
                wrong.push(format!("{page}:{}: {target}: {why}", link.line));
            }
        }
    }
    assert!(followed > 100, "{followed} links: the test does not see them");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_site_has_every_page() {
    let folder = root().join("docs");
    let summary = read(&folder.join("SUMMARY.md"));
    let real = |path: PathBuf| path.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let chapters: BTreeSet<PathBuf> =
        links(&summary).into_iter().map(|l| real(folder.join(&summary[l.target]))).collect();
    for page in documents(&root()).into_iter().filter(|p| p.parent() == Some(&folder) && !p.ends_with("SUMMARY.md")) {
        assert!(chapters.contains(&real(page.clone())), "{} is not in docs/SUMMARY.md", page.display());
    }
}
