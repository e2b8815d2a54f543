// Commands in the Markdown of this repository, and what the program that they start says to them. Two test programs include
// this file: that of the task runner, for `cargo xtask`, and tests/tests/suite/doc_commands.rs, for everything else.

use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ErrorKind};

/// A command in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// Its first line, from 1 on.
    pub(crate) line: usize,
    /// Program and arguments, without quotes and without variables in front.
    pub(crate) words: Vec<String>,
    /// True in a block of code, whose commands can be copied and run as they are. Code in a sentence may leave out
    /// arguments: `gristmill serve`.
    pub(crate) whole: bool,
}

/// Programs whose commands are checked. Files such as `tests/setup.sh` are programs as well.
const PROGRAMS: [&str; 4] = ["gristmill", "cargo", "node", "npm"];
/// Languages of fenced blocks that hold no commands.
const LANGUAGES: [&str; 6] = ["html", "js", "json", "ron", "ts", "rust"];

/// All Markdown below a folder, sorted, without what was built or installed.
pub(crate) fn documents(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    let others = [".git", "dist", "fixtures", "node_modules", "pkg", "target"];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if others.iter().any(|other| name == *other) {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The documents whose commands hold today: all but the change log, which has those of older versions.
pub(crate) fn current_documents(root: &Path) -> impl Iterator<Item = PathBuf> {
    documents(root).into_iter().filter(|page| !page.ends_with("CHANGELOG.md"))
}

/// The commands of a document, in order: those of its blocks of code, and those in its sentences.
pub(crate) fn commands(text: &str) -> Vec<Command> {
    let mut found = Vec::new();
    // The language of the fenced block, and whether the line before belonged to an indented one or was empty.
    let (mut fence, mut indented, mut empty): (Option<&str>, bool, bool) = (None, false, true);
    let mut block: Vec<(usize, String)> = Vec::new();
    for (n, line) in (1..).zip(text.lines()) {
        let (content, is_empty) = (line.trim(), line.trim().is_empty());
        if let Some(language) = content.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language) };
            (indented, empty) = (false, true);
            continue;
        }
        indented = fence.is_none() && line.starts_with("    ") && (indented || empty);
        empty = is_empty;
        if indented || fence.is_some_and(|language| !LANGUAGES.contains(&language)) {
            match block.last_mut() {
                Some((_, last)) if last.ends_with('\\') => {
                    last.pop();
                    last.push_str(content);
                }
                // More flags of a usage line.
                Some((at, last)) if *at + 1 == n && content.starts_with("[--") => *last += &format!(" {content}"),
                _ => block.push((n, content.strip_prefix("$ ").unwrap_or(content).to_string())),
            }
        } else if fence.is_none() {
            let code = line.split('`').skip(1).step_by(2);
            found.extend(code.flat_map(|code| lines_of(n, code, false)));
        }
    }
    found.extend(block.into_iter().flat_map(|(n, line)| lines_of(n, &line, true)));
    found.sort_by_key(|command| command.line);
    found
}

/// The commands of a line of the shell: `a && b | c` are three.
pub(crate) fn lines_of(line: usize, text: &str, whole: bool) -> Vec<Command> {
    let mut all = vec![Vec::new()];
    for word in shell_words(text) {
        match word.as_str() {
            "&&" | "|" | ";" => all.push(Vec::new()),
            _ => all.last_mut().expect("at least one").push(word),
        }
    }
    let command = |words: Vec<String>| {
        let words: Vec<String> = words.into_iter().skip_while(|word| is_variable(word)).collect();
        let program = words.first()?;
        let is_file = program.contains('/') && (program.ends_with(".sh") || program.starts_with(".ci/"));
        let is_command = PROGRAMS.contains(&program.as_str()) && words.len() > 1;
        (is_file || is_command).then_some(Command { line, words, whole })
    };
    all.into_iter().filter_map(command).collect()
}

/// `NAME=value` in front of a program.
fn is_variable(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// The words of a line of the shell, up to a comment or a redirection. Of optional arguments, `[--only PART]`, the brackets
/// are dropped.
fn shell_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut quoted, mut bracket) = (None, false, false);
    for c in text.chars().chain([' ']) {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => word.push(c),
            (None, '"' | '\'') => (quote, quoted, bracket) = (Some(c), true, false),
            (None, '#' | '>') if word.is_empty() && !quoted => break,
            (None, '[') if word.is_empty() && !quoted => {}
            (None, ' ') => {
                if bracket {
                    word.pop();
                }
                if quoted || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                (quoted, bracket) = (false, false);
            }
            (None, _) => {
                bracket = c == ']';
                word.push(c);
            }
        }
    }
    words
}

/// Whether a word stands for one that the reader chooses: `FILE`, `N`, `NAME,..`, `..`.
pub(crate) fn is_placeholder(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || "_,.|".contains(c))
}

/// What a program says to these words, the first of which is its name; nothing if it accepts them. Placeholders have any
/// value.
pub(crate) fn refusal(program: clap::Command, command: &Command) -> Option<String> {
    if command.words.get(1).is_some_and(|word| is_placeholder(word)) {
        return None;
    }
    let error = program.no_binary_name(true).try_get_matches_from(&command.words[1..]).err()?;
    let accepted = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => !command.whole,
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = error.get(ContextKind::InvalidValue).map(ToString::to_string).unwrap_or_default();
            // `gristmill run --image`, without a value.
            is_placeholder(&value) || value.is_empty() && !command.whole
        }
        _ => false,
    };
    (!accepted).then(|| error.to_string())
}

/// The commands in the help texts of a program and of its subcommands: lines of two spaces and a command. Two more spaces
/// begin a remark.
pub(crate) fn examples(program: &clap::Command) -> Vec<Command> {
    let help = program.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    let own = lines.flat_map(|line| lines_of(0, line.split("  ").next().unwrap_or(line), true));
    own.chain(program.get_subcommands().flat_map(examples)).collect()
}
