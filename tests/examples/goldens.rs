//! Compares both backends with every golden case in a directory: `cargo run -p gristmill-tests --example goldens -- DIR
//! [FILTER]`.
//!
//! A case has the layout of `tests/goldens` (see its README). Prints one line per run and tensor, and marks the worst
//! tensors. The exit code is 1 if a final tensor is missing or exceeds the tolerance.

use std::path::PathBuf;
use std::process::ExitCode;

use gristmill_tests::backends::check_case;
use gristmill_tests::goldens::Case;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(dir) = args.next().map(PathBuf::from) else {
        eprintln!("usage: goldens DIR [FILTER]");
        return ExitCode::from(2);
    };
    let filter = args.next().unwrap_or_default();
    let mut wrong = 0;
    for case in Case::all_below(&dir).into_iter().filter(|c| c.name.contains(&filter)) {
        match check_case(&case) {
            faults if faults.is_empty() => println!("ok    {}", case.name),
            faults => {
                wrong += 1;
                println!("WRONG {}\n      {}", case.name, faults.join("\n      "));
            }
        }
    }
    println!("{wrong} cases wrong");
    ExitCode::from(u8::from(wrong > 0))
}
