//! The whole road: a model directory is compiled at f32, and the bundle gives what the original model gave, on the
//! device and on the reference backend.

use gristmill_tests::backends::check_case;
use gristmill_tests::goldens::Case;

fn check(name: &str) {
    let wrong = check_case(&Case::open(name));
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

gristmill_tests::golden_cases!(check);
