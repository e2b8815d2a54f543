//! How a sample is stored in a WAV file.

/// A way to store samples, by its registered number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// A whole number of 1 to 4 bytes, in the upper bits if it needs fewer; of one byte: without a sign.
    Integer(usize),
    /// IEEE 754 of 4 bytes.
    Float,
    /// IEEE 754 of 8 bytes.
    Double,
    /// ITU-T G.711.
    MuLaw,
    /// ITU-T G.711.
    ALaw,
}

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The number stands in the sub-format.
const EXTENSIBLE: u16 = 0xfffe;
/// What follows the number in sub-formats that are registered numbers.
const REGISTERED: [u8; 8] = [0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
/// Names of codings that nothing here decodes.
const OTHERS: [(u16, &str); 12] = [
    (0x02, "Microsoft ADPCM"),
    (0x11, "IMA ADPCM"),
    (0x31, "GSM 6.10"),
    (0x40, "G.721 ADPCM"),
    (0x45, "G.726 ADPCM"),
    (0x50, "MPEG layer 2"),
    (0x55, "MP3"),
    (0x92, "Dolby AC-3"),
    (0xff, "AAC"),
    (0x161, "Windows Media Audio"),
    (0x2000, "Dolby AC-3"),
    (0x674f, "Vorbis"),
];

/// The number of a coding, from the number in the format chunk `all` or from its sub-format.
pub(super) fn tag(tag: u16, all: &[u8; 40], big: bool) -> Result<u16, String> {
    if tag != EXTENSIBLE {
        return Ok(tag);
    }
    let mut guid = [0; 16];
    guid.copy_from_slice(&all[24..]);
    if big {
        // Its first three parts are numbers.
        guid[..4].reverse();
        guid[4..6].reverse();
        guid[6..8].reverse();
    }
    if guid[2..8] != [0, 0, 0, 0, 0x10, 0] || guid[8..] != REGISTERED {
        return Err(unknown("of a sub-format that is not registered"));
    }
    Ok(u16::from_le_bytes([guid[0], guid[1]]))
}

/// How samples of this coding are stored, with so many bits each, in frames of so many bytes.
pub(super) fn coding(tag: u16, bits: u16, frame: u16, channels: u16) -> Result<Coding, String> {
    // Some writers leave one of the two out, and some store 24 bits in 4 bytes.
    let by_bits = usize::from(bits.div_ceil(8));
    let by_frame = if frame.is_multiple_of(channels) { usize::from(frame / channels) } else { by_bits };
    let width = if by_frame >= by_bits && by_frame <= 4 && by_frame > 0 { by_frame } else { by_bits };
    match (tag, bits) {
        (PCM, 0..=32) if (1..=4).contains(&width) => Ok(Coding::Integer(width)),
        (FLOAT, 32) => Ok(Coding::Float),
        (FLOAT, 64) => Ok(Coding::Double),
        (A_LAW, _) => Ok(Coding::ALaw),
        (MU_LAW, _) => Ok(Coding::MuLaw),
        (PCM, _) => Err(unknown(&format!("whole numbers of {bits} bits"))),
        (FLOAT, _) => Err(unknown(&format!("floating-point numbers of {bits} bits"))),
        _ => {
            let name = OTHERS.iter().find(|(number, _)| *number == tag).map(|(_, name)| *name);
            Err(unknown(&name.map_or_else(|| format!("of format {tag:#06x}"), str::to_string)))
        }
    }
}

fn unknown(what: &str) -> String {
    format!(
        "its samples are {what}, which is not supported in WAV files; convert it to 16-bit PCM, for example with \
         `ffmpeg -i in.wav -c:a pcm_s16le out.wav`"
    )
}

impl Coding {
    /// Bytes of a sample.
    pub(super) fn width(self) -> usize {
        match self {
            Coding::Integer(width) => width,
            Coding::Float => 4,
            Coding::Double => 8,
            Coding::MuLaw | Coding::ALaw => 1,
        }
    }

    /// A sample, from -1 to 1 if it is a whole number. `bytes` are as many as [`Coding::width`] says.
    pub(super) fn sample(self, bytes: &[u8], big: bool) -> f32 {
        // The lowest byte first, at the upper end of eight.
        let mut word = [0; 8];
        let upper = 8 - bytes.len();
        word[upper..].copy_from_slice(bytes);
        if big {
            word[upper..].reverse();
        }
        let four = [word[4], word[5], word[6], word[7]];
        match self {
            Coding::Integer(1) => (f32::from(word[7]) - 128.0) / 128.0,
            Coding::Integer(_) => i32::from_le_bytes(four) as f32 / 2_147_483_648.0,
            Coding::Float => f32::from_le_bytes(four),
            Coding::Double => f64::from_le_bytes(word) as f32,
            Coding::MuLaw => mu_law(word[7]),
            Coding::ALaw => a_law(word[7]),
        }
    }
}

/// ITU-T G.711: three bits say by how much four others are shifted.
fn mu_law(byte: u8) -> f32 {
    let code = i32::from(!byte);
    let size = ((((code & 0x0f) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84;
    (if code & 0x80 == 0 { size } else { -size }) as f32 / 32768.0
}

/// ITU-T G.711, with every other bit turned over.
fn a_law(byte: u8) -> f32 {
    let code = i32::from(byte ^ 0x55);
    let (size, shift) = ((code & 0x0f) << 4, (code & 0x70) >> 4);
    let size = if shift == 0 { size + 8 } else { (size + 0x108) << (shift - 1) };
    (if code & 0x80 == 0 { -size } else { size }) as f32 / 32768.0
}
