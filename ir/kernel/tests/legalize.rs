//! Legalized kernels against what the originals mean, and the error bounds of the functions.

use std::collections::BTreeMap;

use gristmill_graph::scalar::Form;
use gristmill_graph::{Binary, Unary};
use gristmill_kernel::interp::{Options, run};
use gristmill_kernel::{Bind, Builder, Caps, Expr, F32, GroupOp, Kernel, Stmt, U32, VEC4F, f, legalize, u, verify};

fn execute(kernel: &Kernel, buffers: &[Vec<u32>], subgroup_size: u32) -> Vec<Vec<u32>> {
    let mut buffers = buffers.to_vec();
    run(kernel, &BTreeMap::new(), &mut buffers, Options { subgroup_size, ..Options::default() }).unwrap();
    buffers
}

/// The plain form without any capability, verified.
fn plain(kernel: &Kernel) -> Kernel {
    let legal = legalize(kernel, &Caps::default());
    verify(&legal, &Caps::default()).unwrap();
    legal
}

fn words(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Applies the legalized function to all values.
fn apply(values: &[f32], function: impl Fn(Expr) -> Expr) -> Vec<f32> {
    let n = values.len().div_ceil(64) as u32 * 64;
    let mut b = Builder::new("apply");
    let (x, y) = (b.buffer("x", F32, false), b.buffer("y", F32, true));
    let block = b.grid_axis("block", n / 64);
    let thread = b.group_axis("thread", 64);
    let i = b.let_("i", block * 64 + thread);
    b.store(y, &i, function(x.at(&i)));
    let kernel = plain(&b.finish(&[]).unwrap());
    let mut padded = words(values);
    padded.resize(n as usize, 0);
    let out = execute(&kernel, &[padded, vec![0; n as usize]], 32);
    out[1][..values.len()].iter().map(|w| f32::from_bits(*w)).collect()
}

/// Both signs, dense near 0, up to `max`.
fn samples(max: f32) -> Vec<f32> {
    let n = 40_000;
    let uniform = (0..=n).map(|i| max * i as f32 / n as f32);
    let small = (0..2000).map(|i| 4.0 * i as f32 / 2000.0);
    let tiny = (0..30).map(|i| 0.5f32.powi(i));
    uniform.chain(small).chain(tiny).flat_map(|x| [x, -x]).collect()
}

fn largest_error(values: &[f32], op: Unary, exact: impl Fn(f64) -> f64) -> f64 {
    let got = apply(values, |x| x.unary(op));
    // Absolute, and relative where results are large.
    let errors = values.iter().zip(got).map(|(x, y)| {
        let exact = exact(f64::from(*x));
        (f64::from(y) - exact).abs() / exact.abs().max(1.0)
    });
    errors.fold(0.0, |a, b| if b.is_nan() { b } else { a.max(b) })
}

#[test]
fn functions_keep_their_error_bounds() {
    let bound = 2e-7;
    for op in Unary::ALL {
        let (row, Some(f)) = (op.row(), op.row().f32) else { continue };
        if matches!(row.form, Form::Native(_)) || f.exact {
            continue;
        }
        // All that is promised, and more densely where most values are.
        for largest in [row.domain[1].min(1e5), 8.0] {
            let mut values = samples(largest);
            values.retain(|x| row.domain[0] <= *x && *x <= row.domain[1]);
            let error = largest_error(&values, *op, f.double);
            println!("{} up to {largest}: {error:.2e}", row.name);
            assert!(error <= bound, "{}: {error:e}", row.name);
        }
    }
}

#[test]
fn tanh_is_relatively_exact_near_zero() {
    let values: Vec<f32> = samples(1.0).into_iter().filter(|x| *x != 0.0).collect();
    let got = apply(&values, |x| x.unary(Unary::Tanh));
    for (x, y) in values.iter().zip(got) {
        let exact = f64::from(*x).tanh();
        assert!(((f64::from(y) - exact) / exact).abs() < 3e-7, "{x}: {y}");
    }
}

#[test]
fn reciprocals_and_powers() {
    let values = [0.25, 4.0, -2.0, 0.0, 3.0];
    assert_eq!(apply(&values[..2], |x| x.unary(Unary::Rsqrt)), [2.0, 0.5]);
    assert_eq!(apply(&values[..3], |x| x.unary(Unary::Recip)), [4.0, 0.25, -0.5]);
    assert_eq!(apply(&values, |x| (x + 1.0).pow(2.0)), [1.5625, 25.0, 1.0, 1.0, 16.0]);
    assert_eq!(apply(&values, |x| x.pow(3.0)), [0.015625, 64.0, -8.0, 0.0, 27.0]);
    let integer = apply(&values, |x| x.pow(f(1.0) + 4.0));
    assert_eq!(integer, [0.0009765625, 1024.0, -32.0, 0.0, 243.0]);
    let zeroth = apply(&values, |x| x.pow(0.0));
    assert_eq!(zeroth, [1.0; 5]);
    assert!(apply(&[-2.0], |x| x.pow(0.3))[0].is_nan());
}

#[test]
fn vectors_go_lane_by_lane() {
    let mut b = Builder::new("k");
    let (x, y) = (b.buffer("x", VEC4F, false), b.buffer("y", VEC4F, true));
    b.store(y, 0, (x.at(0) + f(0.5).splat(4)).unary(Unary::Tanh).unary(Unary::Recip));
    let kernel = b.finish(&[]).unwrap();
    let buffers = [words(&[0.0, 1.0, -3.0, 20.0]), vec![0; 4]];
    let (want, got) = (execute(&kernel, &buffers, 32), execute(&plain(&kernel), &buffers, 32));
    for (want, got) in want[1].iter().zip(&got[1]) {
        let (want, got) = (f32::from_bits(*want), f32::from_bits(*got));
        assert!((want - got).abs() < 1e-6, "{got}, not {want}");
    }
}

#[test]
fn bytes_without_packed_bytes() {
    let mut b = Builder::new("k");
    let (x, y) = (b.buffer("x", U32, false), b.buffer("y", F32, true));
    let lane = b.group_axis("lane", 4);
    b.store(y, &lane, x.at(0).bytes_i8().lane(&lane).to_f32() * 1000.0 + x.at(0).bytes_u8().lane(&lane).to_f32());
    let kernel = b.finish(&[]).unwrap();
    for word in [0x80ff_7f01, 0, 0xffff_ffff, 0x8080_8080] {
        let buffers = [vec![word], vec![0; 4]];
        assert_eq!(execute(&kernel, &buffers, 32), execute(&plain(&kernel), &buffers, 32));
    }
}

#[test]
fn bytes_of_a_table() {
    let table = [0x8001_7fff, 0x0403_0201, 0x1234_5678, 0x9abc_def0];
    let mut b = Builder::new("k");
    let (x, y) = (b.buffer("x", U32, false), b.buffer("y", U32, true));
    b.store(y, 0, x.at(0).lookup(table));
    let pair = Expr::vec([x.at(0), x.at(0).bxor(0x0101_0101)]).lookup(table);
    b.store(y, 1, pair.lane(1));
    let kernel = b.finish(&[]).unwrap();
    let bytes: Vec<u8> = table.iter().flat_map(|w| w.to_le_bytes()).collect();
    for word in [0x0302_0100u32, 0x0706_0504, 0x0b0a_0908, 0x0f0e_0d0c, 0x0f0f_0000] {
        let of = |word: u32| u32::from_le_bytes(word.to_le_bytes().map(|i| bytes[usize::from(i)]));
        let buffers = [vec![word], vec![0; 2]];
        for kernel in [&kernel, &plain(&kernel)] {
            assert_eq!(execute(kernel, &buffers, 32)[1], [of(word), of(word ^ 0x0101_0101)]);
        }
    }
}

/// Reductions after one another, per row of threads, which are barriers for a neighbour's element of shared memory,
/// too.
fn reductions(rows: u32, lanes: u32) -> Kernel {
    let mut b = Builder::new("reductions");
    let (x, y) = (b.buffer("x", F32, false), b.buffer("y", F32, true));
    let row = b.group_axis("row", rows);
    let lane = b.group_axis("lane", lanes);
    let i = b.let_("i", row * lanes + lane);
    let tile = b.shared("tile", F32, rows * lanes);
    b.store_shared(tile, &i, x.at(&i));
    let sum = b.var("sum", x.at(&i));
    b.group_reduce(GroupOp::Add, sum);
    let next = b.let_("next", tile.at((&i + 1) % (rows * lanes)));
    let max = b.var("max", x.at(&i) - sum.get());
    b.group_reduce(GroupOp::Max, max);
    let pair = b.var("pair", Expr::vec([sum.get(), max.get()]));
    b.group_reduce(GroupOp::Min, pair);
    b.store(y, i, pair.get().lane(0) + pair.get().lane(1) * 3.0 + next);
    b.finish(&[]).unwrap()
}

#[test]
fn reductions_by_slots_and_subgroups() {
    for (rows, lanes) in [(1, 1), (1, 64), (1, 256), (4, 16), (3, 6), (1, 37), (2, 128), (8, 1)] {
        let kernel = reductions(rows, lanes);
        let x: Vec<f32> = (0..rows * lanes).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
        let buffers = [words(&x), vec![0; x.len()]];
        let want = execute(&kernel, &buffers, 32);
        assert_eq!(execute(&plain(&kernel), &buffers, 32), want, "{rows} x {lanes}");
        let caps = Caps { subgroups: true, ..Caps::default() };
        let legal = legalize(&kernel, &caps);
        verify(&legal, &caps).unwrap();
        assert_eq!(legal.needs.subgroups, lanes > 1 && (rows == 1 || lanes == 128));
        for subgroup_size in [4, 8, 32, 128] {
            // The values are small integers, so that the order of sums does not matter.
            assert_eq!(execute(&legal, &buffers, subgroup_size), want, "{rows} x {lanes}, {subgroup_size}");
        }
    }
}

#[test]
fn unrolled_loops_are_written_out() {
    let build = |bind| {
        let mut b = Builder::new("k");
        let (x, y) = (b.buffer("x", F32, false), b.buffer("y", F32, true));
        let total = b.var("total", f(0.0));
        b.for_("row", 1, 6, 2, bind, |b, row| {
            let scale = b.let_("scale", x.at(&row) * 2.0);
            let part = b.var("part", f(0.0));
            b.for_("column", 0, &row, 1, Bind::Serial, |b, column| b.add(part, x.at(column) * &scale));
            b.if_(row.lt(5), |b| b.add(total, part));
        });
        b.store(y, 0, total);
        b.finish(&[]).unwrap()
    };
    let (serial, unrolled) = (build(Bind::Serial), plain(&build(Bind::Unroll)));
    assert!(!unrolled.body.iter().any(|s| matches!(s, Stmt::Loop { bind: Bind::Unroll, .. })));
    let buffers = [words(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), vec![0]];
    assert_eq!(execute(&serial, &buffers, 32), execute(&unrolled, &buffers, 32));
}

#[test]
fn bounds_are_fixed_before_the_loop() {
    let mut b = Builder::new("k");
    let y = b.buffer("y", U32, true);
    let end = b.var("end", u(3));
    b.for_("turn", 0, end, 1, Bind::Serial, |b, turn| {
        b.store(y, turn, end.get());
        b.add(end, 1);
    });
    let kernel = b.finish(&[]).unwrap();
    let legal = plain(&kernel);
    let reads_end = |e: &Expr| e.any(&mut |e| *e == Expr::Var(end));
    assert!(legal.body.iter().any(|s| matches!(s, Stmt::Loop { end, .. } if !reads_end(end))));
    let buffers = [vec![0; 4]];
    assert_eq!(execute(&legal, &buffers, 32), [[3, 4, 5, 0]]);
}

#[test]
fn infinite_literals_become_finite() {
    let mut b = Builder::new("k");
    let y = b.buffer("y", F32, true);
    b.store(y, 0, Expr::Binary(Binary::Max, Box::new(f(f32::NEG_INFINITY)), Box::new(f(f32::NEG_INFINITY))));
    let kernel = plain(&b.finish(&[]).unwrap());
    assert_eq!(execute(&kernel, &[vec![0]], 32), [[f32::MIN.to_bits()]]);
}
