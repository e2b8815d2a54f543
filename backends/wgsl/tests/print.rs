//! Printed kernels are readable, and accepted by naga. Some are snapshots; `UPDATE=1` updates them.
//!
//! If `GRISTMILL_SHADERS=FOLDER` is set, they are also written to that folder, for `tests/dawn/check.mjs`.

use std::hash::{DefaultHasher, Hash, Hasher};

use gristmill_graph::Unary;
use gristmill_kernel::{
    Bind, Bit, Builder, Caps, Expr, F32, GroupOp, I32, Kernel, Scalar, U32, VEC4F, WeightFormat, f, i, legalize, u,
    verify,
};
use gristmill_wgsl::{print, validate};

const PLAIN: Caps = Caps {
    subgroups: false,
    packed_bytes: false,
    byte_lookup: false,
    exponentials: true,
    max_group_size: 256,
    max_shared_bytes: 16384,
};
const RICH: Caps = Caps { subgroups: true, packed_bytes: true, ..PLAIN };

fn emit(kernel: &Kernel, caps: &Caps) -> String {
    let legal = legalize(kernel, caps);
    verify(&legal, caps).unwrap();
    let text = print(&legal).unwrap();
    validate(&text, caps).unwrap_or_else(|e| panic!("{e}\n{text}"));
    if let Some(folder) = std::env::var_os("GRISTMILL_SHADERS") {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let file = format!("{}_{:016x}.wgsl", kernel.name, hasher.finish());
        std::fs::write(std::path::Path::new(&folder).join(file), &text).unwrap();
    }
    text
}

/// Whether `UPDATE=1` was set and the snapshot was updated. insta has a switch of its own, which is set for a second
/// run of the same tests.
fn renewed() -> bool {
    if std::env::var_os("UPDATE").is_none() || std::env::var_os("INSTA_UPDATE").is_some() {
        return false;
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    let status = again.args(std::env::args_os().skip(1)).env("INSTA_UPDATE", "always").status().unwrap();
    assert!(status.success(), "the snapshots cannot be renewed");
    true
}

/// Asserts that a printed kernel equals its snapshot.
macro_rules! assert_kept {
    ($name:literal, $text:expr) => {
        if !renewed() {
            insta::assert_snapshot!($name, $text);
        }
    };
}

fn symbols() -> Vec<String> {
    ["B", "T", "P"].map(str::to_string).to_vec()
}

/// Gelu of a sum, one element per thread.
fn map() -> Kernel {
    let mut b = Builder::new("gelu_bias");
    b.doc("layers.0.mlp.act: element-wise, 64 threads");
    let (x, bias, y) = (b.buffer("x", F32, false), b.buffer("bias", F32, false), b.buffer("y", F32, true));
    let count = Expr::symbol("B") * Expr::symbol("T") * 384;
    let block = b.grid_axis("block", (&count + 63) / 64);
    let thread = b.group_axis("thread", 64);
    let element = b.let_("element", block * 64 + thread);
    b.if_(element.lt(&count), |b| {
        let sum = b.let_("sum", x.at(&element) + bias.at(&element % 384));
        let half = (&sum * std::f32::consts::FRAC_1_SQRT_2).unary(Unary::Erf) + 1.0;
        b.store(y, &element, sum * 0.5 * half);
    });
    b.finish(&symbols()).unwrap()
}

/// RMS norm, two rows per workgroup.
fn norm(rows: u32) -> Kernel {
    let mut b = Builder::new("rms_norm");
    b.doc("layers.0.norm: root mean square over 768 columns");
    b.doc(format!("rows by lanes of a workgroup: {rows} by 64"));
    let (x, weight, y) = (b.buffer("x", VEC4F, false), b.buffer("weight", VEC4F, false), b.buffer("y", VEC4F, true));
    let batch = b.grid_axis("batch", Expr::symbol("B"));
    let block = b.grid_axis("block", Expr::symbol("T"));
    let row = b.group_axis("row", rows);
    let lane = b.group_axis("lane", 64);
    let row = b.let_("token", (batch * Expr::symbol("T") + block) * rows + row);
    let squares = b.var("squares", f(0.0));
    b.for_("quad", &lane, 192, 64, Bind::Serial, |b, quad| {
        let v = b.let_("v", x.at(&row * 192 + quad));
        b.add(squares, v.dot(&v));
    });
    b.group_reduce(GroupOp::Add, squares);
    let scale = b.let_("scale", (squares.get() / 768.0 + 1e-6).unary(Unary::Rsqrt));
    b.for_("quad", &lane, 192, 64, Bind::Serial, |b, quad| {
        let value = x.at(&row * 192 + &quad) * scale.splat(4) * weight.at(&quad);
        b.store(y, &row * 192 + quad, value);
    });
    b.finish(&symbols()).unwrap()
}

/// A 4-bit matrix times a vector: 32 rows per workgroup, 4 K splits.
fn matvec(precision: &str, inner: Bind) -> Kernel {
    let w = WeightFormat::new(precision.parse().unwrap(), 768, 512);
    let mut b = Builder::new("matvec");
    b.doc(format!("layers.0.mlp.down: [768, 512] in {precision} times a vector"));
    b.doc("32 rows by 4 K splits in a workgroup");
    let (x, weight, y) = (b.buffer("x", VEC4F, false), b.buffer("weight", w.elem(), false), b.buffer("y", F32, true));
    let tile = b.grid_axis("tile", w.rows() / 32);
    let row = b.group_axis("row", 32);
    let slice = b.group_axis("slice", 4);
    let row = b.let_("n", tile * 32 + row);
    let sum = b.var("sum", f(0.0));
    let open = w.open_row(&mut b, weight, &row);
    b.for_("pack", &slice, w.packs(), 4, Bind::Serial, |b, pack| {
        w.for_pack(b, &open, pack, inner, |b, column, values| b.add(sum, values.dot(x.at(column / 4))));
    });
    b.group_reduce(GroupOp::Add, sum);
    b.if_(slice.equals(0), |b| b.store(y, row, sum));
    b.finish(&symbols()).unwrap()
}

#[test]
fn map_kernel() {
    assert_kept!("map_kernel", emit(&map(), &PLAIN));
}

#[test]
fn norm_kernel() {
    assert_kept!("norm_plain", emit(&norm(2), &PLAIN));
    assert_kept!("norm_subgroups", emit(&norm(1), &RICH));
}

#[test]
fn matvec_kernel() {
    assert_kept!("matvec_q4", emit(&matvec("q4.g32", Bind::Serial), &RICH));
    assert_kept!("matvec_q3_asym_plain", emit(&matvec("q3.g16.asym", Bind::Serial), &PLAIN));
}

#[test]
fn all_weight_formats_are_accepted() {
    for precision in ["f32", "f16", "q2.g16", "q2.g128.asym", "q3.g64", "q4.g16.asym", "q8.g32", "q8.g128.asym"] {
        for caps in [PLAIN, RICH] {
            for inner in [Bind::Serial, Bind::Unroll] {
                emit(&matvec(precision, inner), &caps);
            }
        }
    }
}

/// Every operator nested in every other: our parentheses must agree with naga's parser.
#[test]
fn brackets_are_right_where_operators_meet() {
    let mut b = Builder::new("brackets");
    let (x, y) = (b.buffer("x", U32, false), b.buffer("y", U32, true));
    let (a, c, d) = (x.at(0), x.at(1), x.at(2));
    let pair = |op: u32, p: &Expr, q: &Expr| match op {
        0 => p + q,
        1 => p - q.clone(),
        2 => p * q,
        3 => p / q,
        4 => p % q,
        5 => p.shl(q),
        6 => p.shr(q),
        7 => p.band(q),
        8 => p.bor(q),
        9 => p.bxor(q),
        10 => p.min(q),
        _ => p.lt(q).select(p, q),
    };
    for first in 0..12 {
        for second in 0..12 {
            let left = pair(second, &pair(first, &a, &c), &d);
            let right = pair(second, &d, &pair(first, &a, &c));
            b.store(y, first * 12 + second, left);
            b.store(y, first * 12 + second, right);
        }
    }
    let less = a.lt(&c);
    let more = c.gt(d.shr(1));
    b.if_(less.and(&more).or(a.equals(&c).and(c.ge(&d)).unary(Unary::Not)), |b| b.store(y, 0, u(1)));
    b.if_(less.select(less.clone(), more.clone()).and(a.lt(c.shr(2))), |b| b.store(y, 0, more.select(u(1), u(2))));
    b.store(y, 1, less.select(less.select(&a, c.shr(3)), &d));
    emit(&b.finish(&[]).unwrap(), &PLAIN);
}

#[test]
fn literals_and_conversions() {
    let mut b = Builder::new("literals");
    let (x, y, z) = (b.buffer("x", I32, false), b.buffer("y", F32, true), b.buffer("loop", U32, true));
    let floats = [0.0, -0.0, 1.5, -1e-30, 3.4e38, f32::MAX, f32::NEG_INFINITY, 1e-45, 0.1];
    for (at, value) in (0u32..).zip(floats) {
        b.store(y, at, x.at(at).to_f32() - value);
    }
    let wide = b.var("wide", f(0.5).splat(4));
    b.assign(wide, wide.get() + x.at(0).cast(Scalar::F32).splat(4));
    b.assign(wide, -wide.get() * x.at(1).to_f32().splat(4));
    b.store(y, 20, -(-wide.get().lane(x.at(2).to_u32().min(3))));
    b.store(z, 0, (x.at(3) % i(-7) + i(i32::MIN)).bitcast(Scalar::U32));
    b.store(z, 1, Expr::Bit(Bit::Shl, Box::new(x.at(0).bytes()), Box::new(u(3))).lane(1));
    b.store(z, 2, Expr::vec([x.at(0).to_f32(), f(2.0)]).pack_f16());
    let text = emit(&b.finish(&[]).unwrap(), &RICH);
    assert!(text.contains("loop2: array<u32>"), "{text}");
    assert!(text.contains("3.4028234663852886e38f"), "{text}");
}

trait Bytes {
    fn bytes(&self) -> Expr;
}

impl Bytes for Expr {
    fn bytes(&self) -> Expr {
        self.bitcast(Scalar::U32).bytes_u8()
    }
}

#[test]
fn what_was_not_legalised_is_refused() {
    let error = print(&norm(1)).unwrap_err().to_string();
    assert_eq!(error, "kernel `rms_norm`: a group reduction was not legalised");
    let error = print(&map()).unwrap_err().to_string();
    assert_eq!(error, "kernel `gelu_bias`: Erf was not legalised");
}

#[test]
fn naga_names_the_line() {
    let text = print(&legalize(&norm(1), &RICH)).unwrap();
    assert!(validate(&text, &PLAIN).is_err());
    let broken = text.replace("squares += dot(v, v);", "squares += dot(v, 1);");
    assert_ne!(broken, text);
    let line = broken.lines().position(|l| l.contains("dot(v, 1)")).unwrap() + 1;
    let message = validate(&broken, &RICH).unwrap_err();
    assert!(message.contains(&format!("wgsl:{line}:")), "{message}");
}

#[test]
fn constant_arrays_stand_in_front() {
    let mut b = Builder::new("turn");
    let y = b.buffer("y", F32, true);
    let thread = b.group_axis("thread", 4);
    let frequencies = b.table("frequencies", &[1.0, 0.5, 0.25, 1e-6]);
    assert_eq!(b.table("again", &[1.0, 0.5, 0.25, 1e-6]), frequencies);
    b.store(y, &thread, frequencies.at(&thread));
    let text = emit(&b.finish(&symbols()).unwrap(), &PLAIN);
    assert!(text.contains("const frequencies = array<f32, 4>(\n    1.0, 0.5, 0.25, 1e-6,\n);"), "{text}");
    assert!(text.contains("] = frequencies[thread];"), "{text}");
}
