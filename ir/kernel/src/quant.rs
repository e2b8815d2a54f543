//! Reading stored weights: the only place in kernels where a bit layout is decoded.
//!
//! The layout itself is described in [`gristmill_graph::quant`]. Algorithms see a matrix `[N, K]` whose rows consist
//! of *packs*: consecutive columns that one load brings in. They open a row once, walk its packs in any order they
//! like, and get decoded columns four at a time:
//!
//! ```
//! use gristmill_kernel::{Bind, Builder, Expr, F32, VEC4F, WeightFormat, f};
//! // y[row] = w[row, :] . x, one thread per row.
//! let w = WeightFormat::new("q4.g32".parse().unwrap(), 256, 512);
//! let mut b = Builder::new("matvec");
//! let (weight, x, y) = (b.buffer("w", w.elem(), false), b.buffer("x", VEC4F, false), b.buffer("y", F32, true));
//! let row = b.grid_axis("row", 256);
//! let sum = b.var("sum", f(0.0));
//! let open = w.open_row(&mut b, weight, &row);
//! b.for_("pack", 0, w.packs(), 1, Bind::Serial, |b, pack| {
//!     w.for_pack(b, &open, pack, Bind::Serial, |b, column, values| {
//!         b.add(sum, values.dot(x.at(column / 4)));
//!     });
//! });
//! b.store(y, row, sum);
//! b.finish(&[]).unwrap();
//! ```

mod four;

use gristmill_graph::format::{Format, Grid, Header};
use gristmill_graph::{Precision, QuantSpec, Unary};

pub use four::{ByteFormat, FourRows};

use crate::builder::Builder;
use crate::expr::{f, u};
use crate::kernel::{Bind, Buf, Expr, F32, Type, U32, VEC4F, VEC4U};

const TILE: u32 = 32;
const CHUNK: u32 = 128;

/// How a weight matrix `[n, k]` lies in memory. All of it is one buffer with elements of [`WeightFormat::elem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightFormat {
    n: u32,
    k: u32,
    stored: Stored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    /// Row-major f32; quads of a row are aligned.
    F32Quads,
    /// Row-major f32.
    F32,
    /// Row-major f16; groups of eight are aligned.
    F16Octets,
    /// Row-major f16, two in a word.
    F16,
    Quant(Layout),
}

/// Where the planes of a quantized matrix start, in `vec4<u32>`; the codes are at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    spec: QuantSpec,
    /// Vectors of codes per row and tile.
    packs: u32,
    /// `vec4<u32>` of codes in a chunk.
    vectors: u32,
    high: u32,
    headers: u32,
    header_words: u32,
    scales: u32,
}

/// A row that is being read: what [`WeightFormat::open_row`] computed once for all of its packs.
#[derive(Clone, Debug)]
pub struct OpenRow {
    buf: Buf,
    row: Expr,
    /// Scale and, for asymmetric formats, minimum of the row.
    scale: Option<(Expr, Option<Expr>)>,
}

impl Layout {
    fn new(spec: QuantSpec, n: u32, k: u32) -> Layout {
        let (tiles, chunks) = (n.div_ceil(TILE), k.div_ceil(CHUNK));
        let Format { planes, header, .. } = spec.format();
        let vectors = u32::from(planes[0]);
        let header_words = (chunks * (CHUNK / u32::from(spec.group())) * header.bytes() as u32).div_ceil(4);
        let high = tiles * chunks * vectors * TILE;
        let headers = high + tiles * chunks * planes.get(1).map_or(0, |w| u32::from(*w)) * TILE;
        let scales = headers + tiles * header_words * TILE / 4;
        Layout { spec, packs: chunks * vectors, vectors, high, headers, header_words, scales }
    }

    fn pack_columns(&self) -> u32 {
        CHUNK / self.vectors
    }

    /// Bits of a code in the first plane.
    fn low_bits(&self) -> u32 {
        u32::from(self.spec.format().planes[0])
    }

    /// Bits of a code in the second plane: half as many, or none.
    fn high_bits(&self) -> Option<u32> {
        self.spec.format().planes.get(1).map(|w| u32::from(*w))
    }

    fn group(&self) -> u32 {
        u32::from(self.spec.group())
    }

    fn header_bytes(&self) -> u32 {
        self.spec.format().header.bytes() as u32
    }

    /// The codes of a row's pack.
    fn codes(&self, row: &OpenRow, pack: &Expr) -> Expr {
        row.buf.at((&row.row / TILE * self.packs + pack) * TILE + &row.row % TILE)
    }

    /// The high bits of two packs of a row, number `pair` of them; a word of them belongs to two words of codes.
    fn high(&self, row: &OpenRow, pair: Expr) -> Expr {
        row.buf.at((&row.row / TILE * (self.packs / 2) + pair) * TILE + &row.row % TILE + self.high)
    }

    /// Header byte number `byte` of a row, as one of the bytes of its word: (word, which).
    fn header(&self, b: &mut Builder, row: &OpenRow, byte: Expr) -> (Expr, Expr) {
        let byte = b.simplify(byte);
        let index = b.simplify((&row.row / TILE * self.header_words + &byte / 4) * TILE + &row.row % TILE);
        let word = row.buf.at(b.simplify(&index / 4 + self.headers)).lane(b.simplify(index % 4));
        (b.let_("header", word), b.simplify(byte % 4))
    }

    /// Scale and minimum of a row.
    fn scales(&self, b: &mut Builder, buf: Buf, row: &Expr) -> (Expr, Option<Expr>) {
        if self.spec.format().header == Header::ScaleAndMinimum {
            let halves = buf.at(row / 4 + self.scales).lane(row % 4).halves_f16();
            let halves = b.let_("row_scales", halves);
            return (halves.lane(0), Some(halves.lane(1)));
        }
        let word = buf.at(row / 8 + self.scales).lane(row / 2 % 4);
        (b.let_("row_scale", word.halves_f16().lane(row % 2)), None)
    }

    /// Factor and offset of a block: a weight is `factor * code + offset`.
    fn block(&self, b: &mut Builder, row: &OpenRow, block: Expr) -> (Expr, Option<Expr>) {
        let (scale, minimum) = row.scale.clone().unwrap_or((f(1.0), None));
        let Format { header, grid, .. } = self.spec.format();
        match header {
            Header::ScaleAndMinimum => {
                let (word, which) = self.header(b, row, block * 2);
                let factor = word.bytes_u8().lane(&which).to_f32();
                let offset = word.bytes_i8().lane(which + 1).to_f32();
                let minimum = minimum.unwrap_or(f(0.0));
                (b.let_("factor", scale * factor), Some(b.let_("offset", minimum * offset)))
            }
            Header::ScaleAndShift => {
                let (word, which) = self.header(b, row, block);
                // The byte is 2 * scale + shift, signed.
                let byte = b.let_("byte", word.bytes_i8().lane(which).to_f32());
                let block_scale = b.let_("block_scale", (&byte * 0.5).unary(Unary::Floor));
                let scale = b.let_("scale", scale * &block_scale);
                let Grid::Linear { step, start, shift, .. } = *grid else { return (scale, None) };
                let shifted = times(byte - block_scale * 2.0, shift);
                let offset = b.let_("offset", &scale * (shifted + f32::from(start)));
                (b.let_("factor", times(scale, step)), Some(offset))
            }
        }
    }

    /// Four codes as `vec4<f32>`, from the word that holds them, the number of the quad in the word, and their high
    /// bits in the lowest bits of the bytes of a word.
    fn quad(&self, word: &Expr, quad: &Expr, high: Option<Expr>) -> Expr {
        let four = |bits: u32| u(((1 << bits) - 1) * 0x0101_0101);
        let low_bits = self.low_bits();
        let low = if low_bits == 8 { word.clone() } else { word.shr(quad * low_bits).band(four(low_bits)) };
        let bytes = match (high, self.high_bits()) {
            (Some(high), Some(bits)) => low.bor(high.band(four(bits)).shl(low_bits)),
            _ => low,
        };
        match self.spec.format().grid {
            Grid::Linear { .. } => bytes.bytes_u8().to_f32(),
            Grid::Signed => bytes.bytes_i8().to_f32(),
        }
    }
}

/// A number times a small one.
fn times(x: Expr, n: u8) -> Expr {
    if n == 1 { x } else { x * f32::from(n) }
}

/// `factor * codes + offset`, lane by lane.
fn scaled(codes: Expr, factor: &Expr, offset: &Option<Expr>) -> Expr {
    match offset {
        Some(offset) => codes * factor.splat(4) + offset.splat(4),
        None => codes * factor.splat(4),
    }
}

impl WeightFormat {
    /// A matrix of `n` rows and `k` columns in this precision.
    pub fn new(precision: Precision, n: u32, k: u32) -> Self {
        let stored = match precision {
            Precision::F32 if k.is_multiple_of(4) => Stored::F32Quads,
            Precision::F32 => Stored::F32,
            Precision::F16 if k.is_multiple_of(8) => Stored::F16Octets,
            Precision::F16 => Stored::F16,
            Precision::Quant(spec) => Stored::Quant(Layout::new(spec, n, k)),
        };
        WeightFormat { n, k, stored }
    }

    /// Rows.
    pub fn rows(&self) -> u32 {
        self.n
    }

    /// Columns.
    pub fn columns(&self) -> u32 {
        self.k
    }

    /// How a kernel has to see the memory.
    pub fn elem(&self) -> Type {
        match self.stored {
            Stored::F32Quads => VEC4F,
            Stored::F32 => F32,
            Stored::F16 => U32,
            Stored::F16Octets | Stored::Quant(_) => VEC4U,
        }
    }

    /// Columns in a pack: 4 to 64, a multiple of 4.
    pub fn pack_columns(&self) -> u32 {
        match self.stored {
            Stored::F32Quads | Stored::F32 | Stored::F16 => 4,
            Stored::F16Octets => 8,
            Stored::Quant(layout) => layout.pack_columns(),
        }
    }

    /// Packs in a row. The last one may reach beyond the row.
    pub fn packs(&self) -> u32 {
        self.k.div_ceil(self.pack_columns())
    }

    /// Starts reading a row: loads what all of its packs need. The row must exist.
    pub fn open_row(&self, b: &mut Builder, buf: Buf, row: impl Into<Expr>) -> OpenRow {
        let row = row.into();
        let scale = match self.stored {
            Stored::Quant(layout) => Some(layout.scales(b, buf, &row)),
            Stored::F32Quads | Stored::F32 | Stored::F16 | Stored::F16Octets => None,
        };
        OpenRow { buf, row, scale }
    }

    /// Decodes a pack (below [`WeightFormat::packs`]) of an open row. The closure gets the column of the first of
    /// four weights (a multiple of 4, below `k`) and the four weights; those beyond the end of the row are 0. It is
    /// called once, inside loops over the words and quads of the pack, which are bound as `inner` says.
    pub fn for_pack(
        &self,
        b: &mut Builder,
        row: &OpenRow,
        pack: impl Into<Expr>,
        inner: Bind,
        body: impl FnOnce(&mut Builder, Expr, Expr),
    ) {
        let pack = b.simplify(pack.into());
        match self.stored {
            Stored::F32Quads => {
                let values = b.let_("weights", row.buf.at(&row.row * (self.k / 4) + &pack));
                body(b, b.simplify(pack * 4), values);
            }
            Stored::F32 | Stored::F16 => {
                let column = b.let_("column", pack * 4);
                let lanes = (0..4).map(|lane| {
                    // The last quad may reach beyond the row; both sides of a select are evaluated.
                    let at = b.simplify(&column + lane);
                    let value = self.element(row.buf, &row.row, &at.min(self.k - 1));
                    b.simplify(at.lt(self.k).select(value, f(0.0)))
                });
                let values = Expr::vec(lanes.collect::<Vec<_>>());
                let values = b.let_("weights", values);
                body(b, column, values);
            }
            Stored::F16Octets => {
                let octet = b.let_("halves", row.buf.at(&row.row * (self.k / 8) + &pack));
                b.for_("quad", 0, 2, 1, inner, |b, quad| {
                    let pairs = [0, 1].map(|i| octet.lane(b.simplify(&quad * 2 + i)).halves_f16());
                    let values = b.let_("weights", Expr::vec(pairs));
                    body(b, b.simplify(pack * 8 + quad * 4), values);
                });
            }
            Stored::Quant(layout) => self.quant_pack(layout, b, row, pack, inner, body),
        }
    }

    fn quant_pack(
        &self,
        layout: Layout,
        b: &mut Builder,
        row: &OpenRow,
        pack: Expr,
        inner: Bind,
        body: impl FnOnce(&mut Builder, Expr, Expr),
    ) {
        let codes = b.let_("codes", layout.codes(row, &pack));
        let high = layout.high_bits().map(|bits| (bits, b.let_("high_bits", layout.high(row, &pack / 2))));
        let (columns, group) = (layout.pack_columns(), layout.group());
        // A pack lies inside one block or consists of whole blocks.
        let blocks = (columns / group).max(1);
        let words = 4 / blocks;
        let word_columns = columns / 4;
        b.for_("block", 0, blocks, 1, inner, |b, block| {
            let number = b.simplify((&pack * columns + &block * group) / group);
            let (factor, offset) = layout.block(b, row, number);
            b.for_("word", 0, words, 1, inner, |b, word| {
                let word = b.simplify(block * words + word);
                let bits = b.let_("bits", codes.lane(&word));
                b.for_("quad", 0, word_columns / 4, 1, inner, |b, quad| {
                    let high = high.as_ref().map(|(bits, high)| {
                        // Eight words of codes in two packs, two of them per word of high bits.
                        let in_pair = b.simplify(&pack % 2 * 4 + &word);
                        let shift = b.simplify(&in_pair % 2 * 4 + &quad * *bits);
                        high.lane(b.simplify(in_pair / 2)).shr(shift)
                    });
                    let values = scaled(layout.quad(&bits, &quad, high), &factor, &offset);
                    let column = b.simplify(&pack * columns + &word * word_columns + &quad * 4);
                    self.inside(b, column, values, body);
                });
            });
        });
    }

    /// Keeps the closure from columns beyond the row, which a stored block may have. A no-op if rows consist of
    /// whole packs.
    fn inside(&self, b: &mut Builder, column: Expr, values: Expr, body: impl FnOnce(&mut Builder, Expr, Expr)) {
        if self.k.is_multiple_of(self.pack_columns()) {
            let values = b.let_("weights", values);
            return body(b, column, values);
        }
        let column = b.let_("column", column);
        b.if_(column.lt(self.k), |b| {
            let mut values = b.let_("weights", values);
            if !self.k.is_multiple_of(4) {
                let lane = |lane: u32| (&column + lane).lt(self.k).select(values.lane(lane), f(0.0));
                values = b.let_("weights", Expr::vec((0..4).map(lane).collect::<Vec<_>>()));
            }
            body(b, column, values);
        });
    }

    /// An element of a dense matrix.
    fn element(&self, buf: Buf, row: &Expr, column: &Expr) -> Expr {
        let flat = row * self.k + column;
        match self.stored {
            Stored::F32 => buf.at(flat),
            Stored::F32Quads => buf.at(row * (self.k / 4) + column / 4).lane(column % 4),
            Stored::F16 => buf.at(&flat / 2).halves_f16().lane(flat % 2),
            Stored::F16Octets | Stored::Quant(_) => {
                buf.at(row * (self.k / 8) + column / 8).lane(column / 2 % 4).halves_f16().lane(column % 2)
            }
        }
    }
}

/// One element of a weight as f32, for readers that do not walk rows (embeddings). Row and column must exist.
pub fn unpack_at(b: &mut Builder, buf: Buf, format: &WeightFormat, row: Expr, column: Expr) -> Expr {
    let Stored::Quant(layout) = format.stored else {
        let element = format.element(buf, &row, &column);
        return b.simplify(element);
    };
    let row = b.let_("row", row);
    let column = b.let_("column", column);
    let (codes, factor, offset) = codes_at(b, buf, format, &layout, row, &column);
    let code = codes.lane(b.simplify(column % 4));
    b.simplify(match offset {
        Some(offset) => code.fma(factor, offset),
        None => code * factor,
    })
}

/// Four elements of a quantized weight from `column` on, a multiple of four, as `vec4<f32>`. What stands behind the end
/// of the row means nothing.
///
/// # Panics
/// If the weight is not quantized.
pub fn unpack_quad_at(b: &mut Builder, buf: Buf, format: &WeightFormat, row: Expr, column: Expr) -> Expr {
    let Stored::Quant(layout) = format.stored else { panic!("quads of floats are memory") };
    let column = b.let_("column", column);
    let (codes, factor, offset) = codes_at(b, buf, format, &layout, row, &column);
    scaled(codes, &factor, &offset)
}

/// The quad of codes that holds a column (`vec4<f32>`), with the factor and the offset of its block.
fn codes_at(
    b: &mut Builder,
    buf: Buf,
    format: &WeightFormat,
    layout: &Layout,
    row: Expr,
    column: &Expr,
) -> (Expr, Expr, Option<Expr>) {
    let row = b.let_("row", row);
    let open = format.open_row(b, buf, row);
    let (columns, word_columns) = (layout.pack_columns(), layout.pack_columns() / 4);
    let pack = b.let_("pack", column / columns);
    let (factor, offset) = layout.block(b, &open, column / layout.group());
    let word = b.simplify(column % columns / word_columns);
    let bits = b.let_("bits", layout.codes(&open, &pack).lane(word));
    let high = layout.high_bits().map(|bits| {
        let word =
            layout.high(&open, column / (2 * columns)).lane(b.simplify(column % (2 * columns) / (2 * word_columns)));
        word.shr(b.simplify(column % (2 * word_columns) / 4 * bits))
    });
    let quad = b.simplify(column % word_columns / 4);
    (layout.quad(&bits, &quad, high), factor, offset)
}
