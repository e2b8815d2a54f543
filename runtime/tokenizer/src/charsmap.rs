//! Precompiled character maps: a double-array trie of texts and their replacements.

/// A map whose table was validated.
pub(super) struct Charsmap {
    units: Vec<u32>,
    replacements: Vec<u8>,
}

/// The offset from a node to its children.
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 0x200) >> 6)) as usize
}

impl Charsmap {
    /// Decodes a map in base64; `None` if a transition could leave its table.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = base64(text)?;
        if bytes.is_empty() {
            return Some(Charsmap { units: Vec::new(), replacements: Vec::new() });
        }
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*size) as usize;
        let table = rest.get(..size)?;
        if size == 0 || !size.is_multiple_of(4) || std::str::from_utf8(&rest[size..]).is_err() {
            return None;
        }
        let units = table.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
        let map = Charsmap { units, replacements: rest[size..].to_vec() };
        map.walk(|_, _| ()).then_some(map)
    }

    /// The factor by which the map can lengthen a text at most, in bytes.
    pub(super) fn growth(&self) -> f64 {
        let mut most: f64 = 1.0;
        self.walk(|value, depth| {
            let from = &self.replacements[value.min(self.replacements.len())..];
            let length = from.iter().position(|byte| *byte == 0).unwrap_or(from.len());
            most = most.max(length as f64 / depth as f64);
        });
        most
    }

    /// Visits the value of each text with its length. Returns whether all transitions stay in the table.
    fn walk(&self, mut visit: impl FnMut(usize, usize)) -> bool {
        let Some(root) = self.units.first() else { return true };
        // Transitions XOR a position with a byte, so they stay in its block of 256.
        let within = |at: usize| at | 0xFF;
        let mut todo = vec![(offset(*root), 0)];
        let mut seen = vec![false; self.units.len()];
        while let Some((base, depth)) = todo.pop() {
            if within(base) >= self.units.len() {
                return false;
            }
            for byte in 1..=0xFFusize {
                let at = base ^ byte;
                let unit = self.units[at];
                if (unit & 0x8000_00FF) as usize != byte || std::mem::replace(&mut seen[at], true) {
                    continue;
                }
                let next = at ^ offset(unit);
                if (unit >> 8) & 1 == 1 {
                    match self.units.get(next) {
                        Some(value) => visit((value & 0x7FFF_FFFF) as usize, depth + 1),
                        None => return false,
                    }
                }
                todo.push((next, depth + 1));
            }
        }
        true
    }
}

/// Decodes base64; `None` if it is invalid.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, held) = (bits << 6 | u32::from(value), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}
