//! Prints the results of tasks as tables or JSON.

use gristmill_runtime::task::{Detection, Score, Similarity};
use serde_json::{Value, json};

use crate::args::RunArgs;
use crate::failure::{Exit, Outcome};
use crate::output::{Align, Table, emit, emit_json};

fn percent(score: f32) -> String {
    format!("{:.1}%", 100.0 * score)
}

/// A heading if there are several items; empty for one.
fn heading(names: &[String], index: usize) -> String {
    if names.len() > 1 { format!("{}{}\n", if index > 0 { "\n" } else { "" }, names[index]) } else { String::new() }
}

pub(super) fn classes(args: &RunArgs, names: &[String], all: &[Vec<Score>]) -> Outcome {
    let shown = |scores: &[Score]| scores[..scores.len().min(args.top as usize)].to_vec();
    if args.json {
        let items = names.iter().zip(all).map(|(name, scores)| json!({ "input": name, "classes": shown(scores) }));
        return print_json(items.collect());
    }
    for (i, scores) in all.iter().enumerate() {
        let mut table = Table::new(&[("class", Align::Left), ("score", Align::Right)]);
        shown(scores).into_iter().for_each(|s| table.row([s.label, percent(s.score)]));
        emit(&format!("{}{}", heading(names, i), table.render(0)))?;
    }
    Ok(Exit::Done)
}

pub(super) fn found(args: &RunArgs, names: &[String], all: &[Vec<Detection>]) -> Outcome {
    if args.json {
        let items = names.iter().zip(all).map(|(name, found)| json!({ "input": name, "found": found }));
        return print_json(items.collect());
    }
    for (i, found) in all.iter().enumerate() {
        let right = ["score", "left", "top", "right", "bottom"].map(|name| (name, Align::Right));
        let mut table = Table::new(&[&[("class", Align::Left)], right.as_slice()].concat());
        for f in found {
            let corners = f.corners.map(|c| format!("{c:.0}"));
            table.row([f.what.label.clone(), percent(f.what.score)].into_iter().chain(corners));
        }
        let nothing = format!("nothing scored above {}; lower --threshold to see more\n", percent(args.threshold));
        let text = if found.is_empty() { nothing } else { table.render(0) };
        emit(&format!("{}{text}", heading(names, i)))?;
    }
    Ok(Exit::Done)
}

pub(super) fn fits(args: &RunArgs, texts: &[String], names: &[String], all: &[Similarity]) -> Outcome {
    let rows = |fit: &Similarity| -> Vec<(String, f32, f32)> {
        let values = fit.probability.iter().zip(&fit.similarity);
        texts.iter().zip(values).map(|(text, (p, s))| (text.clone(), *p, *s)).collect()
    };
    if args.json {
        let text = |(text, probability, similarity): (String, f32, f32)| json!({ "text": text, "probability": probability, "similarity": similarity });
        let item = |(name, fit): (&String, &Similarity)| json!({ "input": name, "texts": rows(fit).into_iter().map(text).collect::<Vec<_>>() });
        return print_json(names.iter().zip(all).map(item).collect());
    }
    for (i, fit) in all.iter().enumerate() {
        let head = [("text", Align::Left), ("probability", Align::Right), ("similarity", Align::Right)];
        let mut table = Table::new(&head);
        rows(fit).into_iter().for_each(|(text, p, s)| table.row([text, percent(p), format!("{s:.3}")]));
        emit(&format!("{}{}", heading(names, i), table.render(0)))?;
    }
    Ok(Exit::Done)
}

fn print_json(items: Vec<Value>) -> Outcome {
    emit_json(&Value::Array(items))?;
    Ok(Exit::Done)
}
