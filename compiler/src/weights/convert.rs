//! Converts stored floats to f32 and back.

use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::Dtype;

use super::blocks::Block;

/// A supported storage format of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    F16,
    Bf16,
    F32,
    F64,
    Block(Block),
}

impl Storage {
    /// The format for a safetensors type, if it is a supported float.
    pub(crate) fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F16 => Some(Storage::F16),
            Dtype::BF16 => Some(Storage::Bf16),
            Dtype::F32 => Some(Storage::F32),
            Dtype::F64 => Some(Storage::F64),
            _ => None,
        }
    }

    /// Elements and bytes of the smallest unit that can be read.
    pub(crate) fn unit(self) -> (u64, u64) {
        match self {
            Storage::F16 | Storage::Bf16 => (1, 2),
            Storage::F32 => (1, 4),
            Storage::F64 => (1, 8),
            Storage::Block(block) => block.size(),
        }
    }

    /// Appends the values of `bytes`, which are whole units, to `out`. f64 is rounded to the nearest f32.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Storage::F32 => {
                out.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
            }
            Storage::Bf16 => {
                let wide = |b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
                out.extend(bytes.as_chunks::<2>().0.iter().map(wide));
            }
            Storage::F16 => decode_f16(bytes, out),
            Storage::F64 => {
                out.extend(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32));
            }
            Storage::Block(block) => block.decode(bytes, out),
        }
    }
}

/// In pieces, because `half` detects the CPU's features on each call.
fn decode_f16(bytes: &[u8], out: &mut Vec<f32>) {
    const PIECE: usize = 256;
    let (mut halves, mut wide) = ([f16::ZERO; PIECE], [0f32; PIECE]);
    for piece in bytes.chunks(2 * PIECE) {
        let n = piece.len() / 2;
        for (h, b) in halves.iter_mut().zip(piece.as_chunks::<2>().0) {
            *h = f16::from_le_bytes(*b);
        }
        halves[..n].convert_to_f32_slice(&mut wide[..n]);
        out.extend_from_slice(&wide[..n]);
    }
}

/// Appends `values` as little-endian f16, rounded to nearest even. Returns the sum of squared differences, which is
/// infinite or NaN if a value exceeds the largest f16.
pub(crate) fn encode_f16(values: &[f32], out: &mut Vec<u8>) -> f64 {
    const PIECE: usize = 256;
    let (mut halves, mut back) = ([f16::ZERO; PIECE], [0f32; PIECE]);
    let mut error = 0.0;
    for piece in values.chunks(PIECE) {
        let (halves, back) = (&mut halves[..piece.len()], &mut back[..piece.len()]);
        halves.convert_from_f32_slice(piece);
        halves.convert_to_f32_slice(back);
        let start = out.len();
        out.resize(start + 2 * piece.len(), 0);
        for (bytes, half) in out[start..].as_chunks_mut::<2>().0.iter_mut().zip(&*halves) {
            *bytes = half.to_le_bytes();
        }
        for (b, v) in back.iter_mut().zip(piece) {
            *b -= v;
        }
        error += sum_of_squares(back);
    }
    error
}

/// Appends `values` as little-endian f32.
pub(crate) fn encode_f32(values: &[f32], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 4 * values.len(), 0);
    for (bytes, value) in out[start..].as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *bytes = value.to_le_bytes();
    }
}

/// The sum of squares. Partial sums are short, in f32 and in a fixed order, so that the loop vectorizes.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    const LANES: usize = 16;
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut total = 0.0;
    for piece in chunks.chunks(64) {
        let mut lanes = [0f32; LANES];
        for chunk in piece {
            for (l, v) in lanes.iter_mut().zip(chunk) {
                *l += v * v;
            }
        }
        total += f64::from(lanes.iter().sum::<f32>());
    }
    total + f64::from(rest.iter().map(|v| v * v).sum::<f32>())
}

/// The index of the first element that is infinite or NaN.
pub(crate) fn first_non_finite(values: &[f32]) -> Option<usize> {
    const PIECE: usize = 1024;
    for (p, piece) in values.chunks(PIECE).enumerate() {
        // Without a branch per element, so that the common case is a few vector instructions.
        let bad = piece.iter().fold(0u32, |bad, v| bad | u32::from(v.to_bits() & 0x7f80_0000 == 0x7f80_0000));
        if bad != 0 {
            return piece.iter().position(|v| !v.is_finite()).map(|i| p * PIECE + i);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let bytes: Vec<u8> = all.iter().flat_map(|b| b.to_le_bytes()).collect();
        let (mut half, mut brain) = (Vec::new(), Vec::new());
        Storage::F16.decode(&bytes, &mut half);
        Storage::Bf16.decode(&bytes, &mut brain);
        for bits in all {
            let want = f16::from_bits(bits).to_f32();
            let got = half[usize::from(bits)];
            assert!(got == want || got.is_nan() && want.is_nan(), "f16 {bits:#06x}");
            assert_eq!(brain[usize::from(bits)].to_bits(), u32::from(bits) << 16);
        }
        let mut back = Vec::new();
        let finite: Vec<f32> = half.iter().copied().filter(|v| v.is_finite()).collect();
        encode_f16(&finite, &mut back);
        let mut again = Vec::new();
        Storage::F16.decode(&back, &mut again);
        assert_eq!(again, finite);
    }

    #[test]
    fn the_first_bad_value_is_found() {
        let mut values = vec![1.0f32; 5000];
        assert_eq!(first_non_finite(&values), None);
        values[4099] = f32::NEG_INFINITY;
        values[4999] = f32::NAN;
        assert_eq!(first_non_finite(&values), Some(4099));
    }
}
