//! `gristmill verify`.

use gristmill_bundle::Manifest;
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::tensors::TensorRun;
use serde_json::{Value, json};

use crate::args::VerifyArgs;
use crate::backend;
use crate::compare::{Comparison, Mask, Verdict, compare};
use crate::failure::{Exit, Failure, Outcome};
use crate::locate::{EXACT, Purpose, bundle_for};
use crate::output::{emit, emit_json};
use crate::run::model_inputs;
use crate::tensors;

/// Runs the model and compares its outputs with the expected tensors.
pub(crate) fn verify(args: &VerifyArgs) -> Outcome {
    let inputs = model_inputs(&args.inputs)?;
    let expected = tensors::read(&args.expect)?;
    let greedy = match expected.get("greedy.tokens").map(|t| t.shape.as_slice()) {
        None => None,
        Some([_, steps]) => Some(u32::try_from(*steps).unwrap_or(u32::MAX)),
        Some(shape) => {
            return Err(Failure::wrong(format!(
                "{}: greedy.tokens: expected shape [batch, steps], found {shape:?}",
                args.expect.display()
            )));
        }
    };
    let dir = bundle_for(&args.model, &args.flags, EXACT, Purpose::Here)?;
    let mut loaded = backend::load(&dir, &args.backend)?;
    let call = TensorRun { entry: args.entry.clone(), taps: args.taps, greedy, start: args.decoder_start.clone() };
    let produced = run_tensors(loaded.backend.as_mut(), loaded.bundle.manifest(), &inputs, &call)?;
    let manifest = loaded.bundle.manifest();
    let applies = |name: &str| by_position(manifest, name);
    let mask = inputs.get("attention_mask").map(|mask| Mask { mask, applies: &applies });
    let comparison = compare(&produced, &expected, mask.as_ref(), args.tol);
    if args.json {
        emit_json(&report(&comparison, args.tol))?;
    } else {
        emit(&comparison.render(args.tol))?;
    }
    Ok(if comparison.passes() { Exit::Done } else { Exit::No })
}

/// Whether the first axes of an output are batch and position, like those of the attention mask.
fn by_position(manifest: &Manifest, name: &str) -> bool {
    let outputs = manifest.entries.iter().flat_map(|e| &e.outputs);
    let mut shapes = outputs.filter(|o| o.name == name).map(|o| &o.shape);
    shapes.any(|s| s.len() >= 2 && s[0].as_symbol() == Some("B") && s[1].as_symbol() == Some("T"))
}

fn report(comparison: &Comparison, tolerance: f64) -> Value {
    let rows: Vec<Value> = comparison
        .rows
        .iter()
        .map(|r| {
            let (verdict, why) = match &r.verdict {
                Verdict::Ok => ("ok", ""),
                Verdict::Loose => ("loose", ""),
                Verdict::Fail(why) => ("fail", why.as_str()),
            };
            json!({
                "name": r.name, "verdict": verdict, "why": why, "max_over_std": r.max_over_std, "rel_rms": r.rel_rms,
                "cosine": r.cosine, "compared": r.compared, "note": r.note,
            })
        })
        .collect();
    json!({
        "passes": comparison.passes(), "tolerance": tolerance, "tensors": rows, "not_produced": comparison.missing,
    })
}
