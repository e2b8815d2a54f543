//! Timestamps of tokens, from the cross-attention weights of the decoder.

/// Attention weights of some heads over the positions of the encoder, for consecutive tokens.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// `[heads, tokens, positions]`, row-major.
    pub(crate) values: Vec<f32>,
    pub(crate) heads: usize,
    pub(crate) tokens: usize,
    pub(crate) positions: usize,
}

/// The position at which each token has ended, in ascending order: `_extract_token_timestamps` of transformers. A token
/// attends to the audio of the next one, so that it has ended where the path through the weights enters its row.
/// `median` is the width of the filter over positions.
pub(crate) fn ends(weights: &Weights, median: usize) -> Vec<usize> {
    let Weights { heads, tokens, positions, .. } = *weights;
    if tokens == 0 || positions == 0 || heads == 0 {
        return vec![0; tokens];
    }
    let mut mean = vec![0.0f64; tokens * positions];
    for head in weights.values.chunks_exact(tokens * positions) {
        let mut head = head.to_vec();
        normalize(&mut head, positions);
        for (row, sums) in head.chunks_exact(positions).zip(mean.chunks_exact_mut(positions)) {
            let filtered = median_filter(row, median);
            sums.iter_mut().zip(filtered).for_each(|(sum, value)| *sum += f64::from(value) / heads as f64);
        }
    }
    path(&mean, tokens, positions)
}

/// Normalizes the weights of each position to a mean of 0 and a variance of 1 over the tokens.
fn normalize(weights: &mut [f32], positions: usize) {
    let tokens = (weights.len() / positions) as f64;
    for position in 0..positions {
        let column = || weights.iter().skip(position).step_by(positions).map(|w| f64::from(*w));
        let mean = column().sum::<f64>() / tokens;
        let deviation = (column().map(|w| (w - mean).powi(2)).sum::<f64>() / tokens).sqrt();
        let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
        let column = weights.iter_mut().skip(position).step_by(positions);
        column.for_each(|w| *w = ((f64::from(*w) - mean) * scale) as f32);
    }
}

/// A median filter with reflect padding. Rows that are too short are unchanged.
fn median_filter(row: &[f32], width: usize) -> Vec<f32> {
    let (margin, last) = (width / 2, row.len() - 1);
    if last < margin {
        return row.to_vec();
    }
    let reflected = |at: usize| {
        let from_start = at.abs_diff(margin);
        row[if from_start > last { 2 * last - from_start } else { from_start }]
    };
    let mut window = Vec::with_capacity(width);
    let around = |at: usize| {
        window.clear();
        for value in (at..at + 2 * margin + 1).map(reflected) {
            let place = window.partition_point(|v: &f32| v.total_cmp(&value).is_lt());
            window.insert(place, value);
        }
        window[margin]
    };
    (0..row.len()).map(around).collect()
}

/// Dynamic time warping (Sakoe and Chiba 1978), in the arithmetic of transformers: where the path with the largest sum
/// of weights, from the first token at the first position to the last token at the last position, enters the row of
/// each token.
fn path(weights: &[f64], tokens: usize, positions: usize) -> Vec<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Step {
        Both,
        Token,
        Position,
    }
    let mut steps = vec![Step::Position; tokens * positions];
    // The costs of one position, for all tokens, from those of the previous position; row 0 is before the first token.
    let mut column = vec![f32::INFINITY; tokens + 1];
    column[0] = 0.0;
    for position in 0..positions {
        let mut next = vec![f32::INFINITY; tokens + 1];
        for token in 0..tokens {
            let (both, before, earlier) = (column[token], next[token], column[token + 1]);
            let (cost, step) = if both < before && both < earlier {
                (both, Step::Both)
            } else if before < both && before < earlier {
                (before, Step::Token)
            } else {
                (earlier, Step::Position)
            };
            next[token + 1] = (f64::from(cost) - weights[token * positions + position]) as f32;
            steps[token * positions + position] = step;
        }
        column = next;
    }
    let mut enters = vec![0; tokens];
    let (mut token, mut position) = (tokens - 1, positions - 1);
    loop {
        enters[token] = position;
        match steps[token * positions + position] {
            Step::Both if token > 0 && position > 0 => (token, position) = (token - 1, position - 1),
            Step::Token if token > 0 => token -= 1,
            // At a boundary there is only one way.
            _ if position > 0 => position -= 1,
            _ if token > 0 => token -= 1,
            _ => return enters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_smoothed() {
        assert_eq!(median_filter(&[1.0, 9.0, 2.0, 3.0, 4.0], 3), [9.0, 2.0, 3.0, 3.0, 3.0]);
        assert_eq!(median_filter(&[1.0, 9.0], 7), [1.0, 9.0]);
        assert_eq!(median_filter(&[5.0, 1.0, 4.0], 1), [5.0, 1.0, 4.0]);
        let mut weights = vec![1.0, 5.0, 3.0, 5.0];
        normalize(&mut weights, 2);
        assert_eq!(weights, [-1.0, 0.0, 1.0, 0.0], "what is always the same says nothing");
    }

    #[test]
    fn tokens_follow_one_another() {
        let diagonal = |tokens: usize, positions: usize| {
            let of = |at: usize| if at % positions * tokens / positions == at / positions { 1.0 } else { 0.0 };
            Weights { values: (0..tokens * positions).map(of).collect(), heads: 1, tokens, positions }
        };
        assert_eq!(ends(&diagonal(3, 9), 1), [0, 3, 6]);
        assert_eq!(ends(&diagonal(1, 9), 7), [0]);
        assert!(ends(&Weights { values: vec![], heads: 2, tokens: 0, positions: 9 }, 7).is_empty());
        assert_eq!(ends(&diagonal(9, 3), 1).len(), 9, "more tokens than positions");
    }
}
