//! The steps of a demo, and their order.

use std::time::Instant;

use crate::command::Outcome;
use crate::runtime::State;

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Check for the tools that the other steps need.
    Tools,
    /// Build the browser runtime.
    Runtime,
    /// Build `gristmill` with the runtime inside.
    Gristmill,
    /// Compile the model.
    Compile,
    /// Serve the bundle.
    Serve,
}

impl Step {
    /// A description.
    fn what(self) -> &'static str {
        match self {
            Step::Tools => "check tools",
            Step::Runtime => "build the browser runtime",
            Step::Gristmill => "build gristmill",
            Step::Compile => "compile the model",
            Step::Serve => "serve the bundle",
        }
    }

    /// How long it takes the first time, on two cores.
    fn takes(self) -> Option<&'static str> {
        match self {
            Step::Tools | Step::Serve => None,
            Step::Runtime => Some("about a minute the first time"),
            Step::Gristmill => Some("about 4 minutes the first time"),
            Step::Compile => Some("seconds for a small model, minutes for a large one"),
        }
    }

    /// The remedy if it fails.
    fn remedy(self) -> &'static str {
        match self {
            Step::Tools => "install it, then run the same command again",
            Step::Runtime => "`cargo xtask web` runs only this step",
            Step::Gristmill => {
                "`cargo build --release --bin gristmill` runs only this step; if memory is short, set \
                 CARGO_BUILD_JOBS=1"
            }
            Step::Compile => {
                "the message above says what is wrong with the model; without a model, the demo uses the one in this \
                 repository"
            }
            Step::Serve => "--port N serves on another port",
        }
    }
}

/// The steps to run, in order. Each depends on those before it.
pub(super) fn plan(runtime: State) -> Vec<Step> {
    let mut steps = vec![Step::Tools, Step::Runtime, Step::Gristmill, Step::Compile, Step::Serve];
    if runtime == State::Current {
        steps.retain(|step| *step != Step::Runtime);
    }
    steps
}

/// Runs steps in order, up to the first failure, and announces each with `tell`.
pub(super) fn run_all(steps: &[Step], tell: impl Fn(&str), mut take: impl FnMut(Step) -> Outcome) -> Outcome {
    for (n, step) in steps.iter().enumerate() {
        let number = format!("step {} of {}", n + 1, steps.len());
        let takes = step.takes().map_or(String::new(), |takes| format!(" ({takes})"));
        tell(&format!("{number}: {}{takes}", step.what()));
        let begin = Instant::now();
        take(*step).map_err(|why| format!("{number} ({}) failed: {why}\n  {}", step.what(), step.remedy()))?;
        tell(&format!("{number} took {:.1} s", begin.elapsed().as_secs_f64()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_runtime_that_is_current_is_not_built_again() {
        let all = [Step::Tools, Step::Runtime, Step::Gristmill, Step::Compile, Step::Serve];
        assert_eq!(plan(State::Missing), all);
        assert_eq!(plan(State::Old), all);
        assert_eq!(plan(State::Current), [Step::Tools, Step::Gristmill, Step::Compile, Step::Serve]);
    }

    #[test]
    fn steps_are_taken_in_order_and_told() {
        let (taken, told) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let steps = plan(State::Missing);
        let tell = |line: &str| told.borrow_mut().push(line.to_string());
        let take = |step| {
            taken.borrow_mut().push(step);
            Ok(())
        };
        assert_eq!(run_all(&steps, tell, take), Ok(()));
        assert_eq!(*taken.borrow(), steps);
        let told = told.borrow();
        assert_eq!(told[0], "step 1 of 5: check tools");
        assert!(
            told[2].starts_with("step 2 of 5: build the browser runtime") && told[2].contains("minute"),
            "{told:?}"
        );
    }

    #[test]
    fn the_first_failure_ends_it_and_is_named() {
        let mut taken = Vec::new();
        let take = |step| {
            taken.push(step);
            if step == Step::Gristmill { Err("no memory".to_string()) } else { Ok(()) }
        };
        let said = run_all(&plan(State::Missing), |_| {}, take).expect_err("it fails");
        assert_eq!(taken, [Step::Tools, Step::Runtime, Step::Gristmill]);
        assert!(said.starts_with("step 3 of 5 (build gristmill) failed: no memory\n"), "{said}");
        assert!(said.contains("cargo build --release"), "{said}");
    }
}
