//! Four neighbouring rows of a quantized matrix at a time, as integers: what products of bytes work with.
//!
//! A weight is `row_factor * (factor * code + offset)` for symmetric formats and
//! `row_factor * factor * code + row_offset * offset` for asymmetric ones. Codes come as *planes* of bytes from 0 to
//! 127, each with an integer weight: codes of 8 bits are their lower seven bits and 128 times the eighth, which is
//! negative if they are signed.

use gristmill_graph::format::{Format, Grid, Header};

use super::{CHUNK, Layout, Stored, TILE, WeightFormat};
use crate::builder::Builder;
use crate::expr::{f, u};
use crate::kernel::{Buf, Expr, Scalar};

/// How the columns of a quantized matrix are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteFormat {
    layout: Layout,
}

/// Four rows that are being read; the first is a multiple of four. Rows behind the last exist up to a multiple of 32.
#[derive(Clone, Debug)]
pub struct FourRows {
    buf: Buf,
    tile: Expr,
    inside: Expr,
    row: Expr,
}

impl WeightFormat {
    /// The matrix as integers; `None` if it holds floats.
    pub fn as_bytes(&self) -> Option<ByteFormat> {
        match self.stored {
            Stored::Quant(layout) => Some(ByteFormat { layout }),
            Stored::F32Quads | Stored::F32 | Stored::F16Octets | Stored::F16 => None,
        }
    }
}

fn four(byte: u32) -> Expr {
    u(byte * 0x0101_0101).splat(4)
}

impl ByteFormat {
    /// Chunks of 128 columns in a row.
    pub fn chunks(&self) -> u32 {
        self.layout.packs / self.layout.vectors
    }

    /// Packs in a chunk; each is a vector of four words.
    pub fn packs_per_chunk(&self) -> u32 {
        self.layout.vectors
    }

    /// Quads of columns in a word of codes.
    pub fn quads(&self) -> u32 {
        self.layout.pack_columns() / 16
    }

    /// Columns that share factor and offset, at most 32.
    pub fn block(&self) -> u32 {
        self.layout.group().min(32)
    }

    /// Whether blocks have offsets that a row factor of their own multiplies.
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

    /// The word to exclude-or codes of 8 bits with, and what to add to the bytes that this gives (f32), so that products
    /// of bytes take them whole. `kind` is [`Expr::WideBytes`], 1 or 2. `None` if codes have fewer bits.
    pub fn whole_bytes(&self, kind: &Expr) -> Option<(Expr, Expr)> {
        // Signed codes become unsigned ones by 128, and the other way round.
        let (moved_in, by) = if self.format().grid == Grid::Signed { (2, -128.0) } else { (1, 128.0) };
        let moved = kind.equals(moved_in);
        (self.format().bits() == 8).then(|| (moved.select(u(0x8080_8080), u(0)), moved.select(f(by), f(0.0))))
    }

    /// Whether the products of a lane of codes with bytes, and sums of two such, stay within 16 bits, as pair sums need
    /// them.
    pub fn sums_fit_16_bits(&self) -> bool {
        let Grid::Linear { last, .. } = self.format().grid else { return false };
        2 * 4 * self.quads() * 127 * u32::from(last) <= i16::MAX as u32
    }

    /// Starts reading rows `row .. row + 4`.
    pub fn open(&self, b: &mut Builder, buf: Buf, row: &Expr) -> FourRows {
        let tile = b.simplify(row / TILE);
        let inside = b.simplify(row % TILE);
        FourRows { buf, tile: b.let_("tile", tile), inside: b.let_("inside", inside), row: row.clone() }
    }

    /// Factors and, for asymmetric formats, offsets of the four rows (`vec4<f32>`).
    pub fn row_factors(&self, b: &mut Builder, rows: &FourRows) -> (Expr, Option<Expr>) {
        let row = &rows.row;
        if self.asymmetric() {
            let words = b.let_("row_words", rows.buf.at(row / 4 + self.layout.scales));
            let halves: Vec<Expr> = (0..4).map(|r| b.let_(&format!("halves{r}"), words.lane(r).halves_f16())).collect();
            let side = |n: u32| Expr::vec(halves.iter().map(|h| h.lane(n)).collect::<Vec<_>>());
            return (side(0), Some(side(1)));
        }
        let words = b.let_("row_words", rows.buf.at(row / 8 + self.layout.scales));
        let first = b.let_("first", b.simplify(row / 2 % 4));
        let pair = |n: u32| words.lane(&first + n).halves_f16();
        let factors = Expr::vec([pair(0), pair(1)]);
        (if self.step() == 1 { factors } else { factors * f(self.step().into()).splat(4) }, None)
    }

    /// What one more in a code means, which row factors have in them.
    fn step(&self) -> u8 {
        match self.format().grid {
            Grid::Linear { step, .. } => step,
            Grid::Signed => 1,
        }
    }

    /// The words of codes (`vec4<u32>`) of row `r` of the four.
    pub fn codes(&self, rows: &FourRows, r: u32, chunk: &Expr, pack: u32) -> Expr {
        let pack = chunk * self.layout.vectors + pack;
        rows.buf.at((&rows.tile * self.layout.packs + pack) * TILE + &rows.inside + r)
    }

    /// The high bits of row `r` of the four, a word for two words of codes; `None` unless codes have a second plane.
    pub fn high(&self, rows: &FourRows, r: u32, chunk: &Expr) -> Option<Expr> {
        let at = (&rows.tile * self.chunks() + chunk) * TILE + &rows.inside + r + self.layout.high;
        self.layout.high_bits().map(|_| rows.buf.at(at))
    }

    /// Quad `quad` of each word of codes, plane by plane. `high` holds the high bits of the first quad of each word in
    /// the lowest bits of its bytes.
    pub fn quad(&self, words: &Expr, quad: u32, high: Option<&Expr>) -> Vec<Expr> {
        let low_bits = self.layout.low_bits();
        let mask = |bits: u32| four((1 << bits) - 1);
        if low_bits == 8 {
            return vec![words.band(mask(7)), words.shr(7).band(mask(1))];
        }
        let low = words.shr(low_bits * quad).band(mask(low_bits));
        vec![match (high, self.layout.high_bits()) {
            (Some(high), Some(bits)) => low.bor(high.shr(bits * quad).band(mask(bits)).shl(low_bits)),
            _ => low,
        }]
    }

    /// Factors and offsets (`vec4<f32>`) of the four rows in the block of column `128 * chunk + column`.
    pub fn block_terms(&self, b: &mut Builder, rows: &FourRows, chunk: &Expr, column: u32) -> (Expr, Option<Expr>) {
        let bytes = self.layout.header_bytes();
        let per_chunk = CHUNK / self.layout.group() * bytes;
        let first = column / self.layout.group() * bytes;
        let byte = b.simplify(chunk * per_chunk + first);
        let index = (&rows.tile * self.layout.header_words + &byte / 4) * (TILE / 4) + &rows.inside / 4;
        let header = b.let_("header", rows.buf.at(index + self.layout.headers));
        let shift = b.simplify(byte % 4 * 8);
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
                let Grid::Linear { step, start, shift: by, .. } = self.format().grid else { return (factor, None) };
                let shifted = header.shr(shift).band(u(1).splat(4)).bitcast(Scalar::I32).to_f32();
                // In units of a step.
                let unit = 1.0 / f32::from(step);
                let (by, start) = (f(unit * f32::from(by)).splat(4), f(unit * f32::from(start)).splat(4));
                let offset = shifted.fma(by, start) * &factor;
                (factor, Some(b.let_("offset", offset)))
            }
        }
    }
}
