//! Runs the fuzz targets without libFuzzer, on seeds, earlier findings, and a few mutations of both. `cargo xtask fuzz`
//! searches for more.

use gristmill_fuzz::{Changer, TARGETS};

/// Mutations per target; they take seconds in total. Fewer for slow targets, which start threads or compile.
const CHANGES: usize = 300;
const FEW: usize = 20;
const SLOW: [&str; 3] = ["compile", "module", "audio"];

#[test]
fn seeds_are_read() {
    let mut refused = Vec::new();
    for target in TARGETS {
        let seeds = target.seeds();
        let bad = seeds.iter().filter(|seed| seed.is_good() && !target.run(&seed.content));
        refused.extend(bad.map(|seed| format!("{}: {}", target.name, seed.path.display())));
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn what_was_found_before_and_changed_seeds_come_back() {
    for target in TARGETS {
        let seeds = target.seeds();
        for seed in seeds.iter().filter(|seed| !seed.is_good()) {
            target.run(&seed.content);
        }
        let mut changer = Changer::new(13);
        for i in 0..if SLOW.contains(&target.name) { FEW } else { CHANGES } {
            let (one, other) = (&seeds[i % seeds.len()], &seeds[i * 7 % seeds.len()]);
            target.run(&changer.change(&one.content, &other.content, target.most));
        }
    }
}
