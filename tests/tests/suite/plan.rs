//! The memory plan: whatever a step reads from scratch memory is what the step before wrote there for it.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_bundle::{Binding, Program, Step};
use gristmill_compiler::codegen::context::{Place, Setting};
use gristmill_compiler::entries::entry_plans;
use gristmill_compiler::prepare::{Prepared, prepare};
use gristmill_compiler::profile::CAPACITY;
use gristmill_compiler::rewrite::Rewriter;
use gristmill_compiler::select::{Call, KernelSet, lower};
use gristmill_compiler::{KvPrecision, plan, profile};
use gristmill_graph::{Bindings, Dim, Graph, NodeId, Precision, numel};
use gristmill_tests::goldens::Case;

/// Values of the symbols for which sizes are checked, by name.
const SIZES: [&[(&str, u32)]; 3] = [
    &[
        ("B", 1),
        ("N", 1),
        ("T", 1),
        ("P", 0),
        ("F", 2),
        ("H", 1),
        ("W", 1),
        ("D", 1),
        ("V", 4),
        ("S", 480_000),
        (CAPACITY, 1),
    ],
    &[
        ("B", 3),
        ("N", 2),
        ("T", 7),
        ("P", 5),
        ("F", 9),
        ("H", 70),
        ("W", 33),
        ("D", 2),
        ("V", 40),
        ("S", 600_001),
        (CAPACITY, 40),
    ],
    &[
        ("B", 8),
        ("N", 5),
        ("T", 128),
        ("P", 384),
        ("F", 256),
        ("H", 160),
        ("W", 224),
        ("D", 5),
        ("V", 400),
        ("S", 1_500_000),
        (CAPACITY, 512),
    ],
];

struct Checker<'a> {
    graph: &'a Graph,
    calls: &'a [Call],
    program: &'a Program,
    set: &'a KernelSet,
    wrong: Vec<String>,
}

impl Checker<'_> {
    fn fault(&mut self, step: usize, what: &str) {
        self.wrong.push(format!("step {step} ({}): {what}", self.calls[step].nodes));
    }

    /// Which value lies in each slot after each step; what is read must be there, and whole.
    fn contents(&mut self) {
        let mut slots: Vec<Option<NodeId>> = vec![None; self.program.slots.len()];
        let mut written = BTreeSet::new();
        let (calls, program) = (self.calls, self.program);
        for (i, (call, step)) in calls.iter().zip(&program.steps).enumerate() {
            let writes = self.writes(call);
            let bound = || call.places.iter().zip(&step.bind).zip(&writes);
            for ((place, binding), _) in bound().filter(|(_, w)| !**w) {
                match (place, binding) {
                    (Place::Value(id), Binding::Slot(s)) if slots[*s as usize] != Some(*id) => {
                        let found = slots[*s as usize].map(|n| self.graph.node(n).path.clone());
                        let wants = &self.graph.node(*id).path;
                        self.fault(i, &format!("slot {s} should hold {wants}, but holds {found:?}"));
                    }
                    (Place::Output(_), _) if !written.contains(binding) => {
                        self.fault(i, &format!("reads {binding:?} before it is written"));
                    }
                    _ => {}
                }
            }
            for ((place, binding), _) in bound().filter(|(_, w)| **w) {
                match (place, binding) {
                    (Place::Value(id), Binding::Slot(s)) => slots[*s as usize] = Some(*id),
                    (Place::Output(_) | Place::State(_), _) => drop(written.insert(*binding)),
                    _ => self.fault(i, &format!("writes {binding:?}, which is {place:?}")),
                }
            }
        }
    }

    fn writes(&self, call: &Call) -> Vec<bool> {
        self.set.kernels[call.kernel].buffers.iter().map(|b| b.writable).collect()
    }

    /// A buffer that is written is bound once; every step binds what its kernel declares.
    fn bindings(&mut self) {
        let (calls, program) = (self.calls, self.program);
        for (i, (call, step)) in calls.iter().zip(&program.steps).enumerate() {
            let writes = self.writes(call);
            if writes.len() != step.bind.len() || step.kernel as usize != call.kernel {
                self.fault(i, "does not bind what its kernel declares");
            }
            if !writes.contains(&true) {
                self.fault(i, "writes nothing");
            }
            for (binding, _) in step.bind.iter().zip(&writes).filter(|(_, w)| **w) {
                if step.bind.iter().filter(|b| *b == binding).count() > 1 {
                    self.fault(i, &format!("writes {binding:?} and binds it once more"));
                }
            }
        }
    }

    /// Slots hold their values, and grids are not empty, whatever the symbols are.
    fn sizes(&mut self, fixed: &Bindings) {
        for sizes in SIZES {
            let mut symbols: BTreeMap<String, u32> = sizes.iter().map(|(n, v)| (n.to_string(), *v)).collect();
            symbols.extend(fixed.iter().map(|(n, v)| (n.clone(), *v as u32)));
            let bindings: Bindings = symbols.iter().map(|(n, v)| (n.clone(), i64::from(*v))).collect();
            let (calls, program) = (self.calls, self.program);
            for (i, (call, step)) in calls.iter().zip(&program.steps).enumerate() {
                match step.grid.eval(&symbols) {
                    Ok(1..) => {}
                    other => self.fault(i, &format!("grid {} is {other:?}", step.grid)),
                }
                self.fits(i, call, step, &symbols, &bindings);
            }
        }
    }

    fn fits(&mut self, i: usize, call: &Call, step: &Step, symbols: &BTreeMap<String, u32>, bindings: &Bindings) {
        for (place, binding) in call.places.iter().zip(&step.bind) {
            let (Place::Value(id), Binding::Slot(s)) = (place, binding) else { continue };
            let need = (&numel(&self.graph.node(*id).shape) * &Dim::constant(4)).eval(bindings);
            let have = self.program.slots[*s as usize].eval(symbols).map(|n| n as i64);
            match (need, have) {
                (Some(need), Ok(have)) if need <= have => {}
                other => self.fault(i, &format!("slot {s}: needs and has {other:?} bytes")),
            }
        }
    }
}

/// Checks all entries of a golden model; gives the number of slots and of values that share them.
fn check(name: &str, precision: &str, kv: KvPrecision) -> (usize, usize) {
    let (model, _) = Case::open(name).bind();
    let precision: Precision = precision.parse().expect("a precision");
    let Prepared { model, precisions, .. } =
        prepare(model, false, &|usage| if usage.quantizable { precision } else { Precision::F32 });
    let (mut slots, mut values) = (0, 0);
    for target in profile::shipped_names() {
        let profile = profile::shipped(target).expect("a profile");
        let setting = Setting { model: &model, precisions: &precisions, kv, profile: &profile, spared: false };
        let mut rewriter = Rewriter::new(&profile.cost);
        let mut set = KernelSet::default();
        for entry in entry_plans(&model) {
            let declared = &model.entries[entry.entry];
            let (graph, _) = rewriter.run(&model.entry_graph(declared, entry.taps));
            let calls = lower(&setting, &graph, &entry.outputs, &mut set).expect("lowers");
            let program = plan::program(&setting, &graph, &calls, &set);
            let mut checker = Checker { graph: &graph, calls: &calls, program: &program, set: &set, wrong: Vec::new() };
            assert_eq!(calls.len(), program.steps.len());
            checker.bindings();
            checker.contents();
            checker.sizes(&declared.bind);
            assert!(checker.wrong.is_empty(), "{name} {target} {}:\n{}", entry.name, checker.wrong.join("\n"));
            let stored: BTreeSet<NodeId> = calls
                .iter()
                .flat_map(|c| &c.places)
                .filter_map(|p| if let Place::Value(id) = p { Some(*id) } else { None })
                .collect();
            slots += program.slots.len();
            values += stored.len();
        }
    }
    (slots, values)
}

#[test]
fn every_step_reads_what_was_written_for_it() {
    for (name, precision, kv) in [
        ("llama/gqa_untied", "q4", KvPrecision::F16),
        ("llama/tied_llama3_rope", "f32", KvPrecision::F32),
        ("qwen3/qk_norm", "q2.g16.asym", KvPrecision::F32),
        ("mistral/sliding", "q3", KvPrecision::F32),
        ("gpt2/base", "q8", KvPrecision::F16),
        ("bert/mlm", "f16", KvPrecision::F32),
        ("gemma2/softcap", "q4", KvPrecision::F16),
        ("gemma3/text", "f32", KvPrecision::F32),
        ("phi3/longrope", "q8", KvPrecision::F16),
        ("mobilebert/mlm", "q4", KvPrecision::F32),
        ("clip/eos_first", "q8", KvPrecision::F32),
        ("clap/fused", "q8", KvPrecision::F32),
        ("detr/timm", "q4", KvPrecision::F32),
        ("llava_next/anyres", "q8", KvPrecision::F16),
        ("qwen2_vl/mrope", "q4", KvPrecision::F32),
        ("xclip/base", "f16", KvPrecision::F32),
    ] {
        let (slots, values) = check(name, precision, kv);
        println!("{name}: {values} values in {slots} slots");
        assert!(slots * 2 < values, "{name}: {values} values in {slots} slots");
    }
}
