//! Four neighbouring rows of a quantized matrix at a time, as integers: what products of bytes work with.
//!
//! A weight is `row_factor * (factor * code + offset)` for symmetric formats and
//! `row_factor * factor * code + row_offset * offset` for asymmetric ones. Codes come as *planes* of bytes from 0 to
//! 127, each with an integer weight: codes of 8 bits are their lower seven bits and 128 times the eighth, which is
//! negative if they are signed.

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
        self.layout.spec.asymmetric
    }

    /// Integer weights of the planes.
    pub fn planes(&self) -> &'static [i32] {
        match (self.layout.spec.bits, self.layout.spec.asymmetric) {
            (8, false) => &[1, -128],
            (8, true) => &[1, 128],
            _ => &[1],
        }
    }

    /// The word to exclude-or codes of 8 bits with, and what to add to the bytes that this gives (f32), so that products
    /// of bytes take them whole. `kind` is [`Expr::WideBytes`], 1 or 2. `None` if codes have fewer bits.
    pub fn whole_bytes(&self, kind: &Expr) -> Option<(Expr, Expr)> {
        let spec = self.layout.spec;
        // Signed codes become unsigned ones by 128, and the other way round.
        let (moved_in, by) = if spec.asymmetric { (1, 128.0) } else { (2, -128.0) };
        let moved = kind.equals(moved_in);
        (spec.bits == 8).then(|| (moved.select(u(0x8080_8080), u(0)), moved.select(f(by), f(0.0))))
    }

    /// Whether a word's products with bytes, and sums of two such, stay within 16 bits, as pair sums need them.
    pub fn sums_fit_16_bits(&self) -> bool {
        self.layout.spec.bits <= 4
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
        if self.layout.spec.asymmetric {
            let words = b.let_("row_words", rows.buf.at(row / 4 + self.layout.scales));
            let halves: Vec<Expr> = (0..4).map(|r| b.let_(&format!("halves{r}"), words.lane(r).halves_f16())).collect();
            let side = |n: u32| Expr::vec(halves.iter().map(|h| h.lane(n)).collect::<Vec<_>>());
            return (side(0), Some(side(1)));
        }
        let words = b.let_("row_words", rows.buf.at(row / 8 + self.layout.scales));
        let first = b.let_("first", b.simplify(row / 2 % 4));
        let pair = |n: u32| words.lane(&first + n).halves_f16();
        let factors = Expr::vec([pair(0), pair(1)]);
        // The grid of fewer than 8 bits has steps of two.
        (if self.layout.spec.bits == 8 { factors } else { factors * f(2.0).splat(4) }, None)
    }

    /// The words of codes (`vec4<u32>`) of row `r` of the four.
    pub fn codes(&self, rows: &FourRows, r: u32, chunk: &Expr, pack: u32) -> Expr {
        let pack = chunk * self.layout.vectors + pack;
        rows.buf.at((&rows.tile * self.layout.packs + pack) * TILE + &rows.inside + r)
    }

    /// The third bits of row `r` of the four, a word for 32 columns; `None` unless codes have three bits.
    pub fn high(&self, rows: &FourRows, r: u32, chunk: &Expr) -> Option<Expr> {
        let at = (&rows.tile * self.chunks() + chunk) * TILE + &rows.inside + r + self.layout.high;
        (self.layout.spec.bits == 3).then(|| rows.buf.at(at))
    }

    /// Quad `quad` of each word of codes, plane by plane. `high` holds the third bits of the first quad of each word in
    /// the lowest bits of its bytes.
    pub fn quad(&self, words: &Expr, quad: u32, high: Option<&Expr>) -> Vec<Expr> {
        match (self.layout.spec.bits, high) {
            (8, _) => vec![words.band(four(0x7f)), words.shr(7).band(four(1))],
            (3, Some(high)) => {
                let low = words.shr(2 * quad).band(four(3));
                vec![low.bor(high.shr(quad).band(four(1)).shl(2))]
            }
            (_, _) => {
                let bits = self.layout.low_bits();
                let shifted = words.shr(bits * quad);
                vec![shifted.band(four((1 << bits) - 1))]
            }
        }
    }

    /// Factors and offsets (`vec4<f32>`) of the four rows in the block of column `128 * chunk + column`.
    pub fn block_terms(&self, b: &mut Builder, rows: &FourRows, chunk: &Expr, column: u32) -> (Expr, Option<Expr>) {
        let spec = self.layout.spec;
        let per_chunk = CHUNK / self.layout.group() * if spec.asymmetric { 2 } else { 1 };
        let first = column / self.layout.group() * if spec.asymmetric { 2 } else { 1 };
        let byte = b.simplify(chunk * per_chunk + first);
        let index = (&rows.tile * self.layout.header_words + &byte / 4) * (TILE / 4) + &rows.inside / 4;
        let header = b.let_("header", rows.buf.at(index + self.layout.headers));
        let shift = b.simplify(byte % 4 * 8);
        // The byte at `shift` of each lane, from bit `from` on, with its sign.
        let signed = |b: &Builder, shift: &Expr, from: u32| {
            header.shl(b.simplify(u(24) - shift.clone())).bitcast(Scalar::I32).shr(24 + from).to_f32()
        };
        if spec.asymmetric {
            let factor = header.shr(shift.clone()).band(u(255).splat(4)).bitcast(Scalar::I32).to_f32();
            let offset = signed(b, &b.simplify(shift + 8), 0);
            return (b.let_("factor", factor), Some(b.let_("offset", offset)));
        }
        let factor = b.let_("factor", signed(b, &shift, 1));
        if spec.bits == 8 {
            return (factor, None);
        }
        let moved = header.shr(shift).band(u(1).splat(4)).bitcast(Scalar::I32).to_f32();
        let largest = ((1u32 << spec.bits) - 1) as f32;
        let offset = moved.fma(f(0.5).splat(4), f(-0.5 * largest).splat(4)) * &factor;
        (factor, Some(b.let_("offset", offset)))
    }
}
