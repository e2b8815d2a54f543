//! The bundles that browsers run, and the results of the native runtime for each.

use std::path::Path;

use gristmill_tests::browser::{
    AudioFile, Task, folder, make, make_audio, make_compared, make_golden, make_images, make_limited, make_prompts,
};
use gristmill_tests::goldens::{Case, root};
use gristmill_tests::prompts;
use gristmill_tests::sentences::SentenceModel;
use gristmill_tests::speech::{self, copy};

/// Decoders and encoders with distinct features: windows, biases, merged and transposed projections, norms of heads;
/// soft caps; images; audio, with an encoder before the decoder; images in prompts; states that calls overwrite.
const GOLDENS: [&str; 13] = [
    "bert/base",
    "gated_conv/mixed",
    "gemma2/softcap",
    "gpt2/base",
    "llama/gqa_untied",
    "llava/base",
    "mistral/sliding",
    "qwen2/tied",
    "qwen3/qk_norm",
    "resnet/basic",
    "roberta/cls",
    "vit/cls",
    "whisper/mel80",
];

/// The simplest chat template. The model is not a chat model, so it answers with a story.
const TEMPLATE: &str = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}";

/// Compiles all of them.
pub(crate) fn make_all() {
    let _ = std::fs::remove_dir_all(folder());
    let make = |task: Task<'_>| make(&folder(), &task).unwrap_or_else(|e| panic!("{}: {e}", task.name));
    let stories = root().join("examples/stories260K");
    let prompts = &[("Once upon a time", 24), ("Lily had a red ball. She", 16)];
    make(Task { prompts, ..Task::new("stories260K", &stories, "q4") });
    // Weights in parts: the embedding, which is also the head, and the feed-forward layers. With 90 more tokens, an
    // adapter that binds nothing larger cannot hold the caches either.
    let prompts = &[("Once upon a time", 12), ("Lily had a red ball. She", 90)];
    make(Task { prompts, binding_bytes: Some(9 << 10), ..Task::new("cut", &stories, "q8") });
    let models = tempfile::tempdir().unwrap();
    let chat = models.path().join("chat");
    copy(&stories, &chat);
    std::fs::write(chat.join("chat_template.jinja"), TEMPLATE).unwrap();
    make(Task { messages: &[("Tom and Sue went to the park.", 12)], ..Task::new("chat", &chat, "q8") });
    let embedder = models.path().join("embedder");
    SentenceModel::named("prompt_left_out").write(&embedder);
    let texts = &["a tale of a mill", "the mill grinds the grain", "", "GRAIN and grain"];
    make(Task { texts, ..Task::new("embedder", &embedder, "q8") });
    let labeller = models.path().join("labeller");
    copy(&Case::open("distilbert/cls").model_dir(), &labeller);
    std::fs::write(labeller.join("tokenizer.json"), word_pieces(181)).unwrap();
    make(Task { labelled: &["a tale of a mill", "the grain of the mill"], ..Task::new("labeller", &labeller, "f32") });
    // An encoder-decoder: reads a text and writes another.
    let translator = models.path().join("translator");
    copy(&Case::open("t5/v1_0").model_dir(), &translator);
    std::fs::write(translator.join("tokenizer.json"), word_pieces(213)).unwrap();
    // Not the tokenizer class that such models have.
    let settings = r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#;
    std::fs::write(translator.join("tokenizer_config.json"), settings).unwrap();
    let prompts = &[("the mill grinds the grain", 8), ("a tale", 5)];
    make(Task { prompts, ..Task::new("translator", &translator, "f32") });
    // A prompt and a text that wrap around a ring of 134 tokens more than once.
    let windowed = models.path().join("windowed");
    Case::open("mistral/sliding").write_for(400, &windowed);
    std::fs::write(windowed.join("tokenizer.json"), word_pieces(241)).unwrap();
    std::fs::write(windowed.join("tokenizer_config.json"), settings).unwrap();
    let long = "the mill of tales grinds 9 grains ".repeat(20);
    make(Task { prompts: &[(&long, 24)], ..Task::new("windowed", &windowed, "f32") });
    let detector = root().join("examples/person-detector");
    make_images(&folder(), "person-detector", &detector, &["astronaut.png", "cat.png"]).unwrap();
    make_images(&folder(), "finder", &Case::open("detr/resnet").model_dir(), &["cat.png"]).unwrap();
    audio(models.path());
    for name in ["video", "fused"] {
        make_compared(&folder(), name).unwrap();
    }
    for (name, model) in prompts::models() {
        make_prompts(&folder(), &name, &model).unwrap();
    }
    for name in GOLDENS {
        make_golden(&folder(), &Case::open(name)).unwrap();
    }

    make_limited(&folder(), "limited", &Case::open("qwen2/tied"), 32 * 120 * 4, 4).unwrap();
}

/// Two audio models: one generates text for one second of audio at a time, one uses CTC.
fn audio(models: &Path) {
    let (seq2seq, ctc) = (models.join("seq2seq"), models.join("ctc"));
    copy(&Case::open("whisper/published").model_dir(), &seq2seq);
    let special: Vec<(u32, String)> =
        [0, 1, 2].into_iter().chain(100..=110).map(|id| (id, format!("<|{id}|>"))).collect();
    speech::write_tokenizer(&seq2seq, 111, &special);
    copy(&Case::open("wav2vec2/ctc_layer_norm").model_dir(), &ctc);
    speech::write_letters(&ctc);
    let word = AudioFile { name: "word", samples: speech::waveform(12_000, 1), wish: &[] };
    let silence = AudioFile { name: "silence", samples: vec![0; 8_000], wish: &[] };
    let long = AudioFile { name: "long", samples: speech::waveform(36_000, 2), wish: &[] };
    let german = AudioFile { name: "german", wish: &[("language", "de")], ..word.clone() };
    let wish: &[_] = &[("language", "fr"), ("task", "translate")];
    let translated = AudioFile { name: "translated", wish, ..word.clone() };
    make_audio(&folder(), "seq2seq", &seq2seq, &[word.clone(), silence.clone(), long, german, translated]).unwrap();
    make_audio(&folder(), "ctc", &ctc, &[word, silence]).unwrap();
}

/// A WordPiece tokenizer with this many tokens: special tokens, letters, some words, and others that occur in no text.
fn word_pieces(tokens: usize) -> String {
    let mut vocabulary: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from).to_vec();
    let special = |(id, content): (usize, &String)| {
        serde_json::json!({
            "id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false
        })
    };
    let added: Vec<serde_json::Value> = vocabulary.iter().enumerate().map(special).collect();
    let letters = || ('a'..='z').chain('0'..='9');
    vocabulary.extend(letters().map(String::from));
    vocabulary.extend(letters().map(|c| format!("##{c}")));
    vocabulary.extend(["the", "of", "and", "mill", "grain", "##ing", "##s", "tale", "grind"].map(String::from));
    vocabulary.extend((vocabulary.len()..tokens).map(|id| format!("word{id}")));
    let vocab: serde_json::Map<String, serde_json::Value> =
        vocabulary.iter().enumerate().map(|(i, t)| (t.clone(), i.into())).collect();
    serde_json::json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab
        }
    })
    .to_string()
}
