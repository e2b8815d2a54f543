//! Formats of two or three values with an f16 scale per block. Their best scales have a closed form, so nothing is tried.
//! Weights that are such values already, up to f16, come out as they were.

use half::f16;

use super::lanes::ROWS;
use super::rows::Rows;

/// Quantizes rows block by block, to two values or, with a `zero`, to three.
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

/// The scale for `-s` and `s`: the sum of squared errors `sum (|w| - s)^2` is least for the mean of the magnitudes.
fn binary(block: &[f32]) -> f64 {
    block.iter().map(|v| f64::from(v.abs())).sum::<f64>() / block.len() as f64
}

/// The scale for `-s`, `0` and `s`: if the `k` largest magnitudes are not zero, `s` is their mean, and the error is less than the
/// sum of all squares by `(sum of them)^2 / k`. So the best `k` is found in one pass over sorted magnitudes.
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
