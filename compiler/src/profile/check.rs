//! Validates profiles: rejects numbers that no kernel could be built with, and names that would make programs
//! unreachable.

use super::fields::{Features, Language, Profile, Schedule};

/// The name of the profile for WebAssembly, by which runtimes find its programs.
const WASM: &str = "wasm";
/// Names with another meaning on the command line.
const RESERVED: [&str; 2] = ["all", "reference"];
/// Maximum length of a name.
const MAX_NAME: usize = 40;
/// Maximum of all widths.
const MAX_WIDTH: u32 = 1024;
/// Rows per tile of quantized weights.
const TILE: u32 = 32;
/// From what kernels of a small model need to more than any device has, in bytes.
const SHARED_BYTES: (u64, u64) = (1 << 10, 1 << 26);
/// From what the smallest fused operation binds to more than any device has.
const STORAGE_BUFFERS: (u64, u64) = (4, 1 << 10);
/// From a row of a small matrix to the range of 32-bit indices, in bytes.
const BINDING_BYTES: (u64, u64) = (1 << 12, (1 << 32) - 1);
/// Maximum nominal size.
const MAX_SIZE: i64 = 1 << 20;

/// A problem with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The path of the field: `schedule.matvec.rows`.
    pub(super) field: String,
    /// What is wrong.
    pub(super) message: String,
    /// A correct value.
    pub(super) hint: Option<String>,
}

/// All problems of a profile.
pub(super) fn check(p: &Profile) -> Vec<Fault> {
    let mut all = Faults(Vec::new());
    all.name(p);
    all.features(p);
    all.limits(p);
    all.schedule(p);
    // Products of widths are computed only if the widths are in range.
    if all.0.is_empty() && p.language == Language::Wgsl {
        all.workgroups(p);
    }
    all.cost(p);
    all.0
}

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: &str, message: impl Into<String>, hint: Option<&str>) {
        self.0.push(Fault { field: field.to_string(), message: message.into(), hint: hint.map(str::to_string) });
    }

    fn range(&mut self, field: &str, value: impl Into<u64>, (least, most): (u64, u64)) {
        let value = value.into();
        if !(least..=most).contains(&value) {
            self.add(field, format!("`{field}` is {value}; expected {least} to {most}"), None);
        }
    }

    fn power(&mut self, field: &str, value: u32, (least, most): (u32, u32)) {
        if !value.is_power_of_two() || !(least..=most).contains(&value) {
            self.add(field, format!("`{field}` is {value}; expected a power of two from {least} to {most}"), None);
        }
    }

    fn multiple(&mut self, field: &str, value: u32, of: u32) {
        if value == 0 || !value.is_multiple_of(of) || value > MAX_WIDTH {
            self.add(field, format!("`{field}` is {value}; expected a multiple of {of} up to {MAX_WIDTH}"), None);
        }
    }

    fn name(&mut self, p: &Profile) {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        let begins = p.name.starts_with(|c: char| c.is_ascii_lowercase());
        let cpu = p.language == Language::Wasm;
        if !begins || !p.name.bytes().all(plain) || p.name.len() > MAX_NAME {
            let message = format!("`name` is {:?}, but must be usable in paths of the bundle", p.name);
            let hint =
                format!("a lower-case letter, then lower-case letters, digits, - and _, at most {MAX_NAME} characters");
            self.add("name", message, Some(&hint));
        } else if RESERVED.contains(&p.name.as_str()) || is_device(&p.name) {
            self.add("name", format!("`name` is `{}`, which is reserved", p.name), Some("choose another one"));
        } else if cpu && p.name != WASM {
            let message = format!("`name` is `{}`, but `language` is Wasm", p.name);
            let hint = format!("runtimes find the programs for the CPU by the name `{WASM}`");
            self.add("name", message, Some(&hint));
        } else if !cpu && p.name == WASM {
            let message = format!("`name` is `{WASM}`, but `language` is Wgsl");
            self.add("name", message, Some("choose another name, or write `language: Wasm`"));
        }
    }

    fn features(&mut self, p: &Profile) {
        let sets = &p.variants;
        if sets.contains(&Features::default()) {
            self.add(
                "variants",
                "`variants` has one without requirements",
                Some("that variant is always added; remove it"),
            );
        }
        if sets.iter().enumerate().any(|(i, set)| sets[..i].contains(set)) {
            self.add("variants", "`variants` has duplicates", None);
        }
        if p.byte_activations && p.language == Language::Wgsl {
            let message = "`byte_activations` is true, but `language` is Wgsl";
            self.add("byte_activations", message, Some("only kernels for the CPU multiply bytes; remove it"));
        }
    }

    fn limits(&mut self, p: &Profile) {
        let limits = &p.limits;
        self.range("limits.workgroup_size", limits.workgroup_size, (1, MAX_WIDTH.into()));
        self.range("limits.shared_bytes", limits.shared_bytes, SHARED_BYTES);
        self.range("limits.storage_buffers", limits.storage_buffers, STORAGE_BUFFERS);
        self.range("limits.binding_bytes", limits.binding_bytes, BINDING_BYTES);
    }

    fn schedule(&mut self, p: &Profile) {
        let Schedule { map, reduce, matvec, matmul, attention, top_k } = p.schedule;
        let threads = [
            ("schedule.map.threads", map.threads),
            ("schedule.reduce.threads", reduce.threads),
            ("schedule.attention.threads", attention.threads),
            ("schedule.top_k.threads", top_k.threads),
        ];
        for (field, n) in threads {
            match p.language {
                Language::Wasm if n != 1 => self.add(field, format!("`{field}` is {n}; expected 1 for a CPU"), None),
                _ => self.power(field, n, (1, MAX_WIDTH)),
            }
        }
        self.power("schedule.matvec.k_splits", matvec.k_splits, (1, MAX_WIDTH));
        self.power("schedule.matvec.rows", matvec.rows, (1, MAX_WIDTH));
        self.power("schedule.matvec.lanes", matvec.lanes, (1, MAX_WIDTH));
        self.range("schedule.matvec.parts", matvec.parts, (1, 256));
        self.range("schedule.matvec.fill", matvec.fill, (0, 1 << 20));
        self.power("schedule.matmul.tile_m", matmul.tile_m, (16, 64));
        self.power("schedule.matmul.tile_n", matmul.tile_n, (16, 64));
        self.multiple("schedule.matmul.tile_k", matmul.tile_k, 16);
        self.power("schedule.matmul.thread_m", matmul.thread_m, (1, 8));
        self.power("schedule.matmul.thread_n", matmul.thread_n, (2, 4));
        self.range("schedule.matmul.min_rows", matmul.min_rows, (1, 1 << 20));
        self.power("schedule.attention.queries", attention.queries, (1, 4));
        self.range("schedule.attention.parts", attention.parts, (1, 256));
        self.range("schedule.top_k.parts", top_k.parts, (1, 256));
        if p.language == Language::Wasm {
            self.multiple("schedule.matvec.rows", matvec.rows, 4);
            self.range("schedule.matmul.rows_together", matmul.rows_together, (1, 16));
            self.range("schedule.matmul.float_rows_together", matmul.float_rows_together, (1, 16));
            self.multiple("schedule.attention.tile", attention.tile, 4);
            self.range("schedule.attention.quads", attention.quads, (1, 16));
        }
    }

    /// Rejects widths that no workgroup has, and tiles that exceed its memory.
    fn workgroups(&mut self, p: &Profile) {
        let Schedule { map, reduce, matvec, matmul, attention, top_k } = p.schedule;
        let most = p.limits.workgroup_size;
        let sizes = [
            ("schedule.map.threads", map.threads),
            ("schedule.reduce.threads", reduce.threads),
            ("schedule.matvec.k_splits", matvec.k_splits * TILE),
            ("schedule.matvec.lanes", matvec.rows * matvec.lanes),
            ("schedule.matmul.tile_m", matmul.tile_m / matmul.thread_m * (matmul.tile_n / matmul.thread_n)),
            ("schedule.attention.threads", attention.threads),
            ("schedule.top_k.threads", top_k.threads),
        ];
        for (field, threads) in sizes.into_iter().filter(|(_, threads)| *threads > most) {
            let message =
                format!("`{field}` makes workgroups of {threads} threads, but `limits.workgroup_size` is {most}");
            self.add(field, message, None);
        }
        let (bytes, most) = ((matmul.tile_m + matmul.tile_n) * matmul.tile_k * 4, p.limits.shared_bytes);
        if bytes > most {
            let message =
                format!("`schedule.matmul.tile_k` makes tiles of {bytes} bytes, but `limits.shared_bytes` is {most}");
            self.add(
                "schedule.matmul.tile_k",
                message,
                Some("(tile_m + tile_n) * tile_k * 4 bytes are staged at a time"),
            );
        }
    }

    fn cost(&mut self, p: &Profile) {
        let cost = &p.cost;
        let numbers = [
            ("cost.launch_us", cost.launch_us),
            ("cost.bytes_per_us", cost.bytes_per_us),
            ("cost.flops_per_us", cost.flops_per_us),
        ];
        for (field, value) in numbers {
            if !value.is_finite() || value <= 0.0 {
                self.add(field, format!("`{field}` is {value}; expected a number above 0"), None);
            }
        }
        self.range("cost.max_operands", cost.max_operands as u64, (2, 64));
        let named = cost.nominal.iter().map(|(symbol, value)| ("cost.nominal", symbol.as_str(), *value));
        let others = ("cost.nominal_of_others", "all other symbols", cost.nominal_of_others);
        for (field, symbol, value) in named.chain([others]).filter(|(.., value)| !(0..=MAX_SIZE).contains(value)) {
            self.add(field, format!("`{field}` has {value} for {symbol}; expected 0 to {MAX_SIZE}"), None);
        }
    }
}

/// Whether some operating systems treat a file of this name as a device, whatever follows a dot.
fn is_device(name: &str) -> bool {
    let numbered =
        |prefix: &str| name.strip_prefix(prefix).is_some_and(|n| n.len() == 1 && n.as_bytes()[0].is_ascii_digit());
    ["con", "prn", "aux", "nul"].contains(&name) || numbered("com") || numbered("lpt")
}
