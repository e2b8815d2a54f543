//! Mutates inputs without libFuzzer, for tests.

/// Mutates inputs, deterministically for a given seed. xorshift64*, Vigna 2016.
#[derive(Debug)]
pub struct Changer(u64);

/// Numbers that sizes are prone to fail at.
const NUMBERS: [&str; 8] = ["0", "-1", "1", "255", "65536", "4294967296", "18446744073709551615", "1e308"];

impl Changer {
    /// A mutator for a seed.
    pub fn new(seed: u64) -> Self {
        Changer(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % most.max(1)
    }

    /// A mutation of `one`, possibly with parts of `other`, of at most `most` bytes.
    pub fn change(&mut self, one: &[u8], other: &[u8], most: usize) -> Vec<u8> {
        let mut data = one.to_vec();
        for _ in 0..=self.below(4) {
            self.change_once(&mut data, other);
        }
        data.truncate(most);
        data
    }

    fn change_once(&mut self, data: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(data.len() + 1);
        let end = (at + 1 + self.below(64)).min(data.len());
        match self.below(7) {
            0 if at < data.len() => data[at] = self.below(256) as u8,
            1 if at < data.len() => data[at] ^= 1 << self.below(8),
            2 => drop(data.drain(at..end.max(at))),
            3 => {
                let from = self.below(other.len());
                let piece = other[from..(from + 1 + self.below(200)).min(other.len())].to_vec();
                drop(data.splice(at..at, piece));
            }
            4 => {
                let piece = data[at..end.max(at)].repeat(1 + self.below(40));
                drop(data.splice(at..at, piece));
            }
            5 => self.change_number(data, at),
            _ => data.truncate(at),
        }
    }

    /// Replaces the next number.
    fn change_number(&mut self, data: &mut Vec<u8>, at: usize) {
        let Some(start) = (at..data.len()).find(|i| data[*i].is_ascii_digit()) else { return };
        let end = (start..data.len()).find(|i| !data[*i].is_ascii_digit()).unwrap_or(data.len());
        let number = NUMBERS[self.below(NUMBERS.len())];
        drop(data.splice(start..end, number.bytes()));
    }
}
