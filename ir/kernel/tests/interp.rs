//! The interpreter on small kernels, and what it refuses.

use std::collections::BTreeMap;

use gristmill_kernel::interp::{Options, run};
use gristmill_kernel::{Bind, Builder, Expr, F32, GroupOp, Kernel, U32, VEC4F, f};

fn symbols(pairs: &[(&str, u32)]) -> BTreeMap<String, u32> {
    pairs.iter().map(|(name, value)| (name.to_string(), *value)).collect()
}

fn words(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn execute(kernel: &Kernel, values: &[(&str, u32)], buffers: &mut [Vec<u32>]) -> Result<(), String> {
    run(kernel, &symbols(values), buffers, Options::default())
}

/// `y[row] = sum x[row, ..n]`, with `rows_per_group` rows in a workgroup.
fn row_sum(n: u32, rows_per_group: u32, lanes: u32) -> Kernel {
    let mut b = Builder::new("row_sum");
    let x = b.buffer("x", F32, false);
    let y = b.buffer("y", F32, true);
    let block = b.grid_axis("block", Expr::symbol("B"));
    let row = b.group_axis("row", rows_per_group);
    let lane = b.group_axis("lane", lanes);
    let row = b.let_("y_row", block * rows_per_group + row);
    let sum = b.var("sum", f(0.0));
    b.for_("column", &lane, n, lanes, Bind::Serial, |b, column| b.add(sum, x.at(&row * n + column)));
    b.group_reduce(GroupOp::Add, sum);
    b.if_(lane.equals(0), |b| b.store(y, &row, sum));
    b.finish(&["B".to_string()]).unwrap()
}

#[test]
fn rows_are_summed() {
    for (n, rows, lanes) in [(1, 1, 1), (7, 2, 4), (100, 1, 64), (33, 3, 6)] {
        let count = 2 * rows;
        let x: Vec<f32> = (0..count * n).map(|i| i as f32).collect();
        let mut buffers = [words(&x), vec![0; count as usize]];
        execute(&row_sum(n, rows, lanes), &[("B", 2)], &mut buffers).unwrap();
        let want: Vec<f32> = x.chunks(n as usize).map(|row| row.iter().sum()).collect();
        assert_eq!(buffers[1], words(&want));
    }
}

#[test]
fn vectors_and_divergence() {
    let mut b = Builder::new("k");
    let x = b.buffer("x", VEC4F, false);
    let y = b.buffer("y", F32, true);
    let lane = b.group_axis("lane", 4);
    let v = b.let_("v", x.at(0));
    let out = b.var("out", f(-1.0));
    // Each thread runs the loop a different number of times; thread 3 leaves its own branch.
    b.for_("turn", 0, &lane, 1, Bind::Serial, |b, turn| {
        b.assign(out, out.get() + v.lane(turn));
    });
    b.if_else(lane.equals(3), |b| b.store(y, &lane, v.dot(f(1.0).splat(4))), |b| b.store(y, &lane, out));
    let kernel = b.finish(&[]).unwrap();
    let mut buffers = [words(&[1.0, 2.0, 4.0, 8.0]), vec![0; 4]];
    execute(&kernel, &[], &mut buffers).unwrap();
    assert_eq!(buffers[1], words(&[-1.0, 0.0, 2.0, 15.0]));
}

#[test]
fn halves_and_bytes() {
    let mut b = Builder::new("k");
    let x = b.buffer("x", U32, false);
    let y = b.buffer("y", F32, true);
    let z = b.buffer("z", U32, true);
    let lane = b.group_axis("lane", 4);
    let sum = b.let_("sum", x.at(0).bytes_i8().lane(&lane).to_f32() + x.at(0).bytes_u8().lane(&lane).to_f32());
    b.store(y, &lane, sum);
    let halves = b.let_("halves", x.at(1).halves_f16());
    b.if_(lane.equals(0), |b| b.store(z, 0, (halves.clone() + halves).pack_f16()));
    let kernel = b.finish(&[]).unwrap();
    let mut buffers = [vec![0x80ff_7f01, 0xc000_3c00], vec![0; 4], vec![0]];
    execute(&kernel, &[], &mut buffers).unwrap();
    assert_eq!(buffers[1], words(&[2.0, 254.0, 254.0, 0.0]));
    assert_eq!(buffers[2], [0xc400_4000]);
}

#[test]
fn accesses_out_of_bounds_are_refused() {
    let error = execute(&row_sum(5, 1, 2), &[("B", 2)], &mut [words(&[0.0; 9]), vec![0; 2]]).unwrap_err();
    assert_eq!(error, "kernel `row_sum`, workgroup 1: thread 0 accesses `x`[9], which has 9 elements");
}

#[test]
fn shared_memory_is_watched() {
    let attempt = |barrier: bool, write: bool| {
        let mut b = Builder::new("k");
        let y = b.buffer("y", U32, true);
        let lane = b.group_axis("lane", 4);
        let tile = b.shared("tile", U32, 4);
        if write {
            b.store_shared(tile, &lane, &lane * 10);
        }
        if barrier {
            b.barrier();
        }
        b.store(y, &lane, tile.at((&lane + 1) % 4));
        let kernel = b.finish(&[]).unwrap();
        let mut buffers = [vec![0; 4]];
        execute(&kernel, &[], &mut buffers).map(|()| buffers[0].clone())
    };
    assert_eq!(attempt(true, true).unwrap(), [10, 20, 30, 0]);
    let prefix = "kernel `k`, workgroup 0: ";
    assert_eq!(
        attempt(false, true).unwrap_err(),
        format!("{prefix}no barrier between the write of thread 1 and the read of thread 0 at `tile`[1]")
    );
    assert_eq!(attempt(true, false).unwrap_err(), format!("{prefix}thread 0 reads `tile`[1] before anything wrote it"));
}

#[test]
fn constant_arrays_are_read_within_their_bounds() {
    for (offset, fits) in [(0, true), (1, false)] {
        let mut b = Builder::new("pick");
        let y = b.buffer("y", F32, true);
        let thread = b.group_axis("thread", 3);
        let table = b.table("steps", &[0.5, 1.5, 2.5]);
        b.store(y, &thread, table.at(&thread + offset));
        let kernel = b.finish(&[]).unwrap();
        let mut buffers = [vec![0; 3]];
        let result = execute(&kernel, &[], &mut buffers);
        if fits {
            result.unwrap();
            assert_eq!(buffers[0], words(&[0.5, 1.5, 2.5]));
        } else {
            assert!(result.unwrap_err().contains("accesses `steps`[3], which has 3 elements"));
        }
    }
}
