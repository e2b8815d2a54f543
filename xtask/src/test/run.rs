//! Runs layers.

use std::time::Instant;

use super::layer::Layer;
use super::step::Step;
use super::table::Table;
use crate::command::{Outcome, say};
use crate::place::Place;

/// Runs the steps of these layers, without duplicates, up to the first failure or (with `go_on`) to the end.
pub(super) fn run_all(place: &Place, layers: &[Layer], go_on: bool, table: &mut Table) -> Outcome {
    run(layers, go_on, table, |step| step.take(place))
}

fn run(layers: &[Layer], go_on: bool, table: &mut Table, mut take: impl FnMut(&Step) -> Outcome) -> Outcome {
    let mut taken: Vec<Step> = Vec::new();
    let mut failures = Vec::new();
    for layer in layers {
        for step in layer.steps() {
            if taken.contains(&step) {
                continue;
            }
            say(&format!("{}: {} ({})", layer.name(), step.what(), step.shown()));
            let begin = Instant::now();
            let done = take(&step);
            table.add(layer.name(), step.what(), begin.elapsed().as_secs_f64(), done.is_ok());
            if let Err(why) = done {
                say(&format!("{}, {}: {why}", layer.name(), step.what()));
                failures.push(format!("{}, {}", layer.name(), step.what()));
                if !go_on {
                    return Err(failed(&failures));
                }
            }
            taken.push(step);
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failed(&failures)) }
}

fn failed(failures: &[String]) -> String {
    format!("failed: {}", failures.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_layers_build_is_built_once() {
        let mut taken = Vec::new();
        let mut take = |step: &Step| {
            taken.push(step.clone());
            Ok(())
        };
        assert_eq!(
            run(&[Layer::Goldens, Layer::Web, Layer::Browsers], false, &mut Table::default(), &mut take),
            Ok(())
        );
        assert_eq!(taken.iter().filter(|step| **step == Step::Runtime { twice: false }).count(), 1);
        assert_eq!(taken[0], Step::Runtime { twice: false }, "what tests read is built first");
        assert!(taken.contains(&Step::Packages("tests/dawn")));
    }

    #[test]
    fn the_first_failure_ends_it_unless_all_are_wanted() {
        for (go_on, steps) in [(false, 2), (true, Layer::Fast.steps().len())] {
            let mut count = 0;
            let take = |step: &Step| {
                count += 1;
                if step.what() == "lints" { Err("three warnings".into()) } else { Ok(()) }
            };
            let said = run(&[Layer::Fast], go_on, &mut Table::default(), take);
            assert_eq!((said, count), (Err("failed: fast, lints".into()), steps));
        }
    }
}
