//! Several linear layers with the same few rows of activations in one kernel, such as query, key and value. The grid
//! covers the tiles of all their weights in turn; each layer has its own epilogue and output.

use gristmill_graph::Dim;
use gristmill_kernel::{Expr, u};

use super::linear::Linear;
use super::matvec::{TILE, add_packs, k_splits, reduce_k_splits, zeros};
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::kernel::Ctx;
use crate::codegen::store::Target;
use crate::error::CompileError;

/// Builds the kernel of several linear layers with tiled weights and the same activations.
pub fn build(low: &Lowering<'_>, stored: &[Stored]) -> Result<Built, CompileError> {
    let layers: Vec<Linear<'_>> = stored.iter().map(|s| Linear::new(low, s.id)).collect::<Result<_, _>>()?;
    let k_splits = k_splits(low, &layers[0]);
    let rows: Vec<String> = layers.iter().map(|l| l.n.to_string()).collect();
    let mut ctx = Ctx::new(low, &format!("matvec_{}x{}", rows.join("_"), layers[0].k));
    for layer in &layers {
        let path = &low.graph.node(layer.id).path;
        ctx.b.doc(format!("{path}: [{}, {}] weights times vector", layer.n, layer.k));
    }
    ctx.b.doc(format!("tiles of {TILE} rows and {k_splits} K splits"));
    let targets: Vec<Target> = stored.iter().map(|s| Target::bind(&mut ctx, s.id, s.root, s.place)).collect();
    let buffers: Vec<_> = layers.iter().map(|l| l.bind(&mut ctx)).collect();
    let tiles = layers.iter().map(|l| l.n.div_ceil(TILE)).sum::<u32>();
    let grid = [Count::Dim(Dim::constant(i64::from(tiles))), Count::Dim(layers[0].m.clone())];
    let tile = ctx.b.grid_axis("tile", grid[0].expr());
    let m = ctx.b.grid_axis("m", grid[1].expr());
    let k_split = ctx.b.group_axis("k_split", k_splits);
    let row = ctx.b.group_axis("row", TILE);
    let sums = zeros(&mut ctx, layers.iter().map(|l| l.weights.len()).max().unwrap_or(0));
    for (layer, (buffers, begin)) in layers.iter().zip(buffers.iter().zip(begins(&layers))) {
        ctx.if_(is_inside(&tile, begin, layer), |ctx| {
            let n = ctx.b.let_("n", (&tile - begin) * TILE + &row);
            let packs = (k_split.clone(), u(layer.weights[0].format.packs()), k_splits);
            add_packs(ctx, layer, (buffers, &sums[..buffers.len()]), (&m, &n), packs);
        });
    }
    let totals = reduce_k_splits(&mut ctx, &sums, (&k_split, &row), k_splits);
    for (layer, (target, begin)) in layers.iter().zip(targets.iter().zip(begins(&layers))) {
        let n = ctx.b.let_("n", (&tile - begin) * TILE + &row);
        let ends = k_split.equals(u(0)).and(is_inside(&tile, begin, layer)).and(n.lt(layer.n));
        ctx.if_(ends, |ctx| layer.finish(ctx, target, &m, &n, &totals[..layer.weights.len()]));
    }
    ctx.built(&grid)
}

/// The first tile of each layer.
fn begins(layers: &[Linear<'_>]) -> Vec<u32> {
    let ends = layers.iter().scan(0, |end, layer| {
        *end += layer.n.div_ceil(TILE);
        Some(*end)
    });
    std::iter::once(0).chain(ends).take(layers.len()).collect()
}

/// Whether a tile belongs to a layer.
fn is_inside(tile: &Expr, begin: u32, layer: &Linear<'_>) -> Expr {
    let end = begin + layer.n.div_ceil(TILE);
    if begin == 0 { tile.lt(end) } else { tile.ge(begin).and(tile.lt(end)) }
}
