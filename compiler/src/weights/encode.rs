//! Encodes rows of f32 as stored bytes: tiles of quantized planes, or dense floats.

use gristmill_graph::QuantSpec;
use gristmill_graph::quant::{PackedTile, QuantLayout, TILE, Tile, pack_tile};
use half::f16;

use super::convert::{encode_f16, encode_f32, sum_of_squares};
use super::quantize::{ROWS, quantize_rows};

/// The error introduced by storing values, as the sums for a relative root mean square error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// Sum of squared differences.
    pub error: f64,
    /// Sum of squares of the values.
    pub energy: f64,
}

impl Loss {
    /// Adds the sums of another part of the tensor.
    pub fn add(&mut self, other: Loss) {
        self.error += other.error;
        self.energy += other.energy;
    }

    /// The root mean square error relative to the root mean square of the values; 0 if all are 0.
    pub fn relative(&self) -> f64 {
        if self.energy > 0.0 { (self.error / self.energy).sqrt() } else { 0.0 }
    }
}

/// Quantizes and packs the tiles of one weight. Reuses its buffers.
#[derive(Debug)]
pub struct TileEncoder {
    layout: QuantLayout,
    tile: Tile,
}

impl TileEncoder {
    /// An encoder for tiles of this layout.
    pub fn new(layout: QuantLayout) -> Self {
        Self { layout, tile: Tile::zeros(&layout) }
    }

    /// Encodes up to 32 rows of finite values (`[rows, columns]`, row-major). `Err` is the index of a row with values
    /// too large for the format.
    pub fn encode(&mut self, values: &[f32]) -> Result<(PackedTile, Loss), usize> {
        let columns = self.layout.columns;
        let (codes, headers) = (ROWS * self.layout.padded_columns(), ROWS * self.layout.header_bytes());
        let mut loss = Loss::default();
        for first in (0..TILE).step_by(ROWS) {
            let part = first / ROWS;
            let codes = &mut self.tile.codes[part * codes..][..codes];
            let headers = &mut self.tile.headers[part * headers..][..headers];
            let rows = &values[(first * columns).min(values.len())..((first + ROWS) * columns).min(values.len())];
            let scales = quantize_rows(self.layout.spec, rows, columns, codes, headers).map_err(|row| first + row)?;
            for (i, scale) in scales.iter().enumerate() {
                (self.tile.scales[first + i], self.tile.minima[first + i]) = (scale.rs, scale.rm);
                loss.error += scale.error;
            }
        }
        loss.energy = sum_of_squares(values);
        Ok((pack_tile(&self.layout, &self.tile), loss))
    }
}

/// Encodes a whole weight of `[rows, columns]`; for tests and small weights.
///
/// Fails like [`QuantLayout::new`], or if a row has values too large for the format.
pub fn encode_matrix(values: &[f32], rows: u64, columns: u64, spec: QuantSpec) -> Result<(Vec<u8>, Loss), String> {
    let layout = QuantLayout::new(rows, columns, spec)?;
    if values.len() != layout.rows * layout.columns {
        return Err(format!("{} values for a weight of shape [{rows}, {columns}]", values.len()));
    }
    let mut encoder = TileEncoder::new(layout);
    let (mut bytes, mut loss) = (vec![0; layout.bytes as usize], Loss::default());
    for (index, tile) in values.chunks(TILE * layout.columns).enumerate() {
        let (packed, part) =
            encoder.encode(tile).map_err(|r| format!("row {} is too large for the format", index * TILE + r))?;
        packed.write_to(&layout, index, &mut bytes);
        loss.add(part);
    }
    Ok((bytes, loss))
}

/// Encodes finite values as f32, without loss.
pub fn encode_single(values: &[f32]) -> (Vec<u8>, Loss) {
    let mut bytes = Vec::with_capacity(4 * values.len());
    encode_f32(values, &mut bytes);
    (bytes, Loss { error: 0.0, energy: sum_of_squares(values) })
}

/// Encodes finite values as f16. `Err` is the index of a value larger than the largest f16.
pub fn encode_half(values: &[f32]) -> Result<(Vec<u8>, Loss), usize> {
    let mut bytes = Vec::with_capacity(2 * values.len());
    let error = encode_f16(values, &mut bytes);
    if !error.is_finite() {
        let too_large = |b: &[u8; 2]| !f16::from_le_bytes(*b).is_finite();
        if let Some(i) = bytes.as_chunks::<2>().0.iter().position(too_large) {
            return Err(i);
        }
    }
    Ok((bytes, Loss { error, energy: sum_of_squares(values) }))
}
