//! `cargo xtask fuzz`: runs the targets of `tests/fuzz` under libFuzzer.
//!
//! Coverage comes from an LLVM pass that stable compilers have as well.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use crate::command::{Outcome, output, run, say};
use crate::place::{Place, at, list};

/// Maximum time for one input, in seconds.
const MAX_SECONDS: u64 = 5;
const MAX_MIB: u64 = 1024;
/// Compiler flags that count branches and report comparisons to libFuzzer.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Crates to build without coverage: compilers of modules, drivers, servers and printers. They read no untrusted input
/// that was not checked before, take long to build with coverage, and would run slowly.
const WITHOUT: [&str; 23] = [
    "addr2line",
    "ash",
    "cranelift",
    "gimli",
    "gpu_",
    "hyper",
    "indicatif",
    "libloading",
    "naga_bridge",
    "object",
    "pulley",
    "rayon",
    "regalloc2",
    "ring",
    "rustls",
    "rustix",
    "tokio",
    "ureq",
    "wasmtime",
    "webpki",
    "wgpu",
    "windows",
    "winapi",
];
/// Set if this program is called in place of the compiler.
const COMPILER: &str = "GRISTMILL_FUZZ_COMPILER";

/// Defaults for the time and for the number of targets at the same time.
const MINUTES: f64 = 15.0;
const JOBS: usize = 2;

/// `cargo xtask fuzz`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz --minutes 15                    all targets, two at a time, every night
  cargo xtask fuzz --minutes 5 --only gguf,image   some of them
  cargo xtask fuzz --only gguf --input FILE        repeat an input that was found

An input that panics, or takes more than 5 s or 1 GiB, is written to target/fuzz/found, and the task
fails. Inputs that reach new code are kept in target/fuzz/corpus, and the next run starts with them.
It needs a C++ compiler, which builds the fuzzing engine.")]
pub(crate) struct FuzzArgs {
    /// Minutes for all targets together
    #[arg(long, value_name = "N", default_value_t = MINUTES)]
    minutes: f64,
    /// Targets, separated by commas [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Number of targets to run at the same time
    #[arg(long, value_name = "N", default_value_t = JOBS)]
    jobs: usize,
    /// Run this input instead of searching for new ones
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

impl FuzzArgs {
    /// The defaults of the command line.
    pub(crate) fn usual() -> Self {
        FuzzArgs { minutes: MINUTES, only: Vec::new(), jobs: JOBS, input: None }
    }
}

/// A fuzz target, as the program lists it.
struct Target {
    name: String,
    most: String,
    /// Folders with inputs.
    places: Vec<PathBuf>,
}

/// The result of a target.
struct Report {
    name: String,
    executions: u64,
    per_second: u64,
    new: u64,
    slowest: u64,
    peak: u64,
    /// What ended it, if not the time limit.
    found: Option<String>,
}

/// Builds the targets and runs them.
pub(crate) fn fuzz(place: &Place, args: &FuzzArgs) -> Outcome {
    let folder = place.root.join("target/fuzz");
    let program = build(place)?;
    let targets = chosen(&program, &args.only)?;
    if let Some(input) = &args.input {
        return targets.iter().try_for_each(|t| repeat(&program, t, input));
    }
    let jobs = args.jobs.max(1);
    let seconds = (args.minutes * 60.0 * jobs as f64 / targets.len() as f64).max(1.0) as u64;
    say(&format!("{} targets, {seconds} s each, {jobs} at a time", targets.len()));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = look(&program, target, &folder, seconds);
                    if let Ok(report) = &report {
                        say(&report.line());
                    }
                    done.lock().unwrap_or_else(|e| e.into_inner()).push(report);
                }
            });
        }
    });
    let reports = done.into_inner().unwrap_or_else(|e| e.into_inner()).into_iter().collect::<Outcome<Vec<_>>>()?;
    summary(reports)
}

/// Whether cargo has called this program in place of the compiler.
pub(crate) fn is_compiler() -> bool {
    std::env::var_os(COMPILER).is_some()
}

/// Compiles a crate, with coverage where it is useful. Build scripts and macros are compiled without a target.
pub(crate) fn compile() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (compiler, rest) = words.split_first().ok_or("no compiler")?;
    let behind = |flag: &str| rest.iter().position(|word| word == flag).and_then(|at| rest.get(at + 1));
    let name = behind("--crate-name").map_or("", String::as_str);
    let covered = behind("--target").is_some() && !WITHOUT.iter().any(|prefix| name.starts_with(prefix));
    let mut command = Command::new(compiler);
    command.args(rest);
    if covered {
        command.args(COVERAGE);
    }
    let status = command.status().map_err(|e| at(Path::new(compiler), &e))?;
    if status.success() { Ok(()) } else { Err(format!("compiling {name} failed")) }
}

/// Builds the program with all targets, with coverage.
fn build(place: &Place) -> Outcome<PathBuf> {
    let about = output(Command::new("rustc").arg("-vV"), "rustc")?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc -vV names no host")?;
    // Separate from the folder of findings, which users may delete.
    let target = place.root.join("target/fuzz-build");
    let mut command = Command::new("cargo");
    command.current_dir(&place.root).args(["build", "--locked", "--profile", "fuzz", "--target", host]);
    command.args(["--package", "gristmill-fuzz", "--features", "engine", "--bin", "fuzz"]);
    command.arg("--target-dir").arg(&target);
    let own = std::env::current_exe().map_err(|e| at(Path::new("this program"), &e))?;
    command.env("RUSTC_WRAPPER", own).env(COMPILER, "1").env("CARGO_INCREMENTAL", "0");
    run(&mut command, "building the fuzz targets")?;
    Ok(target.join(host).join("fuzz/fuzz"))
}

fn chosen(program: &Path, only: &[String]) -> Outcome<Vec<Target>> {
    let listed = output(Command::new(program).env("GRISTMILL_FUZZ", "list"), "the program of the fuzz targets")?;
    let target = |line: &str| {
        let mut words = line.split('\t').map(str::to_string);
        Some(Target { name: words.next()?, most: words.next()?, places: words.map(PathBuf::from).collect() })
    };
    let all: Vec<Target> = listed.lines().filter_map(target).collect();
    if let Some(unknown) = only.iter().find(|name| all.iter().all(|t| t.name != **name)) {
        let known: Vec<&str> = all.iter().map(|t| t.name.as_str()).collect();
        return Err(format!("unknown target `{unknown}`; expected one of {}", known.join(", ")));
    }
    Ok(all.into_iter().filter(|t| only.is_empty() || only.contains(&t.name)).collect())
}

/// The libFuzzer command for a target.
fn engine(program: &Path, target: &Target) -> Command {
    let mut command = Command::new(program);
    command.env("GRISTMILL_FUZZ", &target.name);
    command.args([
        format!("-timeout={MAX_SECONDS}"),
        format!("-rss_limit_mb={MAX_MIB}"),
        format!("-max_len={}", target.most),
    ]);
    command
}

/// Runs a single input.
fn repeat(program: &Path, target: &Target, input: &Path) -> Outcome {
    run(engine(program, target).arg(input), &format!("{}: {}", target.name, input.display()))
}

/// Searches for failing inputs for `seconds`.
fn look(program: &Path, target: &Target, folder: &Path, seconds: u64) -> Outcome<Report> {
    let made = |name: &str| {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(|e| at(&path, &e)).map(|()| path)
    };
    let (corpus, found, logs) = (made(&format!("corpus/{}", target.name))?, made("found")?, made("logs")?);
    let log = logs.join(format!("{}.txt", target.name));
    let file = File::create(&log).map_err(|e| at(&log, &e))?;
    let begin = Instant::now();
    let mut command = engine(program, target);
    command.args(["-print_final_stats=1", &format!("-max_total_time={seconds}")]);
    command.arg(format!("-artifact_prefix={}/{}-", found.display(), target.name));
    command.arg(&corpus).args(&target.places).stdout(Stdio::null()).stderr(file);
    let status = command.status().map_err(|e| at(program, &e))?;
    let said = String::from_utf8_lossy(&fs::read(&log).map_err(|e| at(&log, &e))?).into_owned();
    let number = |key: &str| {
        let line = said.lines().rev().find_map(|line| line.strip_prefix(&format!("stat::{key}:")));
        line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
    };
    let executions: u64 = number("number_of_executed_units");
    Ok(Report {
        name: target.name.clone(),
        executions,
        per_second: executions / begin.elapsed().max(Duration::from_secs(1)).as_secs(),
        new: number("new_units_added"),
        slowest: number("slowest_unit_time_sec"),
        peak: number("peak_rss_mb"),
        found: (!status.success()).then(|| what_was_found(&found, target, &log)),
    })
}

/// A message with the input that ended a target, and the log file.
fn what_was_found(folder: &Path, target: &Target, log: &Path) -> String {
    let own = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{}-", target.name)))
    };
    let newest = list(folder)
        .unwrap_or_default()
        .into_iter()
        .filter(own)
        .max_by_key(|path| fs::metadata(path).and_then(|about| about.modified()).ok());
    let input = newest.map_or("no input".to_string(), |path| path.display().to_string());
    format!("{input} ({})", log.display())
}

impl Report {
    fn line(&self) -> String {
        let Report { name, executions, per_second, new, slowest, peak, found } = self;
        let found = found.as_ref().map_or("nothing".to_string(), Clone::clone);
        format!("{name:<13} {executions:>10} {per_second:>8}/s {new:>6} new {slowest:>3} s {peak:>5} MiB  {found}")
    }
}

/// A table of all targets. Fails if something was found.
fn summary(mut reports: Vec<Report>) -> Outcome {
    reports.sort_by(|a, b| a.name.cmp(&b.name));
    let sum: u64 = reports.iter().map(|r| r.executions).sum();
    println!("target        executions        rate     inputs slowest     peak  found");
    reports.iter().for_each(|r| println!("{}", r.line()));
    println!("{:<13} {sum:>10}", "all");
    match reports.iter().filter(|r| r.found.is_some()).count() {
        0 => Ok(()),
        n => Err(format!("{n} targets ended early; `cargo xtask fuzz --only NAME --input FILE` repeats an input")),
    }
}
