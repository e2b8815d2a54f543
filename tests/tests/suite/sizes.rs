//! Sizes of buffers: correct for every image and text, and short enough to read, whatever the widths of a model are.

use std::collections::BTreeMap;

use gristmill_bundle::size::MAX_TEXT;
use gristmill_compiler::activations::quantize_activations;
use gristmill_compiler::codegen::context::Setting;
use gristmill_compiler::entries::entry_plans;
use gristmill_compiler::prepare::{Prepared, prepare};
use gristmill_compiler::rewrite::Rewriter;
use gristmill_compiler::select::{KernelSet, lower};
use gristmill_compiler::{CompileOptions, KvPrecision, plan, profile};
use gristmill_graph::text::{Settings, bind_settings};
use gristmill_graph::{Model, Precision};
use gristmill_runtime::Tensor;
use gristmill_tests::goldens::{Case, library, root};
use gristmill_tests::models::{Checkpointed, ModelFiles, Numbers};
use gristmill_tests::twins::{Task, Twins};
use rayon::prelude::*;
use serde_json::{Value, json};

/// Maximum length of the text of a buffer's size in a shipped model, in bytes.
const MOST: usize = 200;

fn read(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(root().join(path)).expect("a file")).expect("JSON")
}

/// A model with this configuration, without weights.
fn bound(config: &Value) -> Model {
    let library = library();
    let class = config["architectures"][0].as_str().expect("a class");
    let file = library.architecture_for_class(class).expect("an architecture");
    let settings = Settings { config, generation: &Value::Null, processors: &Value::Null };
    bind_settings(&library, &file, settings, None).unwrap_or_else(|d| panic!("{d}"))
}

/// The longest text of a buffer's size over all profiles and entries.
fn longest(model: Model) -> String {
    let q4: Precision = "q4".parse().expect("a precision");
    let Prepared { model, precisions, .. } =
        prepare(model, false, &|usage| if usage.quantizable { q4 } else { Precision::F32 }).expect("prepares");
    let mut longest = String::new();
    for target in profile::shipped_names() {
        let profile = profile::shipped(target).expect("a profile");
        let setting = Setting {
            model: &model,
            precisions: &precisions,
            kv: KvPrecision::F16,
            profile: &profile,
            has_fallback: false,
        };
        let mut rewriter = Rewriter::new(&profile.cost);
        let mut set = KernelSet::default();
        for entry in entry_plans(&model) {
            let mut graph = model.entry_graph(&model.entries[entry.entry], entry.taps);
            if profile.byte_activations {
                graph = quantize_activations(&graph, &precisions);
            }
            let (graph, _) = rewriter.run(&graph);
            let steps = lower(&setting, &graph, &entry.outputs, &mut set).expect("lowers");
            let program = plan::program(&setting, &graph, &steps, &set);
            let texts = program.slots.iter().map(|slot| slot.to_string());
            longest = texts.chain([longest]).max_by_key(String::len).expect("there is one");
        }
    }
    longest
}

#[test]
fn memory_expressions_of_all_families_are_short() {
    let defaults = read("tests/fixtures/configs/defaults.json");
    let mut models: Vec<(String, Model)> =
        defaults.as_object().expect("an object").iter().map(|(name, config)| (name.clone(), bound(config))).collect();
    models.extend(Case::all().iter().map(|case| (case.name.clone(), case.bind().0)));
    let mut families: BTreeMap<String, String> = BTreeMap::new();
    let each: Vec<(String, String)> = models
        .into_par_iter()
        .map(|(name, model)| (name.split('/').next().unwrap_or_default().to_string(), longest(model)))
        .collect();
    for (family, text) in each {
        let known = families.entry(family).or_default();
        *known = [std::mem::take(known), text].into_iter().max_by_key(String::len).expect("there is one");
    }
    for (family, text) in &families {
        println!("{family}: {} bytes: {text}", text.len());
    }
    let long: Vec<&String> = families.iter().filter(|(_, text)| text.len() >= MOST).map(|(name, _)| name).collect();
    assert!(long.is_empty(), "{MOST} bytes or more: {long:?}");
}

/// A detector whose backbone has these widths.
fn detector(stem: u64, widths: &[u64]) -> Value {
    let mut config = read("tests/goldens/detr/resnet/model/config.json");
    config["backbone_config"]["embedding_size"] = json!(stem);
    config["backbone_config"]["hidden_sizes"] = json!(widths);
    config
}

fn weights(model: &Model, seed: u64) -> Vec<Checkpointed> {
    let mut numbers = Numbers::new(seed);
    let mut weight = |name: &str, shape: &[u64]| {
        let shape: Vec<usize> = shape.iter().map(|n| *n as usize).collect();
        let fan_in: usize = shape[1..].iter().product();
        let data = (0..shape.iter().product())
            .map(|_| {
                if shape.len() == 1 { 1.0 + 0.1 * numbers.uniform() } else { numbers.normal() / (fan_in as f32).sqrt() }
            })
            .collect();
        Checkpointed { name: name.to_string(), shape, data }
    };
    model.weights.iter().map(|w| weight(&w.source, &w.shape)).collect()
}

#[test]
fn widths_without_a_common_factor_are_like_any_others() {
    let config = detector(5, &[5, 7, 9, 13]);
    let files = ModelFiles { tensors: weights(&bound(&config), 5), config };
    let mut twins = Twins::compile(&files, &CompileOptions { precision: "f32".into(), ..CompileOptions::default() })
        .unwrap_or_else(|e| panic!("{e}"));
    for (height, width) in [(1, 1), (33, 70)] {
        let mut numbers = Numbers::new(height as u64);
        let data = (0..3 * height * width).map(|_| numbers.normal()).collect();
        let inputs = BTreeMap::from([("pixel_values".to_string(), Tensor::f32([1, 3, height, width], data))]);
        let task = Task { inputs, greedy: None, padding: Vec::new(), tolerance: 1e-4 };
        twins.check(&task).unwrap_or_else(|e| panic!("{height} x {width}: {e}"));
    }
}

/// There is a program for any widths, however odd.
#[test]
fn no_widths_make_sizes_too_long() {
    let mut numbers = Numbers::new(11);
    let mut longest_of_all = String::new();
    for _ in 0..4 {
        let widths: Vec<u64> = (0..4).map(|_| 1 + numbers.below(300) as u64).collect();
        let text = longest(bound(&detector(1 + numbers.below(300) as u64, &widths)));
        longest_of_all = [longest_of_all, text].into_iter().max_by_key(String::len).expect("there is one");
    }
    println!("{} bytes: {longest_of_all}", longest_of_all.len());
    assert!(longest_of_all.len() < MAX_TEXT / 2, "{longest_of_all}");
}
