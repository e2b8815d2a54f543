//! A table of steps and their times.

use std::fmt;

/// One row per step.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    layer: &'static str,
    step: &'static str,
    seconds: f64,
    passed: bool,
}

impl Table {
    /// Adds a completed step.
    pub(super) fn add(&mut self, layer: &'static str, step: &'static str, seconds: f64, passed: bool) {
        self.rows.push(Row { layer, step, seconds, passed });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{:<10}{:<28}{:>8}", "layer", "step", "seconds")?;
        let mut layer = "";
        for row in &self.rows {
            let name = if row.layer == layer { "" } else { row.layer };
            layer = row.layer;
            let failed = if row.passed { "" } else { "  FAILED" };
            writeln!(out, "{name:<10}{:<28}{:>8.1}{failed}", row.step, row.seconds)?;
        }
        writeln!(out, "{:<38}{:>8.1}", "all", self.rows.iter().map(|row| row.seconds).sum::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_named_once_and_failures_are_seen() {
        let mut table = Table::default();
        table.add("fast", "format", 1.25, true);
        table.add("fast", "lints", 60.0, false);
        table.add("web", "JavaScript", 3.0, true);
        let text = table.to_string();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines[0], "fast      format                           1.2");
        assert_eq!(lines[1], "          lints                           60.0  FAILED");
        assert_eq!(lines[2], "web       JavaScript                       3.0");
        assert_eq!(lines[3], "all                                       64.2");
    }
}
