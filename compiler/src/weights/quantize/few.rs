//! Formats with two or three values and an f16 scale per block. The best scale has a closed form, so there is no
//! search. Weights that already have such values, up to f16, are reproduced exactly.

use half::f16;

use super::lanes::ROWS;
use super::rows::Rows;

/// Quantizes rows block by block, to two values or, with `zero`, to three.
pub(super) fn quantize(rows: &mut Rows<'_>, zero: bool, headers: &mut [u8]) -> Result<(), usize> {
    let (padded, per_row) = (rows.codes.len() / ROWS, headers.len() / ROWS);
    let mut scratch = Vec::with_capacity(rows.group);
    for (r, row) in rows.values.chunks_exact(rows.columns).take(ROWS).enumerate() {
        let mut error = 0.0;
        for (b, block) in row.chunks(rows.group).enumerate() {
            let scale = f16::from_f64(if zero { ternary(block, &mut scratch) } else { binary(block) });
            if !scale.is_finite() {
                return Err(r);
            }
            headers[r * per_row + 2 * b..][..2].copy_from_slice(&scale.to_le_bytes());
            let scale = scale.to_f32();
            let codes = &mut rows.codes[r * padded + b * rows.group..][..block.len()];
            for (value, code) in block.iter().zip(codes) {
                // Codes count from the lowest value: -1, (0,) 1.
                let (index, grid) = match *value < 0.0 {
                    _ if zero && value.abs() < 0.5 * scale => (1, 0.0),
                    true => (0, -1.0),
                    false => (1 + u8::from(zero), 1.0),
                };
                *code = index;
                error += f64::from(value - grid * scale).powi(2);
            }
        }
        rows.scales[r].error = error;
    }
    Ok(())
}

/// The scale for `-s` and `s`: the mean of the magnitudes minimizes the squared error `sum (|w| - s)^2`.
fn binary(block: &[f32]) -> f64 {
    block.iter().map(|v| f64::from(v.abs())).sum::<f64>() / block.len() as f64
}

/// The scale for `-s`, `0` and `s`. If the `k` largest magnitudes are not rounded to zero, `s` is their mean, which
/// reduces the error by `(their sum)^2 / k`. The best `k` is found in one pass over the sorted magnitudes.
fn ternary(block: &[f32], sorted: &mut Vec<f64>) -> f64 {
    sorted.clear();
    sorted.extend(block.iter().map(|v| f64::from(v.abs())));
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let (mut sum, mut best, mut scale) = (0.0, 0.0, 0.0);
    for (k, magnitude) in (1u32..).zip(sorted.iter()) {
        sum += magnitude;
        let (gain, mean) = (sum * sum / f64::from(k), sum / f64::from(k));
        if gain > best {
            (best, scale) = (gain, mean);
        }
    }
    scale
}
