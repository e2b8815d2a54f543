//! The form of the files: what RON must look like before any formula is read.

use std::fmt;
use std::marker::PhantomData;

/// The pattern of the component that takes what no other does.
pub(super) const REST: &str = "*";

use ron::extensions::Extensions;
use serde::Deserialize;
use serde::de::{DeserializeOwned, MapAccess, Visitor};

use super::diagnostics::{Diagnostic, Sources};
use crate::dtype::DType;
use crate::graph::{Advance, EntryRole, InputDefault, Modality};

/// A string of the file, still a slice of it, so that its place can be found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, s: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(s))
            }
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Text<'de>, E> {
                Err(E::custom("escapes are not supported here; use 'single quotes' inside formulas"))
            }
        }
        d.deserialize_str(V)
    }
}

/// A RON map with its order, and with repeated keys still there to be reported.
#[derive(Clone, Debug)]
pub(super) struct Table<'a, T>(pub(super) Vec<(Text<'a>, T)>);

impl<T> Default for Table<'_, T> {
    fn default() -> Self {
        Table(Vec::new())
    }
}

impl<'a, T> Table<'a, T> {
    pub(super) fn get(&self, key: &str) -> Option<&T> {
        self.0.iter().find(|(k, _)| k.0 == key).map(|(_, v)| v)
    }
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> + Clone + '_ {
        self.0.iter().map(|(k, _)| k.0)
    }
    pub(super) fn position(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|(k, _)| k.0 == key)
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Table<'a, T> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<'a, T>(PhantomData<(&'a (), T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for V<'a, T> {
            type Value = Table<'a, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map { \"name\": ... }")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Table(all))
            }
        }
        d.deserialize_map(V(PhantomData))
    }
}

/// An architecture file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub(super) struct Architecture<'a> {
    /// For people.
    #[serde(default, rename = "doc")]
    pub(super) _doc: Text<'a>,
    #[serde(default)]
    pub(super) extends: Option<Text<'a>>,
    /// Parts whose declarations and statements are taken over.
    #[serde(default)]
    pub(super) includes: Vec<Text<'a>>,
    /// Looked for by [`Classes`], before it is known which file is meant.
    #[serde(default, rename = "classes")]
    pub(super) _classes: Vec<Text<'a>>,
    /// As `classes`.
    #[serde(default, rename = "model_types")]
    pub(super) _model_types: Vec<Text<'a>>,
    #[serde(default)]
    pub(super) modality: Option<Modality>,
    /// The precision policy if nobody asks for another; without it, that of the modality.
    #[serde(default)]
    pub(super) precision: Option<Text<'a>>,
    /// Patterns of the names of tensors, by component.
    #[serde(default)]
    pub(super) components: Table<'a, Vec<Text<'a>>>,
    #[serde(default)]
    pub(super) config: Vec<Text<'a>>,
    #[serde(default)]
    pub(super) symbols: Table<'a, Text<'a>>,
    #[serde(default)]
    pub(super) inputs: Table<'a, InputDecl<'a>>,
    #[serde(default)]
    pub(super) weights: Table<'a, WeightDecl<'a>>,
    #[serde(default)]
    pub(super) states: Table<'a, StateDecl<'a>>,
    #[serde(default)]
    pub(super) blocks: Table<'a, BlockDecl<'a>>,
    #[serde(default)]
    pub(super) body: Vec<Statement<'a>>,
    /// Statements that stand behind all others.
    #[serde(default)]
    pub(super) closing: Vec<Statement<'a>>,
    #[serde(default)]
    pub(super) edits: Vec<Edit<'a>>,
    #[serde(default)]
    pub(super) entries: Table<'a, EntryDecl<'a>>,
    /// Patterns of tensors that are left out on purpose.
    #[serde(default)]
    pub(super) ignores: Vec<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Input", bound(deserialize = "'de: 'a"))]
pub(super) struct InputDecl<'a> {
    pub(super) dtype: DType,
    pub(super) shape: Text<'a>,
    #[serde(default)]
    pub(super) default: Option<InputDefault>,
    #[serde(default)]
    pub(super) advance: Option<Advance>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Weight", bound(deserialize = "'de: 'a"))]
pub(super) struct WeightDecl<'a> {
    pub(super) tensor: Text<'a>,
    pub(super) shape: Text<'a>,
    /// The tensor may be missing from the checkpoint.
    #[serde(default)]
    pub(super) optional: bool,
    /// The weight exists only if this holds.
    #[serde(default)]
    pub(super) when: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "State", bound(deserialize = "'de: 'a"))]
pub(super) struct StateDecl<'a> {
    pub(super) shape: Text<'a>,
    /// The axis that grows; without one the state is kept as a whole.
    #[serde(default)]
    pub(super) axis: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Entry", bound(deserialize = "'de: 'a"))]
pub(super) struct EntryDecl<'a> {
    pub(super) outputs: Vec<Text<'a>>,
    pub(super) role: EntryRole,
    #[serde(default)]
    pub(super) bind: Table<'a, i64>,
    #[serde(default)]
    pub(super) when: Option<Text<'a>>,
    #[serde(default)]
    pub(super) task: Option<TaskDecl<'a>>,
}

/// What an entry is for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Task", bound(deserialize = "'de: 'a"))]
pub(super) struct TaskDecl<'a> {
    /// Inputs by name, and what they are made from.
    pub(super) inputs: Table<'a, SourceDecl<'a>>,
    pub(super) output: OutputDecl<'a>,
    /// The entry is for this only if this holds.
    #[serde(default)]
    pub(super) when: Option<Text<'a>>,
}

/// What an input is made from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub(super) enum SourceDecl<'a> {
    /// An image.
    Image {
        /// Formulas for settings that `preprocessor_config.json` does not have.
        #[serde(default)]
        settings: Table<'a, Text<'a>>,
        #[serde(default)]
        fit: Option<FitDecl<'a>>,
        #[serde(default)]
        cut: Option<CutDecl<'a>>,
    },
    /// The images of a video.
    Frames {
        /// Formulas for settings that `preprocessor_config.json` does not have.
        #[serde(default)]
        settings: Table<'a, Text<'a>>,
    },
    /// Whole numbers per image.
    Sizes(Vec<Text<'a>>),
    /// An audio file.
    Audio {
        /// Formulas for settings that `preprocessor_config.json` does not have.
        #[serde(default)]
        settings: Table<'a, Text<'a>>,
        /// The name of an entry.
        #[serde(default)]
        through: Option<Text<'a>>,
    },
    /// The token ids of a text.
    Text,
    /// 1 for each token of a text, 0 for padding.
    Mask,
}

/// A size that depends on the image; all are formulas.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub(super) enum FitDecl<'a> {
    /// One of some sizes: a list of height and width.
    Best { sizes: Text<'a> },
    /// Multiples of a length, with so many pixels.
    Multiple { of: Text<'a>, least: Text<'a>, most: Text<'a> },
}

impl<'a> FitDecl<'a> {
    /// Its formulas.
    pub(super) fn formulas(&self) -> Vec<Text<'a>> {
        match self {
            FitDecl::Best { sizes } => vec![*sizes],
            FitDecl::Multiple { of, least, most } => vec![*of, *least, *most],
        }
    }
}

/// How an image becomes a tensor; all are formulas.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub(super) enum CutDecl<'a> {
    /// Squares with the whole in front of them.
    Tiles { side: Text<'a> },
    /// Rows of numbers.
    Patches { side: Text<'a>, merge: Text<'a>, frames: Text<'a> },
}

impl<'a> CutDecl<'a> {
    /// Its formulas.
    pub(super) fn formulas(&self) -> Vec<Text<'a>> {
        match self {
            CutDecl::Tiles { side } => vec![*side],
            CutDecl::Patches { side, merge, frames } => vec![*side, *merge, *frames],
        }
    }
}

/// What outputs mean: names of outputs, and formulas.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub(super) enum OutputDecl<'a> {
    /// Which of some classes it is.
    Classify {
        scores: Text<'a>,
        #[serde(default)]
        labels: Option<Text<'a>>,
        #[serde(default)]
        independent: Option<Text<'a>>,
    },
    /// What is where.
    Detect {
        scores: Text<'a>,
        boxes: Text<'a>,
        #[serde(default)]
        labels: Option<Text<'a>>,
    },
    /// How well texts fit to something.
    Compare { scores: Text<'a> },
    /// What is said, letter by letter.
    Ctc {
        tokens: Text<'a>,
        #[serde(default)]
        blank: Option<Text<'a>>,
    },
    /// Images in a prompt.
    ImagePrompt {
        /// A formula.
        token: Text<'a>,
        /// A size, with formulas in braces.
        count: Text<'a>,
        /// A formula.
        #[serde(default)]
        placeholder: Option<Text<'a>>,
    },
    /// What the entry that encodes reads.
    Seq2Seq {
        features: Text<'a>,
        into: Text<'a>,
        /// A formula.
        #[serde(default)]
        step: Option<Text<'a>>,
    },
}

/// A block: its signature is the key of the table it stands in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Block", bound(deserialize = "'de: 'a"))]
pub(super) struct BlockDecl<'a> {
    /// For people.
    #[serde(default)]
    pub(super) doc: Text<'a>,
    #[serde(default)]
    pub(super) body: Vec<Text<'a>>,
    pub(super) result: Text<'a>,
}

/// A file of blocks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub(super) struct Blocks<'a> {
    /// For people.
    #[serde(default)]
    pub(super) doc: Text<'a>,
    pub(super) blocks: Table<'a, BlockDecl<'a>>,
}

/// One step of a body.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub(super) enum Statement<'a> {
    /// `name = formula :: role, precision`.
    Let(Text<'a>),
    /// Output name and formula.
    Output(Text<'a>, Text<'a>),
    /// Tap name and formula.
    Tap(Text<'a>, Text<'a>),
    /// The body once per index.
    Repeat {
        /// Name in node paths.
        name: Text<'a>,
        /// Name of the index in formulas.
        index: Text<'a>,
        /// How often.
        count: Text<'a>,
        /// What.
        body: Vec<Statement<'a>>,
    },
    /// The body if a config condition holds.
    When(Text<'a>, Vec<Statement<'a>>),
    /// One of two bodies.
    If(Text<'a>, Vec<Statement<'a>>, Vec<Statement<'a>>),
}

/// A change to an extended body, addressed by statement.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub(super) enum Edit<'a> {
    /// Puts other statements in its place.
    Replace(Text<'a>, Vec<Statement<'a>>),
    /// Inserts in front of it.
    Before(Text<'a>, Vec<Statement<'a>>),
    /// Inserts behind it.
    After(Text<'a>, Vec<Statement<'a>>),
    /// Drops it.
    Remove(Text<'a>),
}

/// The part of an architecture file that says which models it is for; the rest may be anything.
#[derive(Deserialize)]
#[serde(rename = "Architecture")]
pub(super) struct Classes {
    /// The `classes` of an architecture file; all else is skipped.
    #[serde(default)]
    pub(super) classes: Vec<String>,
    /// The `model_types` of an architecture file.
    #[serde(default)]
    pub(super) model_types: Vec<String>,
}

fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

/// Reads one file into its form; a RON error is the only problem reported.
pub(super) fn read<'a, T: Deserialize<'a>>(
    sources: &Sources<'a>,
    name: &str,
    text: &'a str,
) -> Result<T, Box<Diagnostic>> {
    options().from_str(text).map_err(|e| Box::new(sources.syntax(name, text, &e)))
}

/// Reads borrowed values leniently; `None` if the text is not of that form.
pub(super) fn peek_borrowed<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    options().from_str(text).ok()
}

/// Reads owned values leniently; `None` if the text is not of that form.
pub(super) fn peek<T: DeserializeOwned>(text: &str) -> Option<T> {
    options().from_str(text).ok()
}
