//! Tokenizers and chat templates.

use gristmill_runtime::tokenizer::Tokenizer;
use gristmill_template::{check, render};

use crate::target::Accepted;

const TEXTS: [&str; 6] = [
    "",
    "Once upon a time",
    "  a\t\nb  ",
    "\u{0}e\u{301}👩‍👩‍👧 Ǆ ﬁ 漢字",
    "<s>[INST] </s>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// A `tokenizer.json`, with texts to encode and decode.
pub(crate) fn tokenizer(data: &[u8]) -> Accepted {
    let Ok(tokenizer) = Tokenizer::from_bytes(data).map_err(|e| e.to_string()) else { return false };
    for text in TEXTS {
        if let Ok(ids) = tokenizer.encode(text, true).map_err(|e| e.to_string()) {
            let _ = tokenizer.decode(&ids).map_err(|e| e.to_string());
        }
        let _ = tokenizer.encode_within(text, false, 3).map_err(|e| e.to_string());
    }
    let _ = tokenizer.decode(&[0, 1, 2, 3, 1 << 20, u32::MAX]).map_err(|e| e.to_string());
    true
}

/// A chat template, with a conversation.
pub(crate) fn template(data: &[u8]) -> Accepted {
    const VARIABLES: &str = r#"{
        "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": true, "tools": null, "documents": null,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is 6 * 7?"},
            {"role": "assistant", "content": [{"type": "text", "text": "42 é"}]},
            {"role": "user", "content": "And\n\t\"8\"?"}
        ]
    }"#;
    let Ok(source) = std::str::from_utf8(data) else { return false };
    let parsed = check("chat_template.jinja", source).map_err(|e| e.to_string()).is_ok();
    if parsed {
        let _ = render("chat_template.jinja", source, VARIABLES, 1_700_000_000).map_err(|e| e.to_string());
    }
    parsed
}
