//! Text to token ids and back, as `tokenizer.json` says.

use gristmill_bundle::Bundle;
use tokenizers::{Encoding, TruncationDirection};

use crate::error::Error;

/// Where the tokenizer is in a bundle.
pub const FILE: &str = "tokenizer.json";

/// A tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos: Option<u32>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("bos", &self.bos).finish_non_exhaustive()
    }
}

fn fault(message: impl std::fmt::Display) -> Error {
    Error::Text { file: FILE.to_string(), message: message.to_string() }
}

impl Tokenizer {
    /// The tokenizer of a bundle.
    pub fn from_bundle(bundle: &Bundle) -> Result<Self, Error> {
        if !bundle.has(FILE) {
            return Err(fault("not in this bundle: the model came without it, so it takes token ids only"));
        }
        Tokenizer::from_bytes(&bundle.read(FILE)?, bundle.manifest().model.bos_token_id)
    }

    /// From the content of a `tokenizer.json`. `bos` is put in front when special tokens are wanted and the
    /// tokenizer does not do so itself.
    pub fn from_bytes(content: &[u8], bos: Option<u32>) -> Result<Self, Error> {
        let mut inner = tokenizers::Tokenizer::from_bytes(content).map_err(fault)?;
        // Files carry settings from training: padding to 128 and cutting at 128. How long an input may be is for
        // the model to say.
        inner.with_truncation(None).map_err(fault)?;
        inner.with_padding(None);
        Ok(Tokenizer { inner, bos })
    }

    /// The token ids of a text. With `special`, the tokens around it that the file's post-processor adds. Special
    /// tokens written out in the text are recognised either way.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, Error> {
        self.encode_within(text, special, usize::MAX)
    }

    /// As [`Tokenizer::encode`], with as much of the text as fits in `most` token ids together with the special
    /// tokens around it; those behind the text stay. If not even they fit, the result is longer than `most`.
    pub fn encode_within(&self, text: &str, special: bool, most: usize) -> Result<Vec<u32>, Error> {
        let whole = self.process(self.inner.encode_fast(text, false).map_err(fault)?, special)?;
        if whole.len() <= most {
            return Ok(whole);
        }
        let mut encoding = self.inner.encode_fast(text, false).map_err(fault)?;
        let around = whole.len().saturating_sub(encoding.len());
        encoding.truncate(most.saturating_sub(around), 0, TruncationDirection::Right);
        self.process(encoding, special)
    }

    /// The ids of an encoded text, with the tokens around it.
    fn process(&self, encoding: Encoding, special: bool) -> Result<Vec<u32>, Error> {
        let encoding = self.inner.post_process(encoding, None, special).map_err(fault)?;
        let mut ids = encoding.get_ids().to_vec();
        if let Some(bos) = self.bos.filter(|b| special && ids.first() != Some(b)) {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// The text of token ids, without special tokens. Ids that do not exist give nothing.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        self.inner.decode(ids, true).map_err(fault)
    }

    /// The id of a token.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of an id.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::stream::TextStream;

    /// A SentencePiece-like tokenizer with byte fallback, and training settings that must not act.
    pub(crate) fn toy_json(post_processor: &str) -> String {
        let mut vocab = vec!["<unk>".to_string(), "<s>".to_string(), "</s>".to_string()];
        vocab.extend("▁abcdelnopuO".chars().map(String::from));
        vocab.extend(["On", "ce", "▁O", "▁On", "▁Once", "up", "on", "▁up", "▁upon"].map(String::from));
        vocab.extend((0..=255).map(|b| format!("<0x{b:02X}>")));
        let vocab: Vec<String> = vocab.iter().enumerate().map(|(i, t)| format!("{t:?}:{i}")).collect();
        format!(
            r#"{{"version":"1.0",
            "truncation":{{"direction":"Right","max_length":3,"strategy":"LongestFirst","stride":0}},
            "padding":{{"strategy":{{"Fixed":9}},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,
                        "pad_type_id":0,"pad_token":"<unk>"}},
            "added_tokens":[
              {{"id":1,"content":"<s>","single_word":false,"lstrip":false,
                "rstrip":false,"normalized":false,"special":true}},
              {{"id":2,"content":"</s>","single_word":false,"lstrip":false,
                "rstrip":false,"normalized":false,"special":true}}],
            "normalizer":{{"type":"Sequence","normalizers":[{{"type":"Prepend","prepend":"▁"}},
              {{"type":"Replace","pattern":{{"String":" "}},"content":"▁"}}]}},
            "pre_tokenizer":null,
            "post_processor":{post_processor},
            "decoder":{{"type":"Sequence","decoders":[
              {{"type":"Replace","pattern":{{"String":"▁"}},"content":" "}},
              {{"type":"ByteFallback"}},{{"type":"Fuse"}},{{"type":"Strip","content":" ","start":1,"stop":0}}]}},
            "model":{{"type":"BPE","dropout":null,"unk_token":"<unk>","continuing_subword_prefix":null,
              "end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,"ignore_merges":false,
              "vocab":{{{}}},
              "merges":["▁ O","▁O n","c e","▁On ce","u p","o n","▁ up","▁up on"]}}}}"#,
            vocab.join(",")
        )
    }

    const ADDS_BOS: &str = r#"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
        {"Sequence":{"id":"A","type_id":0}}],
        "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
        "special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}}"#;

    fn toy(post_processor: &str, bos: Option<u32>) -> Tokenizer {
        Tokenizer::from_bytes(toy_json(post_processor).as_bytes(), bos).unwrap()
    }

    #[test]
    fn special_tokens_come_once() {
        let once = toy("null", None).encode("Once", false).unwrap();
        assert_eq!(once, [toy("null", None).token_to_id("▁Once").unwrap()]);
        let with_bos = [&[1], once.as_slice()].concat();
        for (tokenizer, special, expect) in [
            (toy("null", None), true, &once),
            (toy("null", Some(1)), true, &with_bos),
            (toy(ADDS_BOS, Some(1)), true, &with_bos),
            (toy(ADDS_BOS, None), true, &with_bos),
            (toy(ADDS_BOS, Some(1)), false, &once),
        ] {
            assert_eq!(tokenizer.encode("Once", special).unwrap(), *expect, "{tokenizer:?} {special}");
        }
        let written = toy("null", None).encode("<s>Once</s>", false).unwrap();
        assert_eq!((written[0], *written.last().unwrap()), (1, 2));
        assert_eq!(toy("null", None).decode(&written).unwrap(), "Once");
    }

    #[test]
    fn training_settings_do_not_act() {
        let tokenizer = toy("null", None);
        let text = "Once upon Once upon Once €";
        let ids = tokenizer.encode(text, true).unwrap();
        assert_eq!(ids.len(), 5 + 1 + 3, "neither cut at 3 nor padded to 9 on the way: {ids:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        assert_eq!(tokenizer.encode("Once", true).unwrap().len(), 1);
    }

    #[test]
    fn cutting_keeps_the_tokens_around() {
        const BOTH: &str = r#"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
            {"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],
            "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
            "special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]},
                              "</s>":{"id":"</s>","ids":[2],"tokens":["</s>"]}}}"#;
        let tokenizer = toy(BOTH, None);
        let text = "Once upon Once upon";
        let whole = tokenizer.encode(text, true).unwrap();
        let inside = tokenizer.encode(text, false).unwrap();
        assert_eq!(whole, [&[1], inside.as_slice(), &[2]].concat());
        for most in 2..=whole.len() + 1 {
            let cut = tokenizer.encode_within(text, true, most).unwrap();
            let kept = inside.len().min(most - 2);
            assert_eq!(cut, [&[1], &inside[..kept], &[2]].concat(), "{most}");
        }
        assert_eq!(tokenizer.encode_within(text, true, 0).unwrap(), [1, 2]);
        assert_eq!(toy("null", Some(1)).encode_within(text, true, 3).unwrap(), [&[1], &inside[..2]].concat());
    }

    #[test]
    fn streams_as_it_decodes() {
        let tokenizer = toy("null", None);
        let text = "Once upon €€ Once";
        let ids = tokenizer.encode(text, false).unwrap();
        for prompt in 0..ids.len() {
            let mut stream = TextStream::new(|ids: &[u32]| tokenizer.decode(ids), &ids[..prompt]);
            let mut all = tokenizer.decode(&ids[..prompt]).unwrap();
            for id in &ids[prompt..] {
                let piece = stream.push(*id).unwrap();
                assert!(!piece.contains('\u{FFFD}'));
                all += &piece;
            }
            all += &stream.finish().unwrap();
            // A prompt that ends inside a character cannot be continued cleanly.
            if !tokenizer.decode(&ids[..prompt]).unwrap().contains('\u{FFFD}') {
                assert_eq!(all, text, "prompt of {prompt} tokens");
            }
        }
    }

    #[test]
    fn damaged_files_are_named() {
        let text = Tokenizer::from_bytes(b"{\"version\": 3", None).unwrap_err().to_string();
        assert!(text.starts_with("tokenizer.json: "), "{text}");
    }
}
