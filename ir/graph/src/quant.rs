//! The layout of stored weights in bytes: the reference implementation for encoders and kernels.
//!
//! Float weights are dense and row-major. A quantized `[N, K]` matrix is divided into *tiles* of [`TILE`] rows. Its
//! bytes are up to four planes, one after another, each of which is stored tile by tile. The format ([`crate::format`])
//! defines the meaning of codes, headers and factors.
//!
//! 1. *codes*: those bits of codes that the first plane of the format has, `w` of them. A `vec4<u32>` holds `128 / w`
//!    consecutive columns of a row; vector `v` of row `r` of a tile is its vec4 number `32*v + r`. Inside a word, codes
//!    are spread so that one shift and one mask give the bytes of four consecutive columns: code `i` of a word is at
//!    bit `8*(i & 3) + w*(i >> 2)`. Behind the vectors of all rows stand the columns that fill none, four at a
//!    time: quad `q` of 32 rows takes `w` vec4, `4*w` words. That of row `r` is in word `r % (4*w)`, code `i` of it at bit
//!    `8*i + w*(r / (4*w))`. So a row is padded to four columns, and threads of neighbouring rows read neighbouring words.
//! 2. *high bits*: the same for the second plane, if the format has one.
//! 3. *headers*: those of a row, little-endian in u32 words; word `w` of row `r` of a tile is its word number `32*w + r`.
//!    Behind all whole words stand the headers that fill none, one at a time: header `h` of 32 rows, of `b` bytes,
//!    takes `8*b` words. That of row `r` is in word `r % (8*b)`, from bit `8*b*(r / (8*b))` on.
//! 4. *row factors*: f16 each; of formats with two per row, both in a word.
//!
//! Decoding is exact in f32 except for the final rounding of products with more than 24 bits. Rows of padding have zero
//! headers and codes; a block that is cut by the end of a row has a header like any other.

use half::f16;

use crate::dtype::Precision;
use crate::format::{Format, Header, QuantSpec};

/// The number of rows per tile.
pub const TILE: usize = 32;
/// The largest block size, in columns.
pub const LARGEST_BLOCK: usize = 128;
/// Rows are padded to a multiple of this number of columns.
const QUAD: usize = 4;
/// The sizes of weights and planes are multiples of this, in bytes.
pub const ALIGN: u64 = 16;

/// A plane: a byte range that is stored tile by tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// The offset of the first byte in the weight.
    pub offset: u64,
    /// Bytes per tile; tile `t` is at `offset + t * tile_bytes`.
    pub tile_bytes: u64,
}

/// The layout of a quantized `[rows, columns]` weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantLayout {
    /// The format.
    pub spec: QuantSpec,
    /// Rows (N), without padding.
    pub rows: usize,
    /// Columns (K), without padding.
    pub columns: usize,
    /// Tiles of 32 rows.
    pub tiles: usize,
    /// Codes, or their low bits.
    pub codes: Plane,
    /// High bits of codes; `tile_bytes` is 0 if the format has one plane.
    pub high: Plane,
    /// Block headers.
    pub headers: Plane,
    /// Row factors.
    pub scales: Plane,
    /// The total size in bytes.
    pub bytes: u64,
}

/// The number of vectors of `width`-bit codes that a padded row fills, and the number of quads of columns that are
/// left.
pub fn vectors_and_quads(columns: u64, width: u8) -> (u64, u64) {
    let (quads, per_vector) = (columns.div_ceil(QUAD as u64), 32 / u64::from(width));
    (quads / per_vector, quads % per_vector)
}

impl QuantLayout {
    /// The layout of a `[rows, columns]` weight.
    ///
    /// # Errors
    /// If a size is zero, or the sizes overflow the address space.
    pub fn new(rows: u64, columns: u64, spec: QuantSpec) -> Result<Self, String> {
        if rows == 0 || columns == 0 {
            return Err(format!("a quantized weight needs rows and columns, found [{rows}, {columns}]"));
        }
        let too_large = || format!("a weight of shape [{rows}, {columns}] is too large");
        Self::checked(rows, columns, spec).ok_or_else(too_large)
    }

    fn checked(rows: u64, columns: u64, spec: QuantSpec) -> Option<Self> {
        let tiles = rows.div_ceil(TILE as u64);
        let Format { planes, header, .. } = spec.format();
        // A vector of 32 rows: 512 bytes; a quad: `width` times 16.
        let codes_of = |width: u8| {
            let (vectors, quads) = vectors_and_quads(columns, width);
            vectors.checked_mul(512)?.checked_add(16 * u64::from(width) * quads)
        };
        let codes = codes_of(planes[0])?;
        let high = planes.get(1).map_or(Some(0), |width| codes_of(*width))?;
        let blocks = columns.div_ceil(u64::from(spec.group()));
        let headers = blocks.checked_mul((header.bytes() * TILE) as u64)?;
        let scales = (2 * header.row_factors() * TILE) as u64;
        let mut end = 0u64;
        let mut plane = |tile_bytes: u64| -> Option<Plane> {
            let plane = Plane { offset: end, tile_bytes };
            end = end.checked_add(tile_bytes.checked_mul(tiles)?)?;
            Some(plane)
        };
        let (codes, high, headers, scales) = (plane(codes)?, plane(high)?, plane(headers)?, plane(scales)?);
        let index = |n: u64| usize::try_from(n).ok().filter(|n| isize::try_from(*n).is_ok());
        index(end)?;
        index(columns.checked_next_multiple_of(QUAD as u64)?.checked_mul(tiles)?.checked_mul(TILE as u64)?)?;
        let (rows, columns, tiles) = (index(rows)?, index(columns)?, index(tiles)?);
        Some(Self { spec, rows, columns, tiles, codes, high, headers, scales, bytes: end })
    }

    /// Columns with padding: a multiple of 4.
    pub fn padded_columns(&self) -> usize {
        self.columns.next_multiple_of(QUAD)
    }

    /// Blocks per row; the end of the row may cut the last one.
    pub fn blocks(&self) -> usize {
        self.columns.div_ceil(usize::from(self.spec.group()))
    }

    /// Header bytes per row.
    pub fn header_bytes(&self) -> usize {
        self.blocks() * self.spec.format().header.bytes()
    }

    /// Stored bits per weight, including scales and padding.
    pub fn bits_per_weight(&self) -> f64 {
        8.0 * self.bytes as f64 / (self.rows as f64 * self.columns as f64)
    }
}

/// The header byte of a symmetric block: a scale from -64 to 63, and whether the grid is shifted.
pub fn symmetric_header(scale: i8, shifted: bool) -> u8 {
    ((scale << 1) as u8) | u8::from(shifted)
}

/// 32 rows of a quantized weight, before packing. Rows beyond the end of the weight, columns beyond the end of a
/// row and headers of blocks beyond it must be 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// Codes, `[32, padded_columns]`. Codes of 8 bit symmetric weights are two's complement.
    pub codes: Vec<u8>,
    /// Header bytes, `[32, header_bytes]`.
    pub headers: Vec<u8>,
    /// Row factors; not stored for formats without.
    pub scales: [f16; TILE],
    /// Second row factors; not stored for formats with fewer than two.
    pub minima: [f16; TILE],
}

impl Tile {
    /// A tile of padding.
    pub fn zeros(layout: &QuantLayout) -> Self {
        Self {
            codes: vec![0; TILE * layout.padded_columns()],
            headers: vec![0; TILE * layout.header_bytes()],
            scales: [f16::ZERO; TILE],
            minima: [f16::ZERO; TILE],
        }
    }
}

/// The bytes of one tile in each plane, each `tile_bytes` long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedTile {
    /// Part of [`QuantLayout::codes`].
    pub codes: Vec<u8>,
    /// Part of [`QuantLayout::high`]; empty if the format has one plane.
    pub high: Vec<u8>,
    /// Part of [`QuantLayout::headers`].
    pub headers: Vec<u8>,
    /// Part of [`QuantLayout::scales`].
    pub scales: Vec<u8>,
}

impl PackedTile {
    /// Copies the planes of tile `index` to their places in the bytes of the weight.
    pub fn write_to(&self, layout: &QuantLayout, index: usize, bytes: &mut [u8]) {
        for (plane, part) in [
            (layout.codes, &self.codes),
            (layout.high, &self.high),
            (layout.headers, &self.headers),
            (layout.scales, &self.scales),
        ] {
            let at = (plane.offset + index as u64 * plane.tile_bytes) as usize;
            bytes[at..at + part.len()].copy_from_slice(part);
        }
    }
}

/// Packs 32 rows. Tiles are independent of each other.
///
/// # Panics
/// If the lengths in `tile` are not those of `layout`.
pub fn pack_tile(layout: &QuantLayout, tile: &Tile) -> PackedTile {
    let columns = layout.padded_columns();
    assert_eq!(tile.codes.len(), TILE * columns, "codes of a tile");
    assert_eq!(tile.headers.len(), TILE * layout.header_bytes(), "headers of a tile");
    let Format { planes, header, .. } = layout.spec.format();
    let scales = tile.scales.iter().zip(&tile.minima);
    PackedTile {
        codes: pack_plane(&tile.codes, columns, 0, planes[0]),
        high: planes.get(1).map_or(Vec::new(), |width| pack_plane(&tile.codes, columns, planes[0], *width)),
        headers: pack_headers(layout, &tile.headers),
        scales: match header.row_factors() {
            0 => Vec::new(),
            2 => scales.flat_map(|(s, m)| [s.to_le_bytes(), m.to_le_bytes()]).flatten().collect(),
            _ => scales.flat_map(|(s, _)| s.to_le_bytes()).collect(),
        },
    }
}

/// `width` bits of all codes of a tile, from bit `first` on.
fn pack_plane(codes: &[u8], columns: usize, first: u8, width: u8) -> Vec<u8> {
    let (vectors, quads) = vectors_and_quads(columns as u64, width);
    let (vectors, quads, w) = (vectors as usize, quads as usize, usize::from(width));
    let mut words = vec![0u32; TILE * vectors * 4 + quads * 4 * w];
    for (row, codes) in codes.chunks_exact(columns).enumerate() {
        let (whole, rest) = codes.split_at(vectors * 128 / w);
        for (n, codes) in whole.chunks_exact(32 / w).enumerate() {
            words[((n / 4) * TILE + row) * 4 + n % 4] = spread(codes, first, width);
        }
        for (q, codes) in rest.chunks_exact(QUAD).enumerate() {
            words[TILE * vectors * 4 + q * 4 * w + row % (4 * w)] |= spread(codes, first, width) << (row / (4 * w) * w);
        }
    }
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// A word of `width` bits of codes, from bit `first` on: that of code `i` at bit `8*(i & 3) + width*(i >> 2)`.
fn spread(codes: &[u8], first: u8, width: u8) -> u32 {
    let (mask, width) = ((1u32 << width) - 1, u32::from(width));
    let place = |i: u32| 8 * (i & 3) + width * (i >> 2);
    codes.iter().zip(0u32..).fold(0, |w, (c, i)| w | ((u32::from(*c) >> first & mask) << place(i)))
}

fn pack_headers(layout: &QuantLayout, headers: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; layout.headers.tile_bytes as usize];
    for (row, bytes) in headers.chunks_exact(layout.header_bytes()).enumerate() {
        for (i, byte) in bytes.iter().enumerate() {
            packed[header_place(layout, row, i)] = *byte;
        }
    }
    packed
}

/// The position of byte `i` of the headers of a row in the headers of its tile.
fn header_place(layout: &QuantLayout, row: usize, i: usize) -> usize {
    let (size, whole) = (layout.spec.format().header.bytes(), layout.header_bytes() / 4 * 4);
    if i < whole {
        return (i / 4 * TILE + row) * 4 + i % 4;
    }
    let (header, byte) = ((i - whole) / size, (i - whole) % size);
    let word = header * 8 * size + row % (8 * size);
    TILE * whole + 4 * word + row / (8 * size) * size + byte
}

/// The values of a quantized `[rows, columns]` weight, row-major.
///
/// # Errors
/// If [`QuantLayout::new`] fails, or the length of `bytes` differs from the layout.
pub fn decode(bytes: &[u8], rows: u64, columns: u64, spec: QuantSpec) -> Result<Vec<f32>, String> {
    let layout = QuantLayout::new(rows, columns, spec)?;
    if bytes.len() as u64 != layout.bytes {
        return Err(format!("expected {} bytes, found {}", layout.bytes, bytes.len()));
    }
    let mut values = Vec::with_capacity(layout.rows * layout.columns);
    for row in 0..layout.rows {
        for column in 0..layout.columns {
            values.push(decode_one(&layout, bytes, row, column));
        }
    }
    Ok(values)
}

/// Word `index` of a tile's part of a plane.
fn word(bytes: &[u8], plane: Plane, tile: usize, index: usize) -> u32 {
    let at = plane.offset as usize + tile * plane.tile_bytes as usize + 4 * index;
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn code_at(layout: &QuantLayout, bytes: &[u8], row: usize, column: usize) -> u8 {
    let planes = layout.spec.format().planes;
    let part = |plane: Plane, width: u8| {
        let (vectors, _) = vectors_and_quads(layout.columns as u64, width);
        let (vectors, w, tile, row) = (vectors as usize, usize::from(width), row / TILE, row % TILE);
        let whole = vectors * 128 / w;
        let (index, shift) = if column < whole {
            let (n, i) = (column * w / 32, column % (32 / w));
            ((n / 4 * TILE + row) * 4 + n % 4, 8 * (i & 3) + w * (i >> 2))
        } else {
            let (q, i) = ((column - whole) / QUAD, (column - whole) % QUAD);
            (TILE * vectors * 4 + q * 4 * w + row % (4 * w), 8 * i + row / (4 * w) * w)
        };
        (word(bytes, plane, tile, index) >> shift) & ((1 << width) - 1)
    };
    let low = part(layout.codes, planes[0]);
    let high = planes.get(1).map_or(0, |width| part(layout.high, *width) << planes[0]);
    (low | high) as u8
}

fn header_at(layout: &QuantLayout, bytes: &[u8], row: usize, byte: usize) -> u8 {
    let tile = layout.headers.offset as usize + row / TILE * layout.headers.tile_bytes as usize;
    bytes[tile + header_place(layout, row % TILE, byte)]
}

fn decode_one(layout: &QuantLayout, bytes: &[u8], row: usize, column: usize) -> f32 {
    let format = layout.spec.format();
    let (code, block) = (code_at(layout, bytes, row, column), column / usize::from(layout.spec.group()));
    let half_at = |i: usize| {
        let at = layout.scales.offset as usize + 2 * i;
        f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
    };
    let header = |byte: usize| header_at(layout, bytes, row, block * format.header.bytes() + byte);
    match format.header {
        Header::ScaleAndShift => {
            let scale = f32::from((header(0) as i8) >> 1);
            half_at(row) * scale * format.value(code, header(0) & 1 == 1) as f32
        }
        Header::ScaleAndMinimum => {
            let (rs, rm) = (half_at(2 * row), half_at(2 * row + 1));
            let grid = format.value(code, false) as f32;
            rs * f32::from(header(0)) * grid + rm * f32::from(header(1) as i8)
        }
        Header::BlockScale => f16::from_le_bytes([header(0), header(1)]).to_f32() * format.value(code, false) as f32,
    }
}

/// The size in bytes of a weight of this shape in the weight stream.
///
/// # Errors
/// If a quantized weight is not a matrix, or the size overflows `u64`.
pub fn stored_bytes(precision: Precision, shape: &[u64]) -> Result<u64, String> {
    let dense = |bytes: u64| {
        let size =
            shape.iter().try_fold(bytes, |a, d| a.checked_mul(*d)).and_then(|n| n.checked_next_multiple_of(ALIGN));
        size.ok_or_else(|| format!("a weight of shape {shape:?} is too large"))
    };
    match precision {
        Precision::F32 => dense(4),
        Precision::F16 => dense(2),
        Precision::Quant(spec) => matrix(shape).and_then(|(n, k)| QuantLayout::new(n, k, spec)).map(|l| l.bytes),
    }
}

fn matrix(shape: &[u64]) -> Result<(u64, u64), String> {
    match shape {
        [n, k] => Ok((*n, *k)),
        _ => Err(format!("only matrices can be quantized, found shape {shape:?}")),
    }
}

/// The f32 values of a weight, row-major, from its bytes in the weight stream.
///
/// # Errors
/// If [`stored_bytes`] fails, or `bytes` has another length.
pub fn decode_stored(precision: Precision, shape: &[u64], bytes: &[u8]) -> Result<Vec<f32>, String> {
    let expected = stored_bytes(precision, shape)?;
    if bytes.len() as u64 != expected {
        return Err(format!("a {precision} weight of shape {shape:?} has {expected} bytes, found {}", bytes.len()));
    }
    // The length of `bytes` bounds the product.
    let count = shape.iter().product::<u64>() as usize;
    match precision {
        Precision::F32 => Ok(bytes.as_chunks::<4>().0.iter().take(count).map(|b| f32::from_le_bytes(*b)).collect()),
        Precision::F16 => Ok(decode_f16(bytes, count)),
        Precision::Quant(spec) => matrix(shape).and_then(|(n, k)| decode(bytes, n, k, spec)),
    }
}

/// The first `count` values (or fewer, if there are fewer) of little-endian f16.
pub fn decode_f16(bytes: &[u8], count: usize) -> Vec<f32> {
    bytes.as_chunks::<2>().0.iter().take(count).map(|b| f16::from_le_bytes(*b).to_f32()).collect()
}

#[cfg(test)]
mod tests;
