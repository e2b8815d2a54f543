//! The `Range` header.

/// What a request wants of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// Bytes from the first to the last one, both included.
    Part { first: u64, last: u64 },
    /// Bytes that are not there.
    Nothing,
}

/// What a `Range` header means for a file of `length` bytes. What it cannot mean, and several ranges at once, are ignored,
/// as the standard allows.
pub(super) fn wanted(header: &str, length: u64) -> Wanted {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|r| r.trim().split_once('-')) else {
        return Wanted::Whole;
    };
    let part = match (number(first), number(last)) {
        (None, None) => return Wanted::Whole,
        // The last so many bytes.
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

/// Digits only: `parse` would take a sign, too.
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
