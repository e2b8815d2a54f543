//! For native programs: the standard library, and tables made from Python's.

use super::tables::{ALPHA, DIGIT, NUMERIC, UNPRINTABLE, ZEROS};

/// Letters.
pub(crate) fn is_alpha(c: char) -> bool {
    inside(ALPHA, c)
}

/// Digits in circles or as exponents, which are not decimals.
pub(crate) fn is_digit(c: char) -> bool {
    inside(DIGIT, c)
}

/// Numbers that are not digits.
pub(crate) fn is_numeric(c: char) -> bool {
    inside(NUMERIC, c)
}

/// Characters that `repr` does not escape.
pub(crate) fn is_printable(c: char) -> bool {
    !inside(UNPRINTABLE, c)
}

/// The value of a decimal digit. The digits of each script are consecutive, starting at zero.
pub(crate) fn decimal(c: char) -> Option<u32> {
    ZEROS.iter().find_map(|zero| (c as u32).checked_sub(*zero).filter(|d| *d < 10))
}

pub(crate) fn lower(text: &str) -> String {
    text.to_lowercase()
}

pub(crate) fn upper(text: &str) -> String {
    text.to_uppercase()
}

/// The shortest decimal for this number, such as `1.5e-7`.
pub(crate) fn scientific(x: f64) -> String {
    format!("{x:e}")
}

/// Parses a number whose syntax was checked.
pub(crate) fn parse_float(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// Whether a character is in one of the ranges, which are pairs of the distance from the previous range and the length.
fn inside(ranges: &[u16], c: char) -> bool {
    let (mut at, wanted) = (0u32, c as u32);
    for pair in ranges.chunks_exact(2) {
        at += u32::from(pair[0]);
        if wanted < at {
            return false;
        }
        at += u32::from(pair[1]);
        if wanted < at {
            return true;
        }
    }
    false
}
