//! Reads SentencePiece models, which are protobuf messages (sentencepiece_model.proto). The input is not trusted.

/// Maximum number of pieces.
const MAX_PIECES: usize = 1 << 22;

/// The type of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// An ordinary piece.
    Normal,
    /// The unknown token.
    Unknown,
    /// A control token, which never matches text.
    Control,
    /// Matched in texts before anything else.
    UserDefined,
    /// Unused.
    Unused,
    /// A byte.
    Byte,
}

/// A token.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) role: Role,
}

/// The algorithm that splits texts into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// Maximizes the sum of scores.
    Unigram,
    /// Merges of pairs.
    Bpe,
    /// Whole words.
    Word,
    /// Single characters.
    Char,
}

/// A model; missing fields have the defaults of the format.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) pieces: Vec<Piece>,
    pub(super) algorithm: Algorithm,
    pub(super) byte_fallback: bool,
    /// Ids of the unknown, BOS and EOS tokens; negative if there is none.
    pub(super) ids: [i64; 3],
    /// The texts of these tokens.
    pub(super) names: [String; 3],
    pub(super) charsmap: Vec<u8>,
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_whitespaces: bool,
    pub(super) escape_whitespaces: bool,
    pub(super) whitespace_suffix: bool,
}

/// A field of a message.
enum Field<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64,
    Bytes(&'a [u8]),
}

/// The fields of a message, in order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next field and its number; `None` if the message is malformed.
    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Field::Fixed64
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(self.take(4)?.try_into().ok()?),
            _ => return None,
        };
        Some((key >> 3, field))
    }
}

/// Passes each field of a message to `visit`, which returns `None` for one that it cannot read.
fn each<'a>(message: &'a [u8], mut visit: impl FnMut(u64, Field<'a>) -> Option<()>) -> Option<()> {
    let mut fields = Fields(message);
    while !fields.0.is_empty() {
        let (number, field) = fields.field()?;
        visit(number, field)?;
    }
    Some(())
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_string)
}

/// Reads a model; `None` if the bytes are not a valid one.
pub(super) fn read(bytes: &[u8]) -> Option<Model> {
    let mut model = Model {
        pieces: Vec::new(),
        algorithm: Algorithm::Unigram,
        byte_fallback: false,
        ids: [0, 1, 2],
        names: ["<unk>", "<s>", "</s>"].map(String::from),
        charsmap: Vec::new(),
        add_dummy_prefix: true,
        remove_extra_whitespaces: true,
        escape_whitespaces: true,
        whitespace_suffix: false,
    };
    each(bytes, |number, field| {
        match (number, field) {
            (1, Field::Bytes(message)) => {
                model.pieces.push(piece(message)?);
                (model.pieces.len() <= MAX_PIECES).then_some(())?;
            }
            (2, Field::Bytes(message)) => trainer(message, &mut model)?,
            (3, Field::Bytes(message)) => normalizer(message, &mut model)?,
            // Self-test data, a denormalizer, and other fields that are not needed.
            (_, Field::Varint(_) | Field::Fixed32(_) | Field::Fixed64 | Field::Bytes(_)) => {}
        }
        Some(())
    })?;
    (!model.pieces.is_empty()).then_some(model)
}

fn piece(message: &[u8]) -> Option<Piece> {
    let mut piece = Piece { text: String::new(), score: 0.0, role: Role::Normal };
    each(message, |number, field| {
        match (number, field) {
            (1, Field::Bytes(bytes)) => piece.text = text(bytes)?,
            (2, Field::Fixed32(bytes)) => piece.score = f32::from_le_bytes(bytes),
            (3, Field::Varint(role)) => {
                piece.role = match role {
                    1 => Role::Normal,
                    2 => Role::Unknown,
                    3 => Role::Control,
                    4 => Role::UserDefined,
                    5 => Role::Unused,
                    6 => Role::Byte,
                    _ => return None,
                }
            }
            (_, Field::Varint(_) | Field::Fixed32(_) | Field::Fixed64 | Field::Bytes(_)) => {}
        }
        Some(())
    })?;
    piece.score.is_finite().then_some(piece)
}

fn trainer(message: &[u8], model: &mut Model) -> Option<()> {
    each(message, |number, field| {
        match (number, field) {
            (3, Field::Varint(kind)) => {
                model.algorithm = match kind {
                    1 => Algorithm::Unigram,
                    2 => Algorithm::Bpe,
                    3 => Algorithm::Word,
                    4 => Algorithm::Char,
                    _ => return None,
                }
            }
            (24, Field::Varint(flag)) => model.whitespace_suffix = flag != 0,
            (35, Field::Varint(flag)) => model.byte_fallback = flag != 0,
            // Negative numbers are stored as large unsigned ones.
            (at @ 40..=42, Field::Varint(id)) => model.ids[(at - 40) as usize] = i64::from(id as u32 as i32),
            (at @ 45..=47, Field::Bytes(bytes)) => model.names[(at - 45) as usize] = text(bytes)?,
            (_, Field::Varint(_) | Field::Fixed32(_) | Field::Fixed64 | Field::Bytes(_)) => {}
        }
        Some(())
    })
}

fn normalizer(message: &[u8], model: &mut Model) -> Option<()> {
    each(message, |number, field| {
        match (number, field) {
            (2, Field::Bytes(bytes)) => model.charsmap = bytes.to_vec(),
            (3, Field::Varint(flag)) => model.add_dummy_prefix = flag != 0,
            (4, Field::Varint(flag)) => model.remove_extra_whitespaces = flag != 0,
            (5, Field::Varint(flag)) => model.escape_whitespaces = flag != 0,
            (_, Field::Varint(_) | Field::Fixed32(_) | Field::Fixed64 | Field::Bytes(_)) => {}
        }
        Some(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8], content].concat()
    }

    #[test]
    fn models_are_read_and_damage_is_none() {
        let one = [field(1, b"\xE2\x96\x81a"), vec![2 << 3 | 5], (-1.5f32).to_le_bytes().to_vec()].concat();
        let control = [field(1, b"<s>"), vec![3 << 3, 3]].concat();
        let trainer = vec![3 << 3, 2, 0xC8, 0x02, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        let file = [field(1, &one), field(1, &control), field(2, &trainer), field(3, &[3 << 3, 0])].concat();
        let model = read(&file).unwrap();
        assert_eq!((model.pieces[0].text.as_str(), model.pieces[0].score), ("▁a", -1.5));
        assert_eq!((model.pieces[1].role, model.algorithm), (Role::Control, Algorithm::Bpe));
        assert_eq!((model.ids, model.add_dummy_prefix), ([0, -1, 2], false));
        for cut in 1..file.len() {
            // Truncated files never cause a panic.
            let _ = read(&file[..cut]);
        }
        assert!(read(b"").is_none() && read(b"QQ== 0\n").is_none() && read(&[0xFF; 20]).is_none());
    }
}
