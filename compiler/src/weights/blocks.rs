//! The block formats of ggml in GGUF files: blocks of values with shared scales.
//!
//! Layouts and the order of roundings follow `gguf.quants` in gguf-py 0.19, so that values are bit-identical.

use half::f16;

/// Values per block of the K formats.
const SUPER: usize = 256;

/// A supported block format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Block {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
}

impl Block {
    /// Number of values and bytes per block.
    pub(crate) fn size(self) -> (u64, u64) {
        match self {
            Block::Q4_0 => (32, 2 + 16),
            Block::Q4_1 => (32, 2 + 2 + 16),
            Block::Q5_0 => (32, 2 + 4 + 16),
            Block::Q5_1 => (32, 2 + 2 + 4 + 16),
            Block::Q8_0 => (32, 2 + 32),
            Block::Q4K => (256, 2 + 2 + 12 + 128),
            Block::Q5K => (256, 2 + 2 + 12 + 32 + 128),
            Block::Q6K => (256, 128 + 64 + 16 + 2),
        }
    }

    /// Its name in ggml.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Block::Q4_0 => "Q4_0",
            Block::Q4_1 => "Q4_1",
            Block::Q5_0 => "Q5_0",
            Block::Q5_1 => "Q5_1",
            Block::Q8_0 => "Q8_0",
            Block::Q4K => "Q4_K",
            Block::Q5K => "Q5_K",
            Block::Q6K => "Q6_K",
        }
    }

    /// Appends the values of whole blocks to `out`.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Block::Q4_0 => each::<18, 32>(bytes, out, |b, v| nibbles(&b[2..], v, |_, q| half(b, 0) * (q - 8.0))),
            Block::Q4_1 => each::<20, 32>(bytes, out, |b, v| nibbles(&b[4..], v, |_, q| half(b, 0) * q + half(b, 2))),
            Block::Q5_0 => each::<22, 32>(bytes, out, |b, v| {
                let high = word(b, 2);
                nibbles(&b[6..], v, |i, q| half(b, 0) * (q + fifth(high, i) - 16.0));
            }),
            Block::Q5_1 => each::<24, 32>(bytes, out, |b, v| {
                let high = word(b, 4);
                nibbles(&b[8..], v, |i, q| half(b, 0) * (q + fifth(high, i)) + half(b, 2));
            }),
            Block::Q8_0 => each::<34, 32>(bytes, out, |b, v| {
                let d = half(b, 0);
                for (v, q) in v.iter_mut().zip(&b[2..]) {
                    *v = f32::from(q.cast_signed()) * d;
                }
            }),
            Block::Q4K => each::<144, SUPER>(bytes, out, q4_k),
            Block::Q5K => each::<176, SUPER>(bytes, out, q5_k),
            Block::Q6K => each::<210, SUPER>(bytes, out, q6_k),
        }
    }
}

/// Decodes blocks of `BYTES` bytes into `VALUES` values each.
fn each<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    out: &mut Vec<f32>,
    decode: impl Fn(&[u8; BYTES], &mut [f32; VALUES]),
) {
    let mut values = [0.0; VALUES];
    for block in bytes.as_chunks::<BYTES>().0 {
        decode(block, &mut values);
        out.extend_from_slice(&values);
    }
}

/// The f16 at byte offset `at`.
fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The 32-bit word at byte offset `at`.
fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// What bit `i` of `high` adds to a 4-bit code.
fn fifth(high: u32, i: usize) -> f32 {
    if high >> i & 1 == 1 { 16.0 } else { 0.0 }
}

/// Four-bit codes: first the low halves of 16 bytes, then the high ones. `value` receives position and code.
fn nibbles(codes: &[u8], values: &mut [f32; 32], value: impl Fn(usize, f32) -> f32) {
    for (i, byte) in codes.iter().enumerate().take(16) {
        values[i] = value(i, f32::from(byte & 15));
        values[i + 16] = value(i + 16, f32::from(byte >> 4));
    }
}

/// Scale and minimum of sub-block `i`, six bits each, from the 12 bytes that all sub-blocks share.
fn scale_min(packed: &[u8], i: usize) -> (f32, f32) {
    let (scale, min) = match i {
        0..4 => (packed[i] & 63, packed[i + 4] & 63),
        _ => ((packed[i + 4] & 15) | packed[i - 4] >> 2 & 48, (packed[i + 4] >> 4) | packed[i] >> 2 & 48),
    };
    (f32::from(scale), f32::from(min))
}

/// Eight sub-blocks of 32 codes; each pair shares 32 bytes.
fn q4_k(block: &[u8; 144], values: &mut [f32; SUPER]) {
    let (d, m) = (half(block, 0), half(block, 2));
    for (i, sub) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, min) = scale_min(&block[4..16], i);
        let (scale, min) = (d * scale, m * min);
        for (v, byte) in sub.iter_mut().zip(&block[16 + 32 * (i / 2)..]) {
            *v = scale * f32::from(byte >> (4 * (i % 2)) & 15) - min;
        }
    }
}

/// Like [`q4_k`], with a fifth bit per code: bit `i` of 32 bytes belongs to sub-block `i`.
fn q5_k(block: &[u8; 176], values: &mut [f32; SUPER]) {
    let (d, m) = (half(block, 0), half(block, 2));
    for (i, sub) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, min) = scale_min(&block[4..16], i);
        let (scale, min) = (d * scale, m * min);
        let codes = block[48 + 32 * (i / 2)..].iter().zip(&block[16..48]);
        for (v, (low, high)) in sub.iter_mut().zip(codes) {
            let code = (low >> (4 * (i % 2)) & 15) | (high >> i & 1) << 4;
            *v = scale * f32::from(code) - min;
        }
    }
}

/// Two halves of 128 codes in rows of 32: the four low bits come from 64 bytes, the two high bits from 32. One scale
/// per 16 codes.
fn q6_k(block: &[u8; 210], values: &mut [f32; SUPER]) {
    let d = half(block, 208);
    for (row, sub) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (part, k) = (row / 4, row % 4);
        let codes = block[64 * part + 32 * (k % 2)..].iter().zip(&block[128 + 32 * part..]);
        for (l, (v, (low, high))) in sub.iter_mut().zip(codes).enumerate() {
            let code = (low >> (4 * (k / 2)) & 15) | (high >> (2 * k) & 3) << 4;
            let scale = block[192 + 2 * row + l / 16].cast_signed();
            *v = d * f32::from(scale) * (f32::from(code) - 32.0);
        }
    }
}
