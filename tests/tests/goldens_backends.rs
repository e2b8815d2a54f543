//! The whole road: a model directory is compiled at f32, and the bundle gives what the original model gave, on the
//! device and on the reference backend.

use gristmill_tests::backends::check_case;
use gristmill_tests::goldens::Case;

fn check(name: &str) {
    let wrong = check_case(&Case::open(name));
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

macro_rules! cases {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { check($name); })*

        /// A case that nobody runs is worse than none.
        #[test]
        fn every_case_is_listed() {
            let names: Vec<String> = Case::all().into_iter().map(|c| c.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

cases! {
    bert_base: "bert/base",
    bert_labels: "bert/labels",
    bert_mlm: "bert/mlm",
    gpt2_base: "gpt2/base",
    gpt2_published: "gpt2/published",
    llama_gqa_untied: "llama/gqa_untied",
    llama_tied_llama3_rope: "llama/tied_llama3_rope",
    llama_wide: "llama/wide",
    llama_yarn_biases: "llama/yarn_biases",
    mistral_sliding: "mistral/sliding",
    qwen2_mixed_window: "qwen2/mixed_window",
    qwen2_tied: "qwen2/tied",
    qwen3_qk_norm: "qwen3/qk_norm",
    roberta_cls: "roberta/cls",
    roberta_mlm: "roberta/mlm",
}
