//! Quantized formats, one row each: [`FORMATS`].
//!
//! A row says what the codes of a block mean and how they are stored. All other code reads it: [`crate::quant`] lays
//! out planes, kernels decode them, the quantizer searches scales, policies and the command line use names. No code
//! infers a format from a number of bits.

use std::fmt;
use std::str::FromStr;

/// A format: what a row of the table says.
#[derive(Debug, PartialEq, Eq)]
pub struct Format {
    /// The first part of its name: `q4`.
    pub name: &'static str,
    /// The last part of its name, after the block size (`asym`), if it has one.
    pub suffix: Option<&'static str>,
    /// A description for `models/FORMATS.md`.
    pub doc: &'static str,
    /// Bits of a code in each plane, lowest bits first. A second plane is half as wide as the first.
    pub planes: &'static [u8],
    /// The meaning of codes.
    pub grid: Grid,
    /// What is stored per block and per row besides codes.
    pub header: Header,
    /// Block sizes, in columns.
    pub groups: &'static [u16],
    /// The block size if none is named.
    pub group: u16,
    /// How the quantizer chooses codes and scales.
    pub encoder: Encoder,
}

/// From codes to grid values: integers, which the scale multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// Codes `0 ..= last` mean `step * code + start`, plus `shift` in shifted blocks.
    Linear {
        /// The largest code.
        last: u8,
        /// The difference between the values of neighbouring codes.
        step: u8,
        /// The value of code 0.
        start: i16,
        /// What a shifted block adds; 0 if blocks of this format are never shifted.
        shift: u8,
    },
    /// Codes are their own values, in two's complement.
    Signed,
    /// Codes are indices in a table of 16 values, to which shifted blocks add `shift`. The values differ by at most
    /// 127, so that their distances from the smallest one fit in seven bits.
    Table {
        /// By code.
        values: &'static [i8; 16],
        /// What a shifted block adds.
        shift: u8,
    },
}

/// What is stored for a block and for a row besides codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// A byte per block, `2 * scale + shifted` with a signed 7-bit scale, and an f16 factor per row:
    /// a weight is `factor * scale * grid`.
    ScaleAndShift,
    /// Two bytes per block, an unsigned scale and a signed minimum, and two f16 factors per row: a weight is
    /// `factor * scale * grid + factor2 * minimum`.
    ScaleAndMinimum,
    /// An f16 scale per block and nothing per row: a weight is `scale * grid`.
    BlockScale,
}

/// How the quantizer chooses codes and scales. All encoders minimize the sum of squared errors over a block. All
/// weights count equally, because nothing is known about activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoder {
    /// Rounds with several trial scales, fits the scale to the codes of each by least squares, and takes, for the
    /// best trial, the integer scale with the smallest error. Trials are percentages of the scale that just reaches
    /// the largest value.
    LeastSquares {
        /// Trial scales in percent.
        trials: &'static [u8],
    },
    /// Tries the smallest scales that clip little, one after the other: with many codes, the best of them is a matter
    /// of chance.
    FirstScales,
    /// For two values, -1 and 1: the best scale has a closed form.
    Signs,
    /// The same for -1, 0 and 1.
    SignsAndZero,
    /// As `LeastSquares`, for scale and minimum.
    LeastSquaresWithMinimum {
        /// Trial ranges in percent of that of the block.
        trials: &'static [u8],
    },
}

/// Block sizes of most formats.
const GROUPS: &[u16] = &[16, 32, 64, 128];

/// Block sizes of formats whose headers would take too much memory in smaller blocks.
const LARGE_GROUPS: &[u16] = &[32, 64, 128];

/// The quantizer of 16 values with the smallest mean squared error for a normal distribution (Max 1960, Lloyd 1982),
/// times 63 over its largest value and rounded. A shift by 3 gives it an exact zero. With the best scale for each block
/// of 32 it leaves 0.0051 of the squares of normally distributed weights, and the linear grid 0.0061. A table that is
/// fitted to blocks with their scales and shifts leaves 0.0049: not worth a table that cannot be derived.
static NORMAL: [i8; 16] = [-63, -48, -37, -29, -22, -15, -9, -3, 3, 9, 15, 22, 29, 37, 48, 63];

/// Codes symmetric around zero, two units apart; shifted blocks have an exact zero.
const fn centred(bits: u8) -> Grid {
    let last = (1u16 << bits) - 1;
    Grid::Linear { last: last as u8, step: 2, start: -(last as i16), shift: 1 }
}

/// Codes from zero on.
const fn counted(bits: u8) -> Grid {
    Grid::Linear { last: ((1u16 << bits) - 1) as u8, step: 1, start: 0, shift: 0 }
}

const fn linear(name: &'static str, doc: &'static str, planes: &'static [u8], trials: &'static [u8]) -> Format {
    let grid = centred(width(planes));
    let encoder = Encoder::LeastSquares { trials };
    Format { name, suffix: None, doc, planes, grid, header: Header::ScaleAndShift, groups: GROUPS, group: 32, encoder }
}

const fn with_minimum(name: &'static str, doc: &'static str, planes: &'static [u8], trials: &'static [u8]) -> Format {
    Format {
        name,
        suffix: Some("asym"),
        doc,
        planes,
        grid: counted(width(planes)),
        header: Header::ScaleAndMinimum,
        groups: GROUPS,
        group: 32,
        encoder: Encoder::LeastSquaresWithMinimum { trials },
    }
}

const fn width(planes: &[u8]) -> u8 {
    match planes {
        [low] => *low,
        [low, high] => *low + *high,
        _ => panic!("a code must have one or two planes"),
    }
}

/// All formats, in the order of documentation. Bundles refer to them by name, so the name of a row never changes its
/// meaning.
pub static FORMATS: &[Format] = &[
    Format {
        name: "q8",
        suffix: None,
        doc: "linear, 8 bits",
        planes: &[8],
        grid: Grid::Signed,
        header: Header::ScaleAndShift,
        groups: GROUPS,
        group: 32,
        encoder: Encoder::FirstScales,
    },
    linear("q6", "linear, 6 bits", &[4, 2], &[97, 100]),
    linear("q4", "linear, 4 bits", &[4], &[87, 98]),
    Format {
        name: "t4",
        suffix: None,
        doc: "table of 16 values, optimal for a normal distribution, 4 bits",
        planes: &[4],
        grid: Grid::Table { values: &NORMAL, shift: 3 },
        header: Header::ScaleAndShift,
        groups: GROUPS,
        group: 32,
        encoder: Encoder::LeastSquares { trials: &[76, 88, 100] },
    },
    linear("q3", "linear, 3 bits", &[2, 1], &[72, 85, 97]),
    linear("q2", "linear, 2 bits", &[2], &[50, 65, 80, 95]),
    // Two bits for three values, and not five of them in a byte, which would be a fifth smaller: a shift and a mask
    // make bytes of these, while powers of three take a product and a shift for each of them, in lanes of 16 bits on
    // CPUs and one by one in shaders.
    Format {
        name: "ternary",
        suffix: None,
        doc: "-1, 0 and 1 times an f16 scale per block, 2 bits",
        planes: &[2],
        grid: Grid::Linear { last: 2, step: 1, start: -1, shift: 0 },
        header: Header::BlockScale,
        groups: LARGE_GROUPS,
        group: 128,
        encoder: Encoder::SignsAndZero,
    },
    Format {
        name: "binary",
        suffix: None,
        doc: "-1 and 1 times an f16 scale per block, 1 bit",
        planes: &[1],
        grid: Grid::Linear { last: 1, step: 2, start: -1, shift: 0 },
        header: Header::BlockScale,
        groups: LARGE_GROUPS,
        group: 128,
        encoder: Encoder::Signs,
    },
    with_minimum("q8", "linear, 8 bits, blocks with a minimum", &[8], &[100]),
    with_minimum("q4", "linear, 4 bits, blocks with a minimum", &[4], &[90, 100]),
    with_minimum("q3", "linear, 3 bits, blocks with a minimum", &[2, 1], &[80, 90, 100]),
    with_minimum("q2", "linear, 2 bits, blocks with a minimum", &[2], &[60, 75, 90, 100]),
];

impl Format {
    /// Bits per code.
    pub fn bits(&self) -> u8 {
        width(self.planes)
    }

    /// The number of codes in use.
    pub fn levels(&self) -> u32 {
        match self.grid {
            Grid::Linear { last, .. } => u32::from(last) + 1,
            Grid::Signed | Grid::Table { .. } => 1 << self.bits(),
        }
    }

    /// The grid value of a code; `shifted` is a bit in the header of its block.
    pub fn value(&self, code: u8, shifted: bool) -> i32 {
        match self.grid {
            Grid::Linear { step, start, shift, .. } => {
                i32::from(step) * i32::from(code) + i32::from(start) + i32::from(shift) * i32::from(shifted)
            }
            Grid::Signed => i32::from(code as i8),
            Grid::Table { values, shift } => {
                i32::from(values[usize::from(code & 15)]) + i32::from(shift) * i32::from(shifted)
            }
        }
    }

    /// Bits of codes and block headers per weight.
    fn bits_per_weight(&self, group: u16) -> f64 {
        f64::from(self.bits()) + 8.0 * self.header.bytes() as f64 / f64::from(group)
    }

    /// The name with a block size: `q4.g64.asym`.
    fn full_name(&self, group: u16) -> String {
        let suffix = self.suffix.map_or(String::new(), |s| format!(".{s}"));
        format!("{}.g{group}{suffix}", self.name)
    }
}

impl Header {
    /// Bytes per block.
    pub fn bytes(self) -> usize {
        match self {
            Header::ScaleAndShift => 1,
            Header::ScaleAndMinimum | Header::BlockScale => 2,
        }
    }

    /// f16 factors per row.
    pub fn row_factors(self) -> usize {
        match self {
            Header::ScaleAndShift => 1,
            Header::ScaleAndMinimum => 2,
            Header::BlockScale => 0,
        }
    }
}

/// A format with one of its block sizes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuantSpec {
    /// Index in [`FORMATS`].
    format: u8,
    group: u16,
}

impl QuantSpec {
    /// Every format with every block size.
    pub fn all() -> impl Iterator<Item = QuantSpec> {
        (0u8..).zip(FORMATS).flat_map(|(format, row)| row.groups.iter().map(move |g| QuantSpec { format, group: *g }))
    }

    /// The row.
    pub fn format(&self) -> &'static Format {
        &FORMATS[usize::from(self.format)]
    }

    /// The block size, in columns.
    pub fn group(&self) -> u16 {
        self.group
    }

    /// The same format with another block size.
    ///
    /// # Errors
    /// If the format has no blocks of this size.
    pub fn with_group(self, group: u16) -> Result<Self, String> {
        let Format { name, groups, .. } = self.format();
        if groups.contains(&group) {
            return Ok(Self { group, ..self });
        }
        let sizes = groups.iter().map(|g| format!("g{g}")).collect::<Vec<_>>().join(", ");
        Err(format!("`{name}` has no blocks of {group} columns; expected one of {sizes}"))
    }

    /// The format with the same name and this suffix, with the same block size.
    ///
    /// # Errors
    /// If there is no such format.
    pub fn with_suffix(self, suffix: &str) -> Result<Self, String> {
        let Format { name, .. } = self.format();
        let found = FORMATS.iter().position(|f| f.name == *name && f.suffix == Some(suffix));
        let format = found.ok_or_else(|| format!("`{name}` takes no `.{suffix}`"))? as u8;
        Self { format, ..self }.with_group(self.group)
    }

    /// Bits per weight, of codes and block headers. Factors per row are negligible in a large matrix.
    pub fn nominal_bits(&self) -> f64 {
        self.format().bits_per_weight(self.group)
    }
}

impl fmt::Display for QuantSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format().full_name(self.group))
    }
}

impl fmt::Debug for QuantSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for QuantSpec {
    type Err = String;

    /// A name, optionally with a block size (`.g64`) and a suffix (`.asym`).
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('.');
        let name = parts.next().unwrap_or_default();
        let format = FORMATS.iter().position(|f| f.name == name && f.suffix.is_none());
        let format = format.ok_or_else(|| format!("unknown format `{name}`; expected one of {}", names()))?;
        let mut spec = QuantSpec { format: format as u8, group: FORMATS[format].group };
        for part in parts {
            spec = match part.strip_prefix('g').and_then(|g| g.parse().ok()) {
                Some(group) => spec.with_group(group)?,
                None => spec.with_suffix(part)?,
            };
        }
        Ok(spec)
    }
}

/// The names of all formats, without suffixes: `q8, q6, ..`.
pub fn names() -> String {
    FORMATS.iter().filter(|f| f.suffix.is_none()).map(|f| f.name).collect::<Vec<_>>().join(", ")
}

/// The block sizes of all formats, in ascending order.
pub fn groups() -> Vec<u16> {
    let all: std::collections::BTreeSet<u16> = QuantSpec::all().map(|spec| spec.group()).collect();
    all.into_iter().collect()
}

/// `models/FORMATS.md`: all formats, in Markdown.
pub fn manual() -> String {
    let mut text = MANUAL.to_string();
    for row in FORMATS {
        let Format { name, suffix, doc, groups, .. } = row;
        let suffix = suffix.map_or(String::new(), |s| format!(".{s}"));
        let spec = |group| format!("{:.2}", row.bits_per_weight(group));
        let (last, blocks): (Vec<String>, Vec<String>) = groups
            .iter()
            .map(|g| (spec(*g), if *g == row.group { format!("**g{g}**") } else { format!("g{g}") }))
            .unzip();
        let (blocks, bits) = (blocks.join(" "), last.join(" "));
        text.push_str(&format!("| `{name}{suffix}` | {doc} | {blocks} | {bits} |\n"));
    }
    text
}

const MANUAL: &str = "\
# Formats of quantized weights

A test (`UPDATE=1 cargo test --lib manual`) generates this file from the table in `ir/graph/src/format.rs`. [docs/bundle.md](../docs/bundle.md#quantized)
describes the layout of the bytes; [docs/precision.md](../docs/precision.md) shows what low precision costs.

A name may have a block size, `q4.g64`; without one, the block size is the one in bold. `.asym` comes last: `q4.g64.asym`.
The last column counts the bits of codes and block headers per weight, for each block size in turn. Each row of a matrix may
have one or two more factors of 16 bits.

| name | description | block sizes | bits per weight |
| --- | --- | --- | --- |
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_are_sound() {
        let mut seen = BTreeSet::new();
        for row in FORMATS {
            let name = (row.name, row.suffix);
            assert!(seen.insert(name), "{name:?} is there twice");
            assert!(row.groups.contains(&row.group), "{name:?}: the default is no block size");
            assert!(row.groups.iter().all(|g| matches!(g, 16 | 32 | 64 | 128)), "{name:?}: kernels know these sizes");
            match row.planes {
                [width] => assert!(matches!(width, 1 | 2 | 4 | 8), "{name:?}"),
                // Kernels take the bits of a word of the second plane for two words of the first.
                [low, high] => assert!(matches!(low, 2 | 4) && low == &(2 * high), "{name:?}"),
                _ => panic!("{name:?} has {} planes", row.planes.len()),
            }
            if let Grid::Table { values, .. } = row.grid {
                assert_eq!(row.bits(), 4, "{name:?}");
                assert!(values.is_sorted() && values[15] as i16 - values[0] as i16 <= 127, "{name:?}");
            }
            assert!(row.levels() <= 1 << row.bits(), "{name:?} has more codes than bits for them");
            assert!(seen.contains(&(row.name, None)), "{name:?}: a row with a suffix stands behind the one without");
        }
    }

    #[test]
    fn grids() {
        let values = |name: &str, shifted| -> Vec<i32> {
            let row = name.parse::<QuantSpec>().unwrap().format();
            (0..row.levels()).map(|code| row.value(code as u8, shifted)).collect()
        };
        assert_eq!(values("q2", false), [-3, -1, 1, 3]);
        assert_eq!(values("q3", true), [-6, -4, -2, 0, 2, 4, 6, 8]);
        assert_eq!(values("q2.asym", false), [0, 1, 2, 3]);
        assert_eq!(values("ternary", false), [-1, 0, 1]);
        assert_eq!(values("binary", false), [-1, 1]);
        assert_eq!(values("t4", true)[6..9], [-6, 0, 6]);
        assert_eq!(values("q8", false)[126..130], [126, 127, -128, -127]);
        assert_eq!(values("q8.asym", false)[126..130], [126, 127, 128, 129]);
    }

    #[test]
    fn the_table_is_the_best_for_a_normal_distribution() {
        // Lloyd's algorithm for the positive half. The mean of a normal distribution between a and b is
        // (density(a) - density(b)) / mass(a, b).
        let density = |x: f64| (-0.5 * x * x).exp();
        let mass = |a: f64, b: f64| -> f64 {
            // Simpson's rule.
            let (n, b) = (400, b.min(12.0));
            let h = (b - a) / f64::from(n);
            let weight = |i: i32| if i == 0 || i == n { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
            (0..=n).map(|i| weight(i) * density(a + h * f64::from(i))).sum::<f64>() * h / 3.0
        };
        let mut values: Vec<f64> = (0..8).map(|i| 0.3 * f64::from(i) + 0.15).collect();
        for _ in 0..2000 {
            let edges: Vec<f64> = values.windows(2).map(|v| 0.5 * (v[0] + v[1])).collect();
            for i in 0..8 {
                let (a, b) = (if i == 0 { 0.0 } else { edges[i - 1] }, if i == 7 { 12.0 } else { edges[i] });
                values[i] = (density(a) - density(b)) / mass(a, b);
            }
        }
        assert!((values[7] - 2.7326).abs() < 1e-3, "{values:?}");
        let scaled: Vec<i8> = values.iter().map(|v| (v * 63.0 / values[7]).round() as i8).collect();
        assert_eq!(scaled, NORMAL[8..]);
        assert!(NORMAL.iter().zip(NORMAL.iter().rev()).all(|(a, b)| *a == -b));
    }

    #[test]
    fn the_manual_is_what_the_table_says() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/FORMATS.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, manual()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == manual(), "models/FORMATS.md is not what the table says; if that is right: UPDATE=1");
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for spec in QuantSpec::all() {
            assert_eq!(spec.to_string().parse(), Ok(spec));
        }
        assert_eq!("q4.asym.g64".parse::<QuantSpec>().unwrap().to_string(), "q4.g64.asym");
        let error = |text: &str| text.parse::<QuantSpec>().unwrap_err();
        assert!(error("q5").starts_with("unknown format `q5`; expected one of q8, "));
        assert!(error("q4.g48").contains("no blocks of 48 columns; expected one of g16, g32, g64, g128"));
        assert_eq!(error("q4.fast"), "`q4` takes no `.fast`");
    }
}
