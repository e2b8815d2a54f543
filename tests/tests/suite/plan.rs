//! The memory plan: every step reads from scratch memory what an earlier step wrote there for it.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_bundle::{Binding, Dispatch, Program};
use gristmill_compiler::codegen::context::{Place, Setting};
use gristmill_compiler::entries::entry_plans;
use gristmill_compiler::plan::memory::{Resident, resident};
use gristmill_compiler::prepare::{Prepared, prepare};
use gristmill_compiler::profile::CAPACITY;
use gristmill_compiler::rewrite::Rewriter;
use gristmill_compiler::select::{Call, KernelSet, Step, lower};
use gristmill_compiler::{KvPrecision, plan, profile};
use gristmill_graph::{Bindings, Graph, Model, NodeId, Precision, StateKind};
use gristmill_tests::goldens::Case;
use gristmill_tests::profiles::several_kernels;

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

/// A dispatch, as lowered and as in the program.
#[derive(Clone, Copy)]
struct Made<'a> {
    /// The index of its step.
    step: usize,
    lowered: &'a Step,
    call: &'a Call,
    dispatch: &'a Dispatch,
}

struct Checker<'a> {
    model: &'a Model,
    graph: &'a Graph,
    made: Vec<Made<'a>>,
    program: &'a Program,
    set: &'a KernelSet,
    wrong: Vec<String>,
}

impl<'a> Checker<'a> {
    fn new(
        (model, graph): (&'a Model, &'a Graph),
        steps: &'a [Step],
        program: &'a Program,
        set: &'a KernelSet,
    ) -> Self {
        assert_eq!(steps.len(), program.steps.len());
        let mut made = Vec::new();
        for (step, (lowered, own)) in steps.iter().zip(&program.steps).enumerate() {
            assert_eq!(lowered.calls.len(), own.dispatches.len());
            let pairs = lowered.calls.iter().zip(&own.dispatches);
            made.extend(pairs.map(|(call, dispatch)| Made { step, lowered, call, dispatch }));
        }
        Checker { model, graph, made, program, set, wrong: Vec::new() }
    }

    fn fault(&mut self, made: &Made<'_>, what: &str) {
        self.wrong.push(format!("step {} ({}): {what}", made.step, made.lowered.nodes));
    }

    /// Tracks the value in each slot after each dispatch. What is read must be there, and complete.
    fn contents(&mut self) {
        let mut slots: Vec<Option<Resident>> = vec![None; self.program.slots.len()];
        let mut written = BTreeSet::new();
        for made in self.made.clone() {
            let writes = self.writes(made.call);
            let bound = || made.call.places.iter().zip(&made.dispatch.bind).zip(&writes);
            for ((place, binding), _) in bound().filter(|(_, w)| !**w) {
                match (resident(place, made.step), place, binding) {
                    (Some(who), _, Binding::Slot(s)) if slots[*s as usize] != Some(who) => {
                        let found = slots[*s as usize];
                        self.fault(&made, &format!("slot {s} should hold {who:?}, but holds {found:?}"));
                    }
                    (_, Place::Output(_), _) if !written.contains(binding) => {
                        self.fault(&made, &format!("reads {binding:?} before it is written"));
                    }
                    (_, Place::State(s), _) => {
                        let kind = self.model.states[*s as usize].kind;
                        if kind == StateKind::Overwritten && written.contains(binding) {
                            self.fault(&made, &format!("reads {binding:?} after it is overwritten"));
                        }
                    }
                    _ => {}
                }
            }
            for ((place, binding), _) in bound().filter(|(_, w)| **w) {
                match (resident(place, made.step), place, binding) {
                    (Some(who), _, Binding::Slot(s)) => slots[*s as usize] = Some(who),
                    (_, Place::Output(_) | Place::State(_), _) => drop(written.insert(*binding)),
                    _ => self.fault(&made, &format!("writes {binding:?}, which is {place:?}")),
                }
            }
        }
    }

    /// No two values of a step share a slot, whichever of its dispatches use them: a fallback has different dispatches.
    fn whole_steps(&mut self) {
        let mut values: BTreeMap<(usize, u32), NodeId> = BTreeMap::new();
        for made in self.made.clone() {
            for (place, binding) in made.call.places.iter().zip(&made.dispatch.bind) {
                let (Place::Value(id), Binding::Slot(s)) = (place, binding) else { continue };
                let other = *values.entry((made.step, *s)).or_insert(*id);
                if other != *id {
                    self.fault(&made, &format!("slot {s} holds {other:?} and {id:?}"));
                }
            }
        }
    }

    fn writes(&self, call: &Call) -> Vec<bool> {
        self.set.kernels[call.kernel].buffers.iter().map(|b| b.writable).collect()
    }

    /// A buffer that is written is bound once, and every dispatch binds what its kernel declares.
    fn bindings(&mut self) {
        for made in self.made.clone() {
            let (writes, bind) = (self.writes(made.call), &made.dispatch.bind);
            if writes.len() != bind.len() || made.dispatch.kernel as usize != made.call.kernel {
                self.fault(&made, "does not bind what its kernel declares");
            }
            if !writes.contains(&true) {
                self.fault(&made, "writes nothing");
            }
            for (binding, _) in bind.iter().zip(&writes).filter(|(_, w)| **w) {
                if bind.iter().filter(|b| *b == binding).count() > 1 {
                    self.fault(&made, &format!("writes {binding:?} and binds it once more"));
                }
            }
        }
    }

    /// Slots are large enough for their values, and grids are not empty, for all symbol values.
    fn sizes(&mut self, fixed: &Bindings) {
        for sizes in SIZES {
            let mut symbols: BTreeMap<String, u32> = sizes.iter().map(|(n, v)| (n.to_string(), *v)).collect();
            symbols.extend(fixed.iter().map(|(n, v)| (n.clone(), *v as u32)));
            let bindings: Bindings = symbols.iter().map(|(n, v)| (n.clone(), i64::from(*v))).collect();
            for made in self.made.clone() {
                match made.dispatch.grid.eval(&symbols) {
                    Ok(1..) => {}
                    other => self.fault(&made, &format!("grid {} is {other:?}", made.dispatch.grid)),
                }
                self.fits(&made, &symbols, &bindings);
            }
        }
    }

    fn fits(&mut self, made: &Made<'_>, symbols: &BTreeMap<String, u32>, bindings: &Bindings) {
        for (place, binding) in made.call.places.iter().zip(&made.dispatch.bind) {
            let Binding::Slot(s) = binding else { continue };
            let need = match place {
                Place::Value(id) => plan::bytes(self.graph, *id).eval(bindings),
                Place::Scratch(n) => made.lowered.scratch[*n as usize].eval(bindings),
                _ => continue,
            };
            let have = self.program.slots[*s as usize].eval(symbols).map(|n| n as i64);
            match (need, have) {
                (Some(need), Ok(have)) if need <= have => {}
                other => self.fault(made, &format!("slot {s}: needs and has {other:?} bytes")),
            }
        }
    }
}

/// Checks all entries of a golden model. Returns the number of slots, and of values that share them.
fn check(name: &str, precision: &str, kv: KvPrecision) -> (usize, usize) {
    let (model, _) = Case::open(name).bind();
    let precision: Precision = precision.parse().expect("a precision");
    let Prepared { model, precisions, .. } =
        prepare(model, false, &|usage| if usage.quantizable { precision } else { Precision::F32 }).expect("prepares");
    let (mut slots, mut values) = (0, 0);
    let shipped = profile::shipped_names().map(|name| profile::shipped(name).expect("a profile"));
    for profile in shipped.chain([several_kernels()]) {
        let target = &profile.name;
        let setting = Setting { model: &model, precisions: &precisions, kv, profile: &profile, has_fallback: false };
        let mut rewriter = Rewriter::new(&profile.cost);
        let mut set = KernelSet::default();
        for entry in entry_plans(&model) {
            let declared = &model.entries[entry.entry];
            let (graph, _) = rewriter.run(&model.entry_graph(declared, entry.taps));
            let steps = lower(&setting, &graph, &entry.outputs, &mut set).expect("lowers");
            let program = plan::program(&setting, &graph, &steps, &set);
            let mut checker = Checker::new((&model, &graph), &steps, &program, &set);
            checker.bindings();
            checker.contents();
            checker.whole_steps();
            checker.sizes(&declared.bind);
            assert!(checker.wrong.is_empty(), "{name} {target} {}:\n{}", entry.name, checker.wrong.join("\n"));
            let places = steps.iter().flat_map(|s| &s.calls).flat_map(|c| &c.places);
            let stored: BTreeSet<NodeId> =
                places.filter_map(|p| if let Place::Value(id) = p { Some(*id) } else { None }).collect();
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
        ("gated_conv/mixed", "q8", KvPrecision::F16),
        ("gated_conv/plain", "f32", KvPrecision::F32),
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
