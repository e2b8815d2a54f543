// Whether the browser runtime is built and up to date with its sources. Included by the build script of `gristmill` and
// by `cargo xtask demo`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The output folder of `cargo xtask web`, relative to the root of the workspace.
pub(crate) const DIST: &str = "runtime/web/dist";
/// A file that every build writes there. Browsers do not load it.
pub(crate) const STAMP: &str = "sizes.json";
/// The sources of the runtime, relative to the root of the workspace.
const SOURCES: [&str; 10] = [
    "runtime/web/Cargo.toml",
    "runtime/web/package-lock.json",
    "runtime/web/src",
    "runtime/web/ts",
    "runtime/web/page",
    "runtime/core/Cargo.toml",
    "runtime/core/src",
    "runtime/bundle/Cargo.toml",
    "runtime/bundle/src",
    "runtime/template",
];

/// The state of the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not built.
    Missing,
    /// A source was changed after the runtime was built.
    Old,
    /// Newer than its sources.
    Current,
}

/// The paths of the sources that exist.
pub(crate) fn sources(root: &Path) -> Vec<PathBuf> {
    SOURCES.iter().map(|s| root.join(s)).filter(|p| p.exists()).collect()
}

/// The state of the runtime in the workspace at `root`, judged by modification times.
pub(crate) fn state(root: &Path) -> State {
    let Some(built) = modified(&root.join(DIST).join(STAMP)) else { return State::Missing };
    let changed = sources(root).iter().filter_map(|s| newest(s)).any(|time| time > built);
    if changed { State::Old } else { State::Current }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// The modification time of the newest file at or below a path.
fn newest(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return modified(path);
    }
    fs::read_dir(path).ok()?.flatten().filter_map(|e| newest(&e.path())).max()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_runtime_is_as_old_as_its_stamp() {
        let root = tempfile::TempDir::new().expect("a folder");
        let write = |path: &str, time: SystemTime| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            let file = fs::File::create(path).expect("written");
            file.set_modified(time).expect("a time");
        };
        let (before, after) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(9));
        write("runtime/web/ts/deep/a.ts", before);
        write("runtime/web/dist/gristmill.js", after);
        assert_eq!(state(root.path()), State::Missing, "a result without a stamp is not whole");
        write("runtime/web/dist/sizes.json", after);
        assert_eq!(state(root.path()), State::Current);
        write("runtime/web/test/a.ts", after + Duration::from_secs(1));
        assert_eq!(state(root.path()), State::Current, "tests are no sources");
        write("runtime/web/ts/deep/a.ts", after + Duration::from_secs(1));
        assert_eq!(state(root.path()), State::Old);
    }

    #[test]
    fn the_sources_are_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert_eq!(sources(&root).len(), SOURCES.len());
    }
}
