//! Decoding of stored weights in kernels against the plain decoder of the graph crate.

use std::collections::BTreeMap;

use gristmill_graph::format::Header;
use gristmill_graph::quant::{QuantLayout, decode_stored, stored_bytes};
use gristmill_graph::{Precision, QuantSpec};
use gristmill_kernel::interp::{Options, run};
use gristmill_kernel::quant::unpack_at;
use gristmill_kernel::{Bind, Builder, Expr, F32, Kernel, WeightFormat, u};

fn precisions() -> Vec<Precision> {
    [Precision::F32, Precision::F16].into_iter().chain(QuantSpec::all().map(Precision::Quant)).collect()
}

/// Arbitrary bytes of a weight. Halves must be finite, so the top bits of every other byte are kept low where they may
/// be.
fn random_bytes(precision: Precision, n: u32, k: u32) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32 ^ (n * 131 + k);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let len = stored_bytes(precision, &[u64::from(n), u64::from(k)]).unwrap() as usize;
    let mut bytes: Vec<u8> = (0..len).map(|_| next() as u8).collect();
    let (from, finite): (usize, fn(&mut [u8])) = match precision {
        Precision::F32 => (0, |word| word[3] &= 0xbf),
        Precision::F16 => (0, |word| word.iter_mut().skip(1).step_by(2).for_each(|b| *b &= 0xbb)),
        Precision::Quant(spec) => {
            let layout = QuantLayout::new(n.into(), k.into(), spec).unwrap();
            let halves = if spec.format().header == Header::BlockScale { layout.headers } else { layout.scales };
            (halves.offset as usize, |word| word.iter_mut().skip(1).step_by(2).for_each(|b| *b &= 0xbb))
        }
    };
    bytes[from..].chunks_mut(4).for_each(finite);
    bytes
}

fn to_words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// `y[row, column] = w[row, column]`, element by element.
fn by_element(format: &WeightFormat) -> Kernel {
    let (n, k) = (format.rows(), format.columns());
    let mut b = Builder::new("by_element");
    let (w, y) = (b.buffer("w", format.elem(), false), b.buffer("y", F32, true));
    let row = b.grid_axis("row", n);
    let thread = b.group_axis("thread", 64);
    b.for_("column", thread, k, 64, Bind::Serial, |b, column| {
        let value = unpack_at(b, w, format, row.clone(), column.clone());
        b.store(y, &row * k + column, value);
    });
    b.finish(&[]).unwrap()
}

/// The same, pack by pack.
fn by_pack(format: &WeightFormat, inner: Bind) -> Kernel {
    let (n, k) = (format.rows(), format.columns());
    let mut b = Builder::new("by_pack");
    let (w, y) = (b.buffer("w", format.elem(), false), b.buffer("y", F32, true));
    let tile = b.grid_axis("tile", n.div_ceil(32));
    let thread = b.group_axis("row", 32);
    let row = b.let_("row", tile * 32 + thread);
    b.if_(row.lt(n), |b| {
        let open = format.open_row(b, w, &row);
        b.for_("pack", 0, format.packs(), 1, Bind::Serial, |b, pack| {
            format.for_pack(b, &open, pack, inner, |b, column, values| {
                b.for_("lane", 0, (u(k) - &column).min(4), 1, Bind::Serial, |b, lane| {
                    b.store(y, &row * k + &column + &lane, values.lane(&lane));
                });
                // What lies beyond the row must not disturb a dot product.
                b.for_("beyond", (u(k) - &column).min(4), 4, 1, Bind::Serial, |b, lane| {
                    b.store(y, n * k, values.lane(lane));
                });
            });
        });
    });
    b.finish(&[]).unwrap()
}

fn check(precision: Precision, n: u32, k: u32) {
    let bytes = random_bytes(precision, n, k);
    let want = decode_stored(precision, &[u64::from(n), u64::from(k)], &bytes).unwrap();
    let format = WeightFormat::new(precision, n, k);
    for kernel in [by_element(&format), by_pack(&format, Bind::Serial)] {
        let mut buffers = [to_words(&bytes), vec![f32::NAN.to_bits(); (n * k) as usize]];
        buffers[1].push(0);
        run(&kernel, &BTreeMap::new(), &mut buffers, Options::default()).unwrap();
        assert_eq!(buffers[1].pop(), Some(0), "padding of {precision} [{n}, {k}]");
        let largest = want.iter().fold(0f32, |m, x| m.max(x.abs()));
        for (i, (got, want)) in buffers[1].iter().zip(&want).enumerate() {
            let (got, row, column) = (f32::from_bits(*got), i as u32 / k, i as u32 % k);
            // One rounding of the product of scales and one of the sum.
            let exact = (got - want).abs() <= 2.5e-7 * largest;
            assert!(exact, "{} of {precision} [{n}, {k}] at {row}, {column}: {got}, not {want}", kernel.name);
        }
    }
}

#[test]
fn all_formats_decode_as_stored() {
    for precision in precisions() {
        for (n, k) in [(1, 1), (33, 130), (5, 300), (64, 256), (40, 72), (34, 172), (3, 126), (2, 700)] {
            check(precision, n, k);
        }
    }
}

#[test]
fn packs_do_not_visit_padding() {
    let format = WeightFormat::new("q4".parse().unwrap(), 32, 64);
    assert_eq!((format.pack_columns(), format.packs()), (32, 2));
}

#[test]
fn embedding_rows_of_any_symbolic_index() {
    let precision: Precision = "q3.g16.asym".parse().unwrap();
    let format = WeightFormat::new(precision, 70, 48);
    let mut b = Builder::new("embed");
    let (ids, w, y) =
        (b.buffer("ids", gristmill_kernel::I32, false), b.buffer("w", format.elem(), false), b.buffer("y", F32, true));
    let token = b.grid_axis("token", Expr::symbol("T"));
    let column = b.group_axis("column", 48);
    let id = b.let_("id", ids.at(&token).to_u32());
    let value = unpack_at(&mut b, w, &format, id, column.clone());
    b.store(y, token * 48 + column, value);
    let kernel = b.finish(&["T".to_string()]).unwrap();
    let bytes = random_bytes(precision, 70, 48);
    let want = decode_stored(precision, &[70, 48], &bytes).unwrap();
    let mut buffers = [vec![69, 0, 33], to_words(&bytes), vec![0; 3 * 48]];
    run(&kernel, &BTreeMap::from([("T".to_string(), 3)]), &mut buffers, Options::default()).unwrap();
    for (t, id) in [69usize, 0, 33].into_iter().enumerate() {
        for c in 0..48 {
            let got = f32::from_bits(buffers[2][t * 48 + c]);
            assert!((got - want[id * 48 + c]).abs() <= 1e-6 * want[id * 48 + c].abs().max(1.0));
        }
    }
}
