//! Streams all weights of a prepared model into shards.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use gristmill_bundle::{BundleWriter, WeightWriter, WrittenWeights};
use gristmill_graph::quant::{PackedTile, QuantLayout, TILE, stored_bytes};
use gristmill_graph::{Precision, QuantSpec, Weight};
use rayon::prelude::*;

use super::checkpoint::Checkpoint;
use super::computed;
use super::encode::{Loss, TileEncoder, encode_half, encode_single};
use super::error::WeightError;
use super::report::{Requantized, TensorReport, WeightReport};
use crate::prepare::{Prepared, Recipe};

/// Size of weight files in bytes. It is below the limit of 25 MiB of some static hosts, and small enough for a browser
/// to hold several at a time. The format allows 32 MiB.
const SHARD_BYTES: u64 = 24 << 20;

/// Receives progress of writing.
pub trait Progress {
    /// `done` of `total` bytes of the weight stream are complete; `what` is the name of the current tensor.
    fn tick(&self, done: u64, total: u64, what: &str);
}

/// Ignores all progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn tick(&self, _: u64, _: u64, _: &str) {}
}

/// The result of writing.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Tensors in the order of the model's weights, with files and components.
    pub weights: WrittenWeights,
    /// Sizes and errors.
    pub report: WeightReport,
}

/// Writes the weight stream of `prepared` to files `weights/<sha256>.bin` of a bundle, which must then adopt them.
///
/// Holds a few megabytes of rows per thread in memory and, for quantized tensors, the planes that follow the codes.
/// Only a weight that is computed from others is in memory in full. The bytes do not depend on the number of threads.
/// Fails if a tensor is missing, has another shape, cannot be read, or contains values that are not finite or too large
/// for its precision; some files may be written already then.
pub fn write(
    checkpoint: &Checkpoint,
    prepared: &Prepared,
    bundle: &BundleWriter,
    progress: &dyn Progress,
) -> Result<Written, WeightError> {
    write_shards(checkpoint, prepared, bundle, SHARD_BYTES, progress)
}

/// Like [`write`], with a different file size.
pub(crate) fn write_shards(
    checkpoint: &Checkpoint,
    prepared: &Prepared,
    bundle: &BundleWriter,
    shard_bytes: u64,
    progress: &dyn Progress,
) -> Result<Written, WeightError> {
    let items = || prepared.model.weights.iter().zip(&prepared.recipes).zip(&prepared.precisions);
    let mut total = 0u64;
    for ((weight, recipe), precision) in items() {
        check(checkpoint, weight, recipe)?;
        let bytes = stored_bytes(*precision, &weight.shape).map_err(|e| unstorable(checkpoint, weight, e))?;
        total = total.saturating_add(bytes);
    }
    let mut stream = Stream { weights: bundle.weights(shard_bytes)?, total, progress };
    let mut sources = Sources { checkpoint, kept: None };
    let mut reports = Vec::new();
    let (mut formats, mut added) = (BTreeSet::new(), Loss::default());
    let mut component = None;
    for ((weight, recipe), precision) in items() {
        if component.replace(weight.component) != Some(weight.component)
            && let Some(name) = prepared.model.components.get(weight.component as usize)
        {
            stream.weights.component(name)?;
        }
        stream.weights.begin(&weight.name, &weight.shape, &precision.to_string())?;
        let values = sources.of(weight, recipe)?;
        let loss = match precision {
            Precision::F32 | Precision::F16 => stream.dense(weight, &values, *precision)?,
            Precision::Quant(spec) => stream.quantized(weight, &values, *spec)?,
        };
        let before = block_formats(checkpoint, recipe);
        if !before.is_empty() {
            formats.extend(before);
            added.add(loss);
        }
        let bytes = stream.weights.end()?;
        let count: u64 = weight.shape.iter().product();
        reports.push(TensorReport {
            name: weight.name.clone(),
            precision: precision.to_string(),
            weights: count,
            payload_bits: precision.payload_bits(),
            real_bits: 8.0 * bytes as f64 / count as f64,
            bytes,
            relative_error: loss.relative(),
        });
    }
    let mut report = WeightReport::new(reports, stream.weights.position());
    if !formats.is_empty() {
        let formats = formats.into_iter().map(str::to_string).collect();
        report.requantized = Some(Requantized { formats, relative_squared_error: added.relative().powi(2) });
    }
    Ok(Written { weights: stream.weights.finish()?, report })
}

/// The block formats of the tensors that a weight is made from.
fn block_formats(checkpoint: &Checkpoint, recipe: &Recipe) -> Vec<&'static str> {
    match recipe {
        Recipe::Direct(source) => checkpoint.block_format(source).into_iter().collect(),
        Recipe::Computed(computed) => {
            computed.weights.iter().filter_map(|w| checkpoint.block_format(&w.source)).collect()
        }
        Recipe::Part(part) => block_formats(checkpoint, &part.whole),
    }
}

/// The error for a weight whose size or shape cannot be stored.
fn unstorable(checkpoint: &Checkpoint, weight: &Weight, message: String) -> WeightError {
    checkpoint.error(&weight.source, message, "check the shape of this weight in the architecture")
}

/// Checks, before anything is written, that the tensor exists with the shape that the architecture states.
fn check(checkpoint: &Checkpoint, weight: &Weight, recipe: &Recipe) -> Result<(), WeightError> {
    let same = |source: &str, shape: &[u64]| {
        let found = checkpoint.shape(source)?;
        if found == shape {
            return Ok(());
        }
        let message = format!("has shape {found:?}, but `{}` of the architecture has {shape:?}", weight.name);
        Err(checkpoint.error(source, message, "check config.json, and the shape in the architecture file"))
    };
    match recipe {
        Recipe::Direct(source) => same(source, &weight.shape),
        Recipe::Computed(computed) => computed.weights.iter().try_for_each(|w| same(&w.source, &w.shape)),
        Recipe::Part(part) => {
            let whole = Weight { shape: part.shape.clone(), ..weight.clone() };
            check(checkpoint, &whole, &part.whole)
        }
    }
}

/// The source of a weight's rows.
enum Values<'a> {
    /// A tensor of the checkpoint, from this row on.
    Stored(&'a Checkpoint, &'a str, u64),
    /// An evaluated constant expression, from this row on, and the width of a row.
    Computed(Arc<Vec<f32>>, u64, usize),
}

impl Values<'_> {
    /// The same source, `rows` rows later.
    fn after(self, rows: u64) -> Self {
        match self {
            Values::Stored(checkpoint, source, first) => Values::Stored(checkpoint, source, first + rows),
            Values::Computed(values, first, width) => Values::Computed(values, first + rows, width),
        }
    }

    fn rows(&self, rows: Range<u64>, out: &mut Vec<f32>) -> Result<(), WeightError> {
        match self {
            Values::Stored(checkpoint, source, first) => {
                checkpoint.read_rows_f32(source, first + rows.start..first + rows.end, out)
            }
            Values::Computed(values, first, width) => {
                let at = |row: u64| (first + row) as usize * width;
                out.clear();
                out.extend_from_slice(&values[at(rows.start)..at(rows.end)]);
                Ok(())
            }
        }
    }
}

/// Provides values. Parts of a computed weight follow each other, so the values of the whole are kept until another
/// weight starts.
struct Sources<'a> {
    checkpoint: &'a Checkpoint,
    kept: Option<(&'a Recipe, Arc<Vec<f32>>)>,
}

impl<'a> Sources<'a> {
    fn of(&mut self, weight: &Weight, recipe: &'a Recipe) -> Result<Values<'a>, WeightError> {
        let expression = match recipe {
            Recipe::Part(part) => {
                let whole = Weight { shape: part.shape.clone(), ..weight.clone() };
                return Ok(self.of(&whole, &part.whole)?.after(part.first));
            }
            Recipe::Direct(source) => return Ok(Values::Stored(self.checkpoint, source, 0)),
            Recipe::Computed(expression) => expression,
        };
        if let Some((source, first)) = computed::row_slice(expression) {
            return Ok(Values::Stored(self.checkpoint, source, first));
        }
        let width = weight.shape.iter().skip(1).product::<u64>() as usize;
        if let Some((_, values)) = self.kept.as_ref().filter(|(kept, _)| std::ptr::eq(*kept, recipe)) {
            return Ok(Values::Computed(values.clone(), 0, width));
        }
        // Freed before the next values are computed, so that only one such weight is in memory.
        self.kept = None;
        let values = Arc::new(computed::compute(self.checkpoint, weight, expression)?);
        self.kept = Some((recipe, values.clone()));
        Ok(Values::Computed(values, 0, width))
    }
}

/// The weight stream being written.
struct Stream<'a> {
    weights: WeightWriter,
    total: u64,
    progress: &'a dyn Progress,
}

impl Stream<'_> {
    fn quantized(&mut self, weight: &Weight, values: &Values<'_>, spec: QuantSpec) -> Result<Loss, WeightError> {
        let (rows, columns) = (weight.shape[0], weight.shape[1]);
        let layout = QuantLayout::new(rows, columns, spec)
            .map_err(|e| WeightError::new(Path::new(&weight.name), e, "choose another precision"))?;
        let make = |(buffer, encoder): &mut (Vec<f32>, TileEncoder), tile: u64| {
            let first = tile * TILE as u64;
            values.rows(first..rows.min(first + TILE as u64), buffer)?;
            encoder.encode(buffer).map_err(|row| too_large(weight, first + row as u64, Precision::Quant(spec)))
        };
        // Codes are written as they are made. The smaller planes, which follow all codes, are kept in memory.
        let (mut high, mut headers, mut scales, mut loss) = (Vec::new(), Vec::new(), Vec::new(), Loss::default());
        let take = |stream: &mut Self, (tile, part): (PackedTile, Loss)| {
            high.extend_from_slice(&tile.high);
            headers.extend_from_slice(&tile.headers);
            scales.extend_from_slice(&tile.scales);
            loss.add(part);
            Ok(stream.weights.put(tile.codes)?)
        };
        let tile_bytes = TILE as u64 * columns * 4;
        self.in_batches(
            weight,
            layout.tiles as u64,
            tile_bytes,
            || (Vec::new(), TileEncoder::new(layout)),
            make,
            take,
        )?;
        for plane in [high, headers, scales] {
            self.weights.put(plane)?;
        }
        Ok(loss)
    }

    fn dense(&mut self, weight: &Weight, values: &Values<'_>, precision: Precision) -> Result<Loss, WeightError> {
        /// Bytes of f32 values per piece.
        const PIECE: u64 = 1 << 20;
        let rows = weight.shape.first().copied().unwrap_or(1);
        let row_bytes = 4 * weight.shape.iter().skip(1).product::<u64>();
        let per_piece = (PIECE / row_bytes.max(1)).max(1);
        let make = |buffer: &mut Vec<f32>, piece: u64| {
            let first = piece * per_piece;
            values.rows(first..rows.min(first + per_piece), buffer)?;
            match precision {
                Precision::F16 => {
                    encode_half(buffer).map_err(|i| too_large(weight, first + 4 * i as u64 / row_bytes, precision))
                }
                _ => Ok(encode_single(buffer)),
            }
        };
        let mut loss = Loss::default();
        let take = |stream: &mut Self, (bytes, part): (Vec<u8>, Loss)| {
            loss.add(part);
            Ok(stream.weights.put(bytes)?)
        };
        self.in_batches(weight, rows.div_ceil(per_piece), per_piece * row_bytes, Vec::new, make, take)?;
        Ok(loss)
    }

    /// Computes `count` pieces on all threads and consumes them in order. A batch is large enough to keep all threads
    /// busy. Its size depends only on the shape, so the order of additions does too.
    fn in_batches<S, T: Send>(
        &mut self,
        weight: &Weight,
        count: u64,
        piece_bytes: u64,
        scratch: impl Fn() -> S + Sync + Send,
        make: impl Fn(&mut S, u64) -> Result<T, WeightError> + Sync + Send,
        mut take: impl FnMut(&mut Self, T) -> Result<(), WeightError>,
    ) -> Result<(), WeightError> {
        /// Bytes of f32 values per batch.
        const BATCH: u64 = 32 << 20;
        let batch = (BATCH / piece_bytes.max(1)).max(2 * rayon::current_num_threads() as u64);
        let mut first = 0;
        while first < count {
            let last = count.min(first + batch);
            let pieces: Vec<Result<T, WeightError>> = (first..last).into_par_iter().map_init(&scratch, &make).collect();
            for piece in pieces {
                take(self, piece?)?;
            }
            first = last;
            self.progress.tick(self.weights.position().min(self.total), self.total, &weight.name);
        }
        Ok(())
    }
}

fn too_large(weight: &Weight, row: u64, precision: Precision) -> WeightError {
    let message = format!("`{}` has a value in row {row} that is too large for {precision}", weight.name);
    let help = "store this weight as f32 (precision policy, or `precision` in the architecture)";
    WeightError::new(Path::new("weights"), message, help).in_tensor(&weight.source)
}
