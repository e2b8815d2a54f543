//! The `Range` header.

/// The part of a file that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of the file.
    Whole,
    /// Bytes `first` to `last`, inclusive.
    Part { first: u64, last: u64 },
    /// A range outside of the file.
    Nothing,
}

/// The meaning of a `Range` header for a file of `length` bytes. Malformed headers and multiple ranges are ignored, as
/// the standard allows.
pub(super) fn wanted(header: &str, length: u64) -> Wanted {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|r| r.trim().split_once('-')) else {
        return Wanted::Whole;
    };
    let part = match (number(first), number(last)) {
        (None, None) => return Wanted::Whole,
        // The last `n` bytes.
        (None, Some(n)) if first.is_empty() => Some((length.saturating_sub(n), u64::MAX)).filter(|_| n > 0),
        (Some(first), None) if last.is_empty() => Some((first, u64::MAX)),
        (Some(first), Some(last)) if first <= last => Some((first, last)),
        _ => return Wanted::Whole,
    };
    match part {
        Some((first, last)) if first < length => Wanted::Part { first, last: last.min(length - 1) },
        _ => Wanted::Nothing,
    }
}

/// Parses digits only: `parse` would accept a sign, too.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::Wanted::{self, Nothing, Part, Whole};
    use super::wanted;

    #[test]
    fn ranges() {
        let cases: &[(&str, Wanted)] = &[
            ("bytes=0-3", Part { first: 0, last: 3 }),
            ("bytes=4-", Part { first: 4, last: 9 }),
            ("bytes=9-99", Part { first: 9, last: 9 }),
            ("bytes=-3", Part { first: 7, last: 9 }),
            ("bytes=-30", Part { first: 0, last: 9 }),
            ("bytes=10-", Nothing),
            ("bytes=-0", Nothing),
            ("bytes=3-2", Whole),
            ("bytes=-", Whole),
            ("bytes=a-2", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=1-99999999999999999999", Whole),
            ("lines=0-3", Whole),
            ("", Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(header, 10), *expected, "{header}");
        }
        for header in ["bytes=0-", "bytes=-5", "bytes=0-0"] {
            assert_eq!(wanted(header, 0), Nothing, "{header}");
        }
    }
}
