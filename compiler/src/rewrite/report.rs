//! The report of what rewriting did, for `inspect --rewrites`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What rewriting did to a graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RewriteReport {
    /// One entry for each kind of region, in order of first appearance.
    pub regions: Vec<RegionReport>,
}

/// What rewriting did to a region, and to all regions that are equal to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionReport {
    /// Name of the region.
    pub name: String,
    /// Number of regions with this body.
    pub repeats: usize,
    /// How often each rule contributed to the result.
    pub rules: BTreeMap<String, usize>,
    /// Number of operations before rewriting.
    pub nodes_before: usize,
    /// Number of operations after rewriting.
    pub nodes_after: usize,
    /// Estimated microseconds before rewriting, with every operation as a kernel of its own.
    pub cost_before_us: f64,
    /// Estimated microseconds after rewriting.
    pub cost_after_us: f64,
    /// The fused operations, in order. Paths are those of the first of the equal regions.
    pub fused: Vec<FusedReport>,
}

/// One fused operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FusedReport {
    /// Path of the node.
    pub path: String,
    /// Name of the operation, and its scalar expression if it has one.
    pub op: String,
    /// The nodes that it replaces, in order.
    pub covers: Vec<Covered>,
    /// Kernel launches saved, if every replaced operation was a kernel.
    pub saved_launches: usize,
    /// Nominal bytes of intermediate values that are no longer written and read.
    pub saved_bytes: f64,
    /// The best alternative that was found, and its extra cost in microseconds.
    pub instead_of: Option<(String, f64)>,
}

/// Nodes with the same path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Covered {
    /// Their path: all nodes of a block share one.
    pub path: String,
    /// Names of their operations, in order.
    pub ops: Vec<String>,
}

impl fmt::Display for Covered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path, self.ops.join(", "))
    }
}

impl fmt::Display for RewriteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, region) in self.regions.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{region}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RegionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.repeats == 1 { String::new() } else { format!(" (x{})", self.repeats) };
        writeln!(
            f,
            "{}{times}: {} -> {} operations, {:.1} -> {:.1} us by the cost model",
            self.name, self.nodes_before, self.nodes_after, self.cost_before_us, self.cost_after_us
        )?;
        if !self.rules.is_empty() {
            let rules: Vec<_> = self.rules.iter().map(|(name, count)| format!("{name} x{count}")).collect();
            writeln!(f, "  rules   {}", rules.join(", "))?;
        }
        for fused in &self.fused {
            write!(f, "{fused}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FusedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.path)?;
        writeln!(f, "    is      {}", self.op)?;
        for (i, covered) in self.covers.iter().enumerate() {
            writeln!(f, "    {}  {covered}", if i == 0 { "covers" } else { "      " })?;
        }
        let size = if self.saved_bytes < 10_240.0 {
            format!("{:.0} bytes", self.saved_bytes)
        } else {
            format!("{:.0} KiB", self.saved_bytes / 1024.0)
        };
        match self.saved_launches {
            0 => write!(f, "    saves   nothing on its own")?,
            1 => write!(f, "    saves   1 launch, {size} of traffic")?,
            n => write!(f, "    saves   {n} launches, {size} of traffic")?,
        }
        match &self.instead_of {
            Some((op, us)) if *us < 0.005 => writeln!(f, "; an equally fast form ends in `{op}`"),
            Some((op, us)) => writeln!(f, "; the next best form ends in `{op}` and takes {us:.2} us more"),
            None => writeln!(f),
        }
    }
}
