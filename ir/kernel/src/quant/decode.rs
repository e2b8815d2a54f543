//! The layout of stored weights as expressions: rows, packs, and single elements.

use gristmill_graph::format::{Format, Grid, Header};
use gristmill_graph::quant::vectors_and_quads;
use gristmill_graph::{Precision, QuantSpec, Unary};

use crate::builder::Builder;
use crate::expr::{f, u};
use crate::kernel::{Bind, Buf, Expr, F32, Type, U32, VEC4F, VEC4U};

/// Rows of a tile.
pub(super) const TILE: u32 = 32;
/// The largest number of columns of a pack, so that tiles of packs stay small.
const MOST_IN_PACK: u32 = 64;

/// The layout of a weight matrix `[n, k]` in one buffer with elements of type [`WeightFormat::elem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightFormat {
    n: u32,
    pub(super) k: u32,
    pub(super) stored: Stored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Row-major f32; quads of a row are aligned.
    F32Vec4,
    /// Row-major f32.
    F32,
    /// Row-major f16; groups of eight are aligned.
    F16Vec8,
    /// Row-major f16, two in a word.
    F16,
    Quant(Layout),
}

/// The offsets of the planes of a quantized matrix, in `vec4<u32>`; codes begin at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) spec: QuantSpec,
    pub(super) low: CodePlane,
    pub(super) high: Option<CodePlane>,
    headers: u32,
    /// Words of a row that its headers fill.
    header_words: u32,
    /// Headers of a row behind those words.
    header_rest: u32,
    pub(super) scales: u32,
}

/// Some bits of all codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CodePlane {
    start: u32,
    /// Bits of a code.
    pub(super) width: u32,
    /// Vectors of a row.
    pub(super) vectors: u32,
    /// Quads of columns behind those vectors.
    pub(super) quads: u32,
}

/// An open row: what [`WeightFormat::open_row`] has computed once for all its packs.
#[derive(Clone, Debug)]
pub struct OpenRow {
    buf: Buf,
    row: Expr,
    /// The factors of the row.
    factors: Vec<Expr>,
}

impl CodePlane {
    fn new(start: u32, width: u8, k: u32) -> Self {
        let (vectors, quads) = vectors_and_quads(u64::from(k), width);
        CodePlane { start, width: width.into(), vectors: vectors as u32, quads: quads as u32 }
    }

    /// Columns of a vector.
    fn columns(&self) -> u32 {
        128 / self.width
    }

    /// `vec4<u32>` of a tile.
    fn tile(&self) -> u32 {
        TILE * self.vectors + self.width * self.quads
    }

    /// The index of vector `n` of a row.
    pub(super) fn vector(&self, tile: &Expr, row: &Expr, n: &Expr) -> Expr {
        let all = if self.quads == 0 { (tile * self.vectors + n) * TILE } else { tile * self.tile() + n * TILE };
        from(all + row, self.start)
    }

    /// The index of the vector that has quad `n` behind the vectors, for the row at `row` of its tile and others. The
    /// word of the row is its lane `row % 4`, and its bits begin at [`CodePlane::rest_shift`].
    pub(super) fn rest(&self, tile: &Expr, row: &Expr, n: Expr) -> Expr {
        from(tile * self.tile() + n * self.width + row % (4 * self.width) / 4 + TILE * self.vectors, self.start)
    }

    pub(super) fn rest_shift(&self, row: &Expr) -> Expr {
        row / (4 * self.width) * self.width
    }

    /// The mask of a quad of codes.
    fn mask(&self) -> u32 {
        ((1 << self.width) - 1) * 0x0101_0101
    }
}

/// An index from the start of a plane of codes on; only that of the high bits is not 0.
fn from(index: Expr, start: u32) -> Expr {
    if start == 0 { index } else { index + Expr::Named("HIGH_BITS", start) }
}

impl Layout {
    fn new(spec: QuantSpec, n: u32, k: u32) -> Layout {
        let tiles = n.div_ceil(TILE);
        let Format { planes, header, .. } = spec.format();
        let low = CodePlane::new(0, planes[0], k);
        let end = tiles * low.tile();
        let high = planes.get(1).map(|width| CodePlane::new(end, *width, k));
        let headers = end + tiles * high.map_or(0, |high| high.tile());
        let bytes = header.bytes() as u32;
        let of_row = k.div_ceil(u32::from(spec.group())) * bytes;
        let (header_words, header_rest) = (of_row / 4, of_row % 4 / bytes);
        let scales = headers + tiles * of_row * TILE / 16;
        Layout { spec, low, high, headers, header_words, header_rest, scales }
    }

    /// Columns of a pack: of a vector of codes, or half of it where that has very many.
    fn pack_columns(&self) -> u32 {
        self.low.columns().min(MOST_IN_PACK)
    }

    pub(super) fn group(&self) -> u32 {
        u32::from(self.spec.group())
    }

    pub(super) fn header_bytes(&self) -> u32 {
        self.spec.format().header.bytes() as u32
    }

    /// Where the factors of rows start.
    pub(super) fn row_scales(&self) -> Expr {
        Expr::Named("ROW_SCALES", self.scales)
    }

    /// `vec4<u32>` of the headers of a tile.
    fn header_tile(&self) -> u32 {
        8 * self.header_words + 2 * self.header_bytes() * self.header_rest
    }

    /// The vector with header byte `byte` of the row at `row` of its tile and of its three neighbours, a lane each, and
    /// the number of the byte in that lane; `byte` is the first of a header.
    pub(super) fn header(&self, b: &mut Builder, tile: &Expr, row: &Expr, byte: &Expr) -> (Expr, Expr) {
        let (words, size) = (self.header_words, self.header_bytes());
        let whole = |byte: &Expr| {
            let first = if self.header_rest == 0 {
                (tile * words + byte / 4) * 8
            } else {
                tile * self.header_tile() + byte / 4 * 8
            };
            (first + row / 4, byte % 4)
        };
        let rest = |n: Expr| {
            let first = tile * self.header_tile() + n * (2 * size) + row % (8 * size) / 4 + 8 * words;
            (first, row / (8 * size) * size)
        };
        let (vector, which) = match b.simplify(byte.lt(4 * words)) {
            _ if self.header_rest == 0 => whole(byte),
            Expr::Bool(true) => whole(byte),
            Expr::Bool(false) => rest((byte - 4 * words) / size),
            _ if words == 0 => rest(byte / size),
            fills => {
                let byte = b.let_("byte_of_headers", byte);
                let fills = b.let_("fills_word", fills);
                // A number below that of whole words is not used, but must not wrap.
                let ((a, i), (c, j)) = (whole(&byte), rest((byte.max(4 * words) - 4 * words) / size));
                let vector = fills.select(b.simplify(a), b.simplify(c));
                (b.let_("vector", vector), fills.select(b.simplify(i), b.simplify(j)))
            }
        };
        (b.simplify(vector + Expr::Named("HEADERS", self.headers)), b.simplify(which))
    }

    /// The word with header byte `byte` of a row, the first of a header, and the number of the byte in it.
    fn header_word(&self, b: &mut Builder, row: &OpenRow, byte: Expr) -> (Expr, Expr) {
        let byte = b.simplify(byte);
        let (tile, inside) = (&row.row / TILE, b.simplify(&row.row % TILE));
        let (vector, which) = self.header(b, &tile, &inside, &byte);
        let word = row.buf.at(vector).lane(b.simplify(&row.row % 4));
        (b.let_("header", word), which)
    }

    /// The factors of a row: one, two, or none.
    fn scales(&self, b: &mut Builder, buf: Buf, row: &Expr) -> Vec<Expr> {
        match self.spec.format().header {
            Header::ScaleAndMinimum => {
                let halves = buf.at(row / 4 + self.row_scales()).lane(row % 4).halves_f16();
                let halves = b.let_("row_scales", halves);
                vec![halves.lane(0), halves.lane(1)]
            }
            Header::ScaleAndShift => {
                let word = buf.at(row / 8 + self.row_scales()).lane(row / 2 % 4);
                vec![b.let_("row_scale", word.halves_f16().lane(row % 2))]
            }
            Header::BlockScale => Vec::new(),
        }
    }

    /// Factor and offset of a block: a weight is `factor * code + offset`.
    fn block(&self, b: &mut Builder, row: &OpenRow, block: Expr) -> (Expr, Option<Expr>) {
        let Format { header, grid, .. } = self.spec.format();
        let row_factor = |n: usize| row.factors.get(n).cloned().unwrap_or(f(1.0));
        match header {
            Header::ScaleAndMinimum => {
                let (word, which) = self.header_word(b, row, block * 2);
                let factor = word.bytes_u8().lane(&which).to_f32();
                let offset = word.bytes_i8().lane(which + 1).to_f32();
                (b.let_("factor", row_factor(0) * factor), Some(b.let_("offset", row_factor(1) * offset)))
            }
            Header::ScaleAndShift => {
                let (word, which) = self.header_word(b, row, block);
                // The byte is 2 * scale + shift, signed.
                let byte = b.let_("byte", word.bytes_i8().lane(which).to_f32());
                let block_scale = b.let_("block_scale", (&byte * 0.5).unary(Unary::Floor));
                let scale = b.let_("scale", row_factor(0) * &block_scale);
                let shifted = byte - block_scale * 2.0;
                match *grid {
                    Grid::Signed => (scale, None),
                    Grid::Linear { step, start, shift, .. } => {
                        let offset = b.let_("offset", &scale * (times(shifted, shift) + f32::from(start)));
                        (b.let_("factor", times(scale, step)), Some(offset))
                    }
                    Grid::Table { shift, .. } => {
                        let offset = b.let_("offset", &scale * times(shifted, shift));
                        (scale, Some(offset))
                    }
                }
            }
            Header::BlockScale => {
                let (word, which) = self.header_word(b, row, block * 2);
                let scale = b.let_("scale", word.halves_f16().lane(b.simplify(which / 2)));
                match *grid {
                    Grid::Linear { step, start, .. } => {
                        let offset = b.let_("offset", &scale * f32::from(start));
                        (b.let_("factor", times(scale, step)), Some(offset))
                    }
                    Grid::Signed | Grid::Table { .. } => (scale, None),
                }
            }
        }
    }

    /// Four codes as `vec4<f32>`, from words with their bits, the lowest first in each byte; the other bits of those
    /// do not matter.
    fn quad(&self, low: Expr, high: Option<Expr>) -> Expr {
        let low = if self.low.width == 8 { low } else { low.band(self.low.mask()) };
        let bytes = match (high, self.high) {
            (Some(bits), Some(high)) => low.bor(bits.band(high.mask()).shl(self.low.width)),
            _ => low,
        };
        match self.spec.format().grid {
            Grid::Linear { .. } => bytes.bytes_u8().to_f32(),
            Grid::Signed => bytes.bytes_i8().to_f32(),
            Grid::Table { values, .. } => bytes.lookup(words(values.map(|v| v as u8))).bytes_i8().to_f32(),
        }
    }
}

impl CodePlane {
    /// Vector `n` of a row, where what stands behind the vectors looks like one more.
    fn load(&self, b: &mut Builder, name: &str, row: &OpenRow, n: &Expr) -> Expr {
        let (tile, inside) = (&row.row / TILE, &row.row % TILE);
        let whole = row.buf.at(b.simplify(self.vector(&tile, &inside, n)));
        if self.quads == 0 {
            return b.let_(name, whole);
        }
        let words = b.var(name, u(0).splat(4));
        let fills = if self.vectors == 0 { Expr::Bool(false) } else { n.lt(self.vectors) };
        b.if_else(
            fills,
            |b| b.assign(words, whole),
            |b| {
                let first = b.let_("rest", self.rest(&tile, &inside, u(0)));
                let (lane, shift) = (b.simplify(&row.row % 4), b.let_("rest_shift", self.rest_shift(&inside)));
                let quads_of_word = 8 / self.width;
                let word = |b: &mut Builder, w: u32| {
                    let quads = (0..quads_of_word).filter(|i| w * quads_of_word + i < self.quads).map(|i| {
                        let at = b.simplify(&first + (w * quads_of_word + i) * self.width);
                        let word = row.buf.at(at).lane(&lane);
                        let bits = if self.width == 8 { word } else { word.shr(&shift).band(self.mask()) };
                        if i == 0 { bits } else { bits.shl(i * self.width) }
                    });
                    quads.reduce(|a, c| a.bor(c)).unwrap_or(u(0))
                };
                let all: Vec<Expr> = (0..4).map(|w| word(b, w)).collect();
                b.assign(words, Expr::vec(all));
            },
        );
        words.get()
    }

    /// A word with the bits of the quad of a column, lowest in each byte.
    fn quad_at(&self, b: &mut Builder, row: &OpenRow, column: &Expr) -> Expr {
        let (tile, inside) = (&row.row / TILE, b.simplify(&row.row % TILE));
        let (columns, of_word) = (self.columns(), self.columns() / 4);
        let whole = self.vectors * columns;
        let vector = || {
            let shift = column % of_word / 4 * self.width;
            [self.vector(&tile, &inside, &(column / columns)), column % columns / of_word, shift]
        };
        let rest = || {
            // Columns of vectors are not used, but must not wrap.
            let quad = (column.max(whole) - whole) / 4;
            [self.rest(&tile, &inside, quad), &row.row % 4, self.rest_shift(&inside)]
        };
        let [index, lane, shift] = match (self.vectors, self.quads) {
            (_, 0) => vector(),
            (0, _) => rest(),
            _ => {
                let fills = b.let_("fills", column.lt(whole));
                let (vector, rest) = (vector().map(|e| b.simplify(e)), rest().map(|e| b.simplify(e)));
                let mut rest = rest.into_iter();
                vector.map(|e| fills.select(e, rest.next().unwrap_or(u(0))))
            }
        };
        row.buf.at(b.simplify(index)).lane(b.simplify(lane)).shr(b.simplify(shift))
    }
}

/// Sixteen bytes as words.
pub(super) fn words(bytes: [u8; 16]) -> [u32; 4] {
    [0, 4, 8, 12].map(|i| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]))
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
    /// The layout of a matrix of `n` rows and `k` columns in this precision.
    pub fn new(precision: Precision, n: u32, k: u32) -> Self {
        let stored = match precision {
            Precision::F32 if k.is_multiple_of(4) => Stored::F32Vec4,
            Precision::F32 => Stored::F32,
            Precision::F16 if k.is_multiple_of(8) => Stored::F16Vec8,
            Precision::F16 => Stored::F16,
            Precision::Quant(spec) => Stored::Quant(Layout::new(spec, n, k)),
        };
        WeightFormat { n, k, stored }
    }

    /// The number of rows, `n`.
    pub fn rows(&self) -> u32 {
        self.n
    }

    /// The number of columns, `k`.
    pub fn columns(&self) -> u32 {
        self.k
    }

    /// The element type of the buffer.
    pub fn elem(&self) -> Type {
        match self.stored {
            Stored::F32Vec4 => VEC4F,
            Stored::F32 => F32,
            Stored::F16 => U32,
            Stored::F16Vec8 | Stored::Quant(_) => VEC4U,
        }
    }

    /// The number of columns in a pack: 4 to 64, a multiple of 4.
    pub fn pack_columns(&self) -> u32 {
        match self.stored {
            Stored::F32Vec4 | Stored::F32 | Stored::F16 => 4,
            Stored::F16Vec8 => 8,
            Stored::Quant(layout) => layout.pack_columns(),
        }
    }

    /// The number of packs in a row. The last one may extend beyond the row.
    pub fn packs(&self) -> u32 {
        self.k.div_ceil(self.pack_columns())
    }

    /// Opens a row: loads what all its packs need. The row must exist.
    pub fn open_row(&self, b: &mut Builder, buf: Buf, row: impl Into<Expr>) -> OpenRow {
        let row = row.into();
        let factors = match self.stored {
            Stored::Quant(layout) => layout.scales(b, buf, &row),
            Stored::F32Vec4 | Stored::F32 | Stored::F16 | Stored::F16Vec8 => Vec::new(),
        };
        OpenRow { buf, row, factors }
    }

    /// Decodes a pack (below [`WeightFormat::packs`]) of an open row. The closure gets four weights and the column of
    /// the first (a multiple of 4, below `k`); weights after the end of the row are 0. It is called once, inside loops
    /// over the words and quads of the pack, which run as `inner` says.
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
            Stored::F32Vec4 => {
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
            Stored::F16Vec8 => {
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
        let per_vector = layout.low.columns() / layout.pack_columns();
        let codes = layout.low.load(b, "codes", row, &b.simplify(&pack / per_vector));
        let high = layout.high.map(|plane| (plane, plane.load(b, "high_bits", row, &b.simplify(&pack / 2))));
        let (columns, group) = (layout.pack_columns(), layout.group());
        // A pack lies inside one block or consists of whole blocks.
        let blocks = (columns / group).max(1);
        let words = 4 / per_vector / blocks;
        let word_columns = layout.low.columns() / 4;
        b.for_("block", 0, blocks, 1, inner, |b, block| {
            let number = (&pack * columns + &block * group) / group;
            // The last pack may reach beyond the last block.
            let last = self.k.div_ceil(group) - 1;
            let all_exist = self.packs() * columns <= (last + 1) * group;
            let number = b.simplify(if all_exist { number } else { number.min(last) });
            let (factor, offset) = layout.block(b, row, number);
            b.for_("word", 0, words, 1, inner, |b, word| {
                let word = b.simplify(block * words + word);
                let lane = b.simplify(&pack % per_vector * (4 / per_vector) + &word);
                let bits = b.let_("bits", codes.lane(lane));
                b.for_("quad", 0, word_columns / 4, 1, inner, |b, quad| {
                    let high = high.as_ref().map(|(plane, high)| {
                        // Eight words of codes in two packs, two of them per word of high bits.
                        let in_pair = b.simplify(&pack % 2 * 4 + &word);
                        let shift = b.simplify(&in_pair % 2 * 4 + &quad * plane.width);
                        high.lane(b.simplify(in_pair / 2)).shr(shift)
                    });
                    let low = if layout.low.width == 8 { bits.clone() } else { bits.shr(&quad * layout.low.width) };
                    let values = scaled(layout.quad(low, high), &factor, &offset);
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
            Stored::F32Vec4 => buf.at(row * (self.k / 4) + column / 4).lane(column % 4),
            Stored::F16 => buf.at(&flat / 2).halves_f16().lane(flat % 2),
            Stored::F16Vec8 | Stored::Quant(_) => {
                buf.at(row * (self.k / 8) + column / 8).lane(column / 2 % 4).halves_f16().lane(column % 2)
            }
        }
    }
}

/// One element of a weight as f32, for random access (embeddings). Row and column must exist.
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

/// Four elements of a quantized weight as `vec4<f32>`, from `column` (a multiple of four) on. Elements after the end of
/// the row are undefined.
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
    let (factor, offset) = layout.block(b, &open, column / layout.group());
    let low = layout.low.quad_at(b, &open, column);
    let high = layout.high.map(|high| high.quad_at(b, &open, column));
    (layout.quad(low, high), factor, offset)
}
