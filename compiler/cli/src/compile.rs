//! `gristmill compile`.

use std::path::Path;
use std::time::Duration;

use gristmill_compiler::{CompileOptions, CompileReport};

use crate::args::CompileArgs;
use crate::failure::{Exit, Outcome};
use crate::locate::{COMPACT, locate, options};
use crate::output::{bytes, count, note};
use crate::page;
use crate::progress::Bar;

/// Compiles a model, and prints a summary on stderr.
pub(crate) fn compile(args: &CompileArgs) -> Outcome {
    let options = CompileOptions { page: page::files(), ..options(&args.flags, COMPACT) };
    let model = locate(&args.model, &args.flags)?;
    let bar = Bar::new();
    let report = gristmill_compiler::compile(&model, &args.output, &options, &bar)?;
    let times = bar.finish();
    note(&summary(&args.output, &report, &times));
    if report.browser && options.page.is_empty() {
        note(page::MISSING);
    }
    Ok(Exit::Done)
}

/// A summary in a few lines: sizes, kernels, and the time of each stage.
fn summary(bundle: &Path, report: &CompileReport, times: &[(String, Duration)]) -> String {
    let weights = &report.weights;
    let kernels: Vec<String> = report.kernels.iter().map(|(target, n)| format!("{n} for {target}")).collect();
    let dispatches: Vec<String> = report.dispatches.iter().map(|(entry, n)| format!("{entry} {n}")).collect();
    let times: Vec<String> = times.iter().map(|(name, t)| format!("{name} {:.2} s", t.as_secs_f64())).collect();
    let less = match weights.real_reduction > 0.0 {
        true => format!(
            "; {:.1} % and {:.1} % less than f16",
            weights.payload_reduction * 100.0,
            weights.real_reduction * 100.0
        ),
        false => String::new(),
    };
    let requantized = weights.requantized.as_ref().map_or(String::new(), |r| {
        let (formats, error) = (r.formats.join(", "), r.relative_squared_error);
        format!("\n  requantized from {formats}; this adds a relative squared error of {error:.2e}")
    });
    format!(
        "{}\n  weights     {} ({} weights; {:.2} bits of payload, {:.2} bits stored per weight{less}){requantized}\n\
         \x20 kernels     {}\n  dispatches  {}\n  time        {}",
        bundle.display(),
        bytes(weights.bytes),
        count(weights.weights),
        weights.payload_bits,
        weights.real_bits,
        kernels.join(", "),
        dispatches.join(", "),
        times.join(", "),
    )
}
