//! The segments of a window, from its tokens.

use std::ops::Range;

/// A passage between two timestamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its start and end, in time steps from the start of the window.
    pub(crate) time: Range<u32>,
    /// Its tokens in the window, including the timestamps at both ends.
    pub(crate) tokens: Range<usize>,
}

/// The segments of a window of `length` time steps, and where the next window begins: at the end of the last complete
/// segment, because what follows may be cut within a word. `first` is the first timestamp token. As in
/// `_retrieve_segment` of transformers.
pub(crate) fn segments(tokens: &[u32], first: u32, length: u32) -> (Vec<Segment>, u32) {
    let is_time = |at: usize| tokens[at] >= first;
    let time = |at: usize| tokens[at].saturating_sub(first).min(length);
    let count = tokens.len();
    // One segment ends and the next begins between two adjacent timestamps.
    let mut ends: Vec<usize> = (1..count).filter(|at| is_time(at - 1) && is_time(*at)).collect();
    if ends.is_empty() {
        let last = (0..count).rev().find(|at| is_time(*at)).map(time).filter(|t| *t > 0);
        let all = Segment { time: 0..last.unwrap_or(length), tokens: 0..count };
        return (if count == 0 { Vec::new() } else { vec![all] }, length);
    }
    // A single timestamp at the end: there is no speech after it.
    let finished = count >= 2 && is_time(count - 1) && !is_time(count - 2);
    if finished {
        ends.push(count);
    }
    let next = if finished { length } else { ends.last().map_or(length, |end| time(end - 1)) };
    let mut from = 0;
    let mut all = Vec::new();
    for end in ends {
        all.push(Segment { time: time(from)..time(end - 1), tokens: from..end });
        from = end;
    }
    (all, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times and token ranges of a segment.
    type Found = (Range<u32>, Range<usize>);

    fn found(tokens: &[u32]) -> (Vec<Found>, u32) {
        let (all, next) = segments(tokens, 20, 50);
        (all.into_iter().map(|s| (s.time, s.tokens)).collect(), next)
    }

    #[test]
    fn the_next_window_begins_where_the_last_segment_ends() {
        assert_eq!(found(&[20, 1, 2, 30, 30, 3, 40, 40]), (vec![(0..10, 0..4), (10..20, 4..7)], 20));
        assert_eq!(
            found(&[20, 1, 2, 30, 32, 3, 4]),
            (vec![(0..10, 0..4)], 10),
            "what is not finished is transcribed again"
        );
        assert_eq!(found(&[21, 1, 30, 32, 3, 45]), (vec![(1..10, 0..3), (12..25, 3..6)], 50), "silence follows");
    }

    #[test]
    fn a_window_may_be_one_segment() {
        assert_eq!(found(&[20, 1, 2, 45]), (vec![(0..25, 0..4)], 50));
        assert_eq!(found(&[20, 1, 2]), (vec![(0..50, 0..3)], 50));
        assert_eq!(found(&[1, 2]), (vec![(0..50, 0..2)], 50));
        assert_eq!(found(&[]), (vec![], 50));
        assert_eq!(found(&[20, 1, 99]), (vec![(0..50, 0..3)], 50), "no time is beyond the window");
    }
}
