//! The complete pipeline: compiles a model directory at f32, and compares the bundle with the original model, on
//! devices and on the reference backend.

use gristmill_tests::backends::check_case;
use gristmill_tests::goldens::Case;

fn check(name: &str) {
    let wrong = check_case(&Case::open(name));
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

gristmill_tests::golden_cases!(check);
