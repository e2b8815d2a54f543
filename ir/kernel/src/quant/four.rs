//! Reads four neighbouring rows of a quantized matrix as integers, for dot products of bytes.
//!
//! A weight is `row_factor * (factor * code + offset)` for symmetric formats and
//! `row_factor * factor * code + row_offset * offset` for asymmetric ones. Codes come as *planes* of bytes from 0 to
//! 127, each with an integer weight: codes of 8 bits are their lower seven bits and 128 times the eighth, which is
//! negative if they are signed.

use gristmill_graph::format::{Format, Grid, Header};

use super::decode::{self, CodePlane, Layout, Stored, TILE, WeightFormat};
use crate::builder::Builder;
use crate::expr::{f, u};
use crate::kernel::{Buf, Expr, Scalar};

/// Columns of a chunk.
const CHUNK: u32 = 128;

/// The columns of a quantized matrix as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteFormat {
    layout: Layout,
    /// Of a row, with padding.
    columns: u32,
}

/// Words of codes, from which [`ByteFormat::quad`] takes quads.
#[derive(Clone, Debug)]
pub struct Words {
    low: Expr,
    /// The high bits of the first quad of each word, in the lowest bits of its bytes; other quads behind them.
    high: Option<Expr>,
}

/// Four open rows; the first is a multiple of four. Rows after the last one exist up to a multiple of 32.
#[derive(Clone, Debug)]
pub struct RowQuad {
    buf: Buf,
    tile: Expr,
    inside: Expr,
    row: Expr,
}

impl WeightFormat {
    /// The matrix as integers; `None` if it holds floats.
    pub fn as_bytes(&self) -> Option<ByteFormat> {
        match self.stored {
            Stored::Quant(layout) => Some(ByteFormat { layout, columns: self.k.next_multiple_of(4) }),
            Stored::F32Vec4 | Stored::F32 | Stored::F16Vec8 | Stored::F16 => None,
        }
    }
}

/// Bits from `by` on.
fn shifted(words: &Expr, by: u32) -> Expr {
    if by == 0 { words.clone() } else { words.shr(by) }
}

/// Lane `i` of result `j` is lane `j` of operand `i`.
pub fn transpose(b: &mut Builder, rows: [&Expr; 4]) -> [Expr; 4] {
    let [r0, r1, r2, r3] = rows;
    let a = b.let_("low01", r0.shuffle(r1, [0, 4, 1, 5]));
    let c = b.let_("low23", r2.shuffle(r3, [0, 4, 1, 5]));
    let d = b.let_("high01", r0.shuffle(r1, [2, 6, 3, 7]));
    let e = b.let_("high23", r2.shuffle(r3, [2, 6, 3, 7]));
    [a.shuffle(&c, [0, 1, 4, 5]), a.shuffle(&c, [2, 3, 6, 7]), d.shuffle(&e, [0, 1, 4, 5]), d.shuffle(&e, [2, 3, 6, 7])]
}

fn four(byte: u32) -> Expr {
    u(byte * 0x0101_0101).splat(4)
}

impl ByteFormat {
    /// The number of entire chunks of 128 columns in a row.
    pub fn chunks(&self) -> u32 {
        self.columns / CHUNK
    }

    /// The number of columns after the entire chunks, a multiple of four.
    pub fn rest(&self) -> u32 {
        self.columns % CHUNK
    }

    /// The number of packs in a chunk; each is a vector of four words.
    pub fn packs_per_chunk(&self) -> u32 {
        self.layout.low.width
    }

    /// The number of quads of columns in a word of codes.
    pub fn quads(&self) -> u32 {
        8 / self.layout.low.width
    }

    /// The number of columns that share a factor and an offset, at most 32.
    pub fn block(&self) -> u32 {
        self.layout.group().min(32)
    }

    /// Whether blocks have offsets with a row factor of their own (formats with minimum).
    pub fn asymmetric(&self) -> bool {
        self.format().header == Header::ScaleAndMinimum
    }

    fn format(&self) -> &'static Format {
        self.layout.spec.format()
    }

    /// Integer weights of the planes.
    pub fn planes(&self) -> &'static [i32] {
        match (self.format().bits(), self.format().grid) {
            (8, Grid::Signed) => &[1, -128],
            (8, _) => &[1, 128],
            _ => &[1],
        }
    }

    /// The word to combine with 8-bit codes by exclusive or, and the number (f32) to add to the resulting bytes, so
    /// that dot products take them in one plane. `kind` is [`Expr::DotSignedness`], 1 or 2. `None` if codes have fewer
    /// bits.
    pub fn whole_bytes(&self, kind: &Expr) -> Option<(Expr, Expr)> {
        // Signed codes become unsigned ones by 128, and the other way round.
        let (moved_in, by) = if self.format().grid == Grid::Signed { (2, -128.0) } else { (1, 128.0) };
        let moved = kind.equals(moved_in);
        (self.format().bits() == 8).then(|| (moved.select(u(0x8080_8080), u(0)), moved.select(f(by), f(0.0))))
    }

    /// Whether dot products of a lane of codes with bytes, and sums of two of them, fit into 16 bits, as
    /// [`Expr::PairSums`] requires.
    pub fn sums_fit_16_bits(&self) -> bool {
        let Grid::Linear { last, .. } = self.format().grid else { return false };
        2 * 4 * self.quads() * 127 * u32::from(last) <= i16::MAX as u32
    }

    /// Opens the rows `row .. row + 4`.
    pub fn open(&self, b: &mut Builder, buf: Buf, row: &Expr) -> RowQuad {
        let tile = b.simplify(row / TILE);
        let inside = b.simplify(row % TILE);
        RowQuad { buf, tile: b.let_("tile", tile), inside: b.let_("inside", inside), row: row.clone() }
    }

    /// Factors and, for asymmetric formats, offsets of the four rows (`vec4<f32>`).
    pub fn row_factors(&self, b: &mut Builder, rows: &RowQuad) -> (Expr, Option<Expr>) {
        let row = &rows.row;
        if self.format().header == Header::BlockScale {
            return (f(self.step().into()).splat(4), None);
        }
        if self.asymmetric() {
            let words = b.let_("row_words", rows.buf.at(row / 4 + self.layout.row_scales()));
            let halves: Vec<Expr> = (0..4).map(|r| b.let_(&format!("halves{r}"), words.lane(r).halves_f16())).collect();
            let side = |n: u32| Expr::vec(halves.iter().map(|h| h.lane(n)).collect::<Vec<_>>());
            return (side(0), Some(side(1)));
        }
        let words = b.let_("row_words", rows.buf.at(row / 8 + self.layout.row_scales()));
        let first = b.let_("first", b.simplify(row / 2 % 4));
        let pair = |n: u32| words.lane(&first + n).halves_f16();
        let factors = Expr::vec([pair(0), pair(1)]);
        (if self.step() == 1 { factors } else { factors * f(self.step().into()).splat(4) }, None)
    }

    /// What one more in a code means, which row factors have in them.
    fn step(&self) -> u8 {
        match self.format().grid {
            Grid::Linear { step, .. } => step,
            Grid::Signed | Grid::Table { .. } => 1,
        }
    }

    /// A pack of an entire chunk of row `r` of the four: `vec4<u32>` of consecutive columns.
    pub fn row_words(&self, b: &mut Builder, rows: &RowQuad, r: u32, chunk: &Expr, pack: u32) -> Words {
        let low = b.let_("codes", self.vector(self.layout.low, rows, r, chunk, pack));
        let high = self.layout.high.map(|plane| {
            let bits = b.let_("high_bits", self.vector(plane, rows, r, chunk, pack / 2));
            // A word of high bits belongs to two words of codes; the second takes the upper half of each byte.
            let moved = b.let_("moved", bits.shr(4));
            let lanes = [0, 4, 1, 5].map(|l| l + 2 * (pack % 2) as u8);
            b.let_("high", bits.shuffle(moved, lanes))
        });
        Words { low, high }
    }

    /// Vector `n` of a chunk of row `r` of the four.
    fn vector(&self, plane: CodePlane, rows: &RowQuad, r: u32, chunk: &Expr, n: u32) -> Expr {
        let n = chunk * plane.width + n;
        rows.buf.at(plane.vector(&rows.tile, &(&rows.inside + r), &n))
    }

    /// The words of a pack of a whole chunk, each of all four rows: `vec4<u32>` with a lane per row.
    pub fn column_words(&self, b: &mut Builder, rows: &RowQuad, chunk: &Expr, pack: u32) -> [Words; 4] {
        let low = self.transposed(b, self.layout.low, rows, chunk, pack);
        let high = self.layout.high.map(|plane| self.transposed(b, plane, rows, chunk, pack / 2));
        [0, 1, 2, 3].map(|w| {
            let high = high.as_ref().map(|high| {
                let in_pair = pack as usize % 2 * 4 + w;
                shifted(&high[in_pair / 2], 4 * (in_pair as u32 % 2))
            });
            Words { low: low[w].clone(), high }
        })
    }

    /// Vector `n` of a chunk of the four rows, word by word.
    fn transposed(&self, b: &mut Builder, plane: CodePlane, rows: &RowQuad, chunk: &Expr, n: u32) -> [Expr; 4] {
        let four = [0, 1, 2, 3].map(|r| b.let_(&format!("codes{r}"), self.vector(plane, rows, r, chunk, n)));
        transpose(b, [&four[0], &four[1], &four[2], &four[3]]).map(|words| b.let_("words", words))
    }

    /// The quads behind the whole chunks, in order of columns; the first quad of each is the one.
    pub fn rest_words(&self, b: &mut Builder, rows: &RowQuad) -> Vec<Words> {
        let low = self.rest_of(b, self.layout.low, rows);
        let high = match self.layout.high {
            Some(plane) => self.rest_of(b, plane, rows).into_iter().map(Some).collect(),
            None => vec![None; low.len()],
        };
        low.into_iter().zip(high).map(|(low, high)| Words { low, high }).collect()
    }

    fn rest_of(&self, b: &mut Builder, plane: CodePlane, rows: &RowQuad) -> Vec<Expr> {
        let mut quads = Vec::new();
        let chunk = u(self.chunks());
        for n in 0..plane.vectors % plane.width {
            for word in self.transposed(b, plane, rows, &chunk, n) {
                quads.extend((0..8 / plane.width).map(|quad| shifted(&word, plane.width * quad)));
            }
        }
        if plane.quads > 0 {
            let shift = b.let_("rest_shift", b.simplify(plane.rest_shift(&rows.inside)));
            for quad in 0..plane.quads {
                let words = rows.buf.at(b.simplify(plane.rest(&rows.tile, &rows.inside, u(quad))));
                quads.push(b.let_("rest", if plane.width == 8 { words } else { words.shr(&shift) }));
            }
        }
        quads
    }

    /// Quad `quad` of each word, plane by plane of its integers.
    pub fn quad(&self, words: &Words, quad: u32) -> Vec<Expr> {
        let mask = |bits: u32| four((1 << bits) - 1);
        let width = self.layout.low.width;
        if width == 8 {
            return vec![words.low.band(mask(7)), words.low.shr(7).band(mask(1))];
        }
        let low = shifted(&words.low, width * quad).band(mask(width));
        let codes = match (&words.high, self.layout.high) {
            (Some(bits), Some(high)) => low.bor(shifted(bits, high.width * quad).band(mask(high.width)).shl(width)),
            _ => low,
        };
        match self.format().grid {
            Grid::Table { values, .. } => vec![codes.lookup(decode::words(values.map(|v| (v - values[0]) as u8)))],
            _ => vec![codes],
        }
    }

    /// Codes of 8 bits as they are.
    pub fn whole(&self, words: &Words) -> Expr {
        words.low.clone()
    }

    /// Factors and offsets (`vec4<f32>`) of the four rows in the block of column `128 * chunk + column`.
    pub fn block_terms(&self, b: &mut Builder, rows: &RowQuad, chunk: &Expr, column: u32) -> (Expr, Option<Expr>) {
        let bytes = self.layout.header_bytes();
        let per_chunk = CHUNK / self.layout.group() * bytes;
        let first = column / self.layout.group() * bytes;
        let byte = b.simplify(chunk * per_chunk + first);
        let (vector, which) = self.layout.header(b, &rows.tile, &rows.inside, &byte);
        let header = b.let_("header", rows.buf.at(vector));
        let shift = b.simplify(which * 8);
        // The byte at `shift` of each lane, from bit `from` on, with its sign.
        let signed = |b: &Builder, shift: &Expr, from: u32| {
            header.shl(b.simplify(u(24) - shift.clone())).bitcast(Scalar::I32).shr(24 + from).to_f32()
        };
        match self.format().header {
            Header::ScaleAndMinimum => {
                let factor = header.shr(shift.clone()).band(u(255).splat(4)).bitcast(Scalar::I32).to_f32();
                let offset = signed(b, &b.simplify(shift + 8), 0);
                (b.let_("factor", factor), Some(b.let_("offset", offset)))
            }
            Header::ScaleAndShift => {
                let factor = b.let_("factor", signed(b, &shift, 1));
                let shifted = header.shr(shift).band(u(1).splat(4)).bitcast(Scalar::I32).to_f32();
                // In units of a step.
                let (by, start) = match self.format().grid {
                    Grid::Signed => return (factor, None),
                    Grid::Linear { step, start, shift, .. } => {
                        let unit = 1.0 / f32::from(step);
                        (unit * f32::from(shift), unit * f32::from(start))
                    }
                    Grid::Table { values, shift } => (f32::from(shift), f32::from(values[0])),
                };
                let offset = shifted.fma(f(by).splat(4), f(start).splat(4)) * &factor;
                (factor, Some(b.let_("offset", offset)))
            }
            Header::BlockScale => {
                let factor = b.let_("factor", halves(header.shr(shift)));
                let start = match self.format().grid {
                    Grid::Signed => return (factor, None),
                    Grid::Linear { step, start, .. } => f32::from(start) / f32::from(step),
                    Grid::Table { values, .. } => f32::from(values[0]),
                };
                let offset = b.let_("offset", &factor * f(start).splat(4));
                (factor, Some(offset))
            }
        }
    }
}

/// The low half of each lane as f16; infinities are finite here. Shifting exponent and mantissa to their places and
/// scaling by 2^112 is exact also for subnormal numbers.
fn halves(words: Expr) -> Expr {
    let magnitude =
        words.band(u(0x7fff).splat(4)).shl(13).bitcast(Scalar::F32) * f(f32::from_bits(0x7780_0000)).splat(4);
    let sign = words.band(u(0x8000).splat(4)).shl(16);
    magnitude.bitcast(Scalar::U32).bor(sign).bitcast(Scalar::F32)
}
