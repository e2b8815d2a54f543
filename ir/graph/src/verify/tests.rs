use super::*;
use crate::graph::{EntryRole, NodeId, Region, Symbol};
use crate::scalar::{Binary, Unary};

/// `y = exp(x) + w` with an entry and a tap.
fn model() -> Model {
    let mut m = Model { architecture: "test".into(), ..Model::default() };
    for name in ["B", "T", "P"] {
        m.symbols.push(Symbol { name: name.into(), min: 0, max: 4096 });
    }
    m.graph.regions.push(Region { name: "start".into(), index: None });
    let shape = vec![Dim::symbol("B"), Dim::symbol("T"), Dim::constant(4)];
    m.inputs.push(Input { name: "x".into(), dtype: DType::F32, shape, default: None, advance: None });
    m.weights.push(Weight { name: "w".into(), source: "w".into(), shape: vec![4], component: 0 });
    let state = vec![Dim::symbol("B"), Dim::symbol("P"), Dim::constant(4)];
    m.states.push(State { name: "key".into(), shape: state, kind: StateKind::Appended { axis: 1, window: None } });
    let x = m.add(Op::Input(0), &[], "x").unwrap();
    let e = m.add(Op::Unary(Unary::Exp), &[x], "e").unwrap();
    let w = m.add(Op::Weight(0), &[], "w").unwrap();
    let y = m.add(Op::Binary(Binary::Add), &[e, w], "y").unwrap();
    let k = m.add(Op::StateAppend(0), &[y], "k").unwrap();
    m.graph.outputs = BTreeMap::from([("y".to_string(), y), ("k".to_string(), k), ("tap".to_string(), e)]);
    m.taps.push("tap".into());
    let bind = Bindings::from([("T".to_string(), 1)]);
    let outputs = vec!["k".into()];
    m.entries.push(Entry { name: "decode".into(), role: EntryRole::Decode, bind, outputs, task: None });
    m
}

/// Changes the model and expects exactly this error.
fn fails(change: impl FnOnce(&mut Model), expected: &str) {
    let mut m = model();
    change(&mut m);
    assert_eq!(verify(&m), Err(vec![expected.to_string()]));
}

#[test]
fn a_sound_model_passes() {
    let m = model();
    assert_eq!(verify(&m), Ok(()));
    let entry = &m.entries[0];
    assert_eq!(verify_graph(&m, &m.entry_graph(entry, true), &m.bound_by(entry)), Ok(()));
}

#[test]
fn graphs() {
    fails(|m| m.graph.nodes[1].inputs.clear(), "e: exp: expected 1 operand, found 0");
    fails(|m| m.graph.nodes[1].inputs[0] = NodeId(1), "e: operand 1 does not precede its user 1");
    fails(|m| m.graph.nodes[1].inputs[0] = NodeId(u32::MAX), "e: operand 4294967295 does not precede its user 1");
    fails(|m| m.graph.nodes[0].op = Op::Input(9), "x: input 9 does not exist; the model declares 1");
    fails(
        |m| m.graph.nodes[4].dtype = DType::I32,
        "k: append has type f32 [B, P + T, 4], but i32 [B, P + T, 4] is \
    recorded",
    );
    fails(|m| m.graph.nodes[4].region = 5, "k: region 5 does not exist; the graph has 1");
    fails(
        |m| {
            m.graph.outputs.insert("z".into(), NodeId(8));
        },
        "output `z`: node 8 does not exist",
    );
    fails(
        |m| m.add(Op::StateAppend(0), &[NodeId(3)], "twice").map(drop).unwrap(),
        "twice: state 0 is already written by k",
    );
    fails(
        |m| {
            let flag = m.add(Op::Binary(Binary::Lt), &[NodeId(0), NodeId(1)], "flag").unwrap();
            m.graph.outputs.insert("flag".into(), flag);
        },
        "output `flag`: expected type f32 or i32, found bool",
    );
}

#[test]
fn declarations() {
    fails(|m| m.taps.push("other".into()), "tap `other` is not an output of the graph");
    fails(|m| m.entries[0].outputs.clear(), "entry `decode`: no outputs");
    fails(|m| m.entries[0].outputs[0] = "z".into(), "entry `decode`: output `z` does not exist in the graph");
    fails(
        |m| {
            m.entries[0].bind.insert("Q".into(), 1);
        },
        "entry `decode`: symbol `Q` is not declared",
    );
    fails(
        |m| {
            m.entries[0].bind.insert("T".into(), -1);
        },
        "entry `decode`: symbol `T` is -1, outside of 0 to 4096",
    );
    fails(|m| m.inputs[0].shape[0] = Dim::symbol("Q"), "input `x`: symbol `Q` is not declared");
    fails(|m| m.inputs.push(m.inputs[0].clone()), "input `x` is declared twice");
    fails(|m| m.weights[0].shape = vec![0], "weight `w`: shape [0] is empty or too large");
    fails(
        |m| m.weights[0].shape = vec![u64::MAX; 3],
        format!("weight `w`: shape {:?} is empty or too large", [u64::MAX; 3]).as_str(),
    );
    fails(
        |m| m.states[0].kind = StateKind::Appended { axis: 1, window: Some(0) },
        "state `key`: a window must have at least 1 token",
    );
    fails(
        |m| m.states[0].kind = StateKind::Appended { axis: 9, window: None },
        "state `key`: axis 9 does not exist in shape [B, P, 4]",
    );
    fails(
        |m| m.states[0].kind = StateKind::Appended { axis: 2, window: None },
        "state `key`: axis 2 must be `P`, found 4",
    );
    fails(
        |m| m.states[0].kind = StateKind::Kept,
        "state `key`: a kept state cannot grow, but its shape [B, P, 4] does",
    );
    fails(|m| m.symbols[0].max = -1, "symbol `B`: 0 to -1 is not a range of 32-bit sizes");
}

#[test]
fn explosive_shapes_are_refused_quickly() {
    let wide = (0..40).fold(Dim::default(), |d, i| {
        let power = (0..i % 5).fold(Dim::constant(i + 1), |p, _| &p * &Dim::symbol("T"));
        &d + &(&power * &Dim::symbol(["B", "T", "P"][i as usize % 3]))
    });
    let wide = &(&wide * &wide) + &Dim::symbol("B");
    fails(|m| m.graph.nodes[4].shape = vec![wide.clone(); 8], "k: a shape has too many terms");
    fails(|m| m.graph.nodes[4].shape = vec![Dim::constant(1); 9], "k: 9 axes, but at most 8 are supported");
    let huge = Dim::constant(i64::MAX);
    fails(|m| m.inputs[0].shape[0] = huge.clone(), "input `x`: a dimension is too large");
}

/// Every single change of a number in the serialized form gives an answer, whatever it is.
#[test]
fn damaged_models_never_panic() {
    let text = serde_json::to_string(&model()).unwrap();
    let digits: Vec<usize> = text.char_indices().filter(|(_, c)| c.is_ascii_digit()).map(|(i, _)| i).collect();
    for at in digits {
        for other in ["7", "-1", "4294967295", "9223372036854775807", "-9223372036854775808"] {
            let damaged = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            if let Ok(m) = serde_json::from_str::<Model>(&damaged) {
                let sound = verify(&m).is_ok();
                for entry in m.entries.iter().filter(|_| sound) {
                    assert_eq!(verify_graph(&m, &m.entry_graph(entry, true), &m.bound_by(entry)), Ok(()), "{damaged}");
                }
            }
        }
    }
}

#[test]
fn what_is_kept_needs_an_entry_that_keeps_it() {
    let keep = |m: &mut Model| {
        m.states.push(State {
            name: "source".into(),
            shape: vec![Dim::symbol("B"), Dim::constant(4)],
            kind: StateKind::Kept,
        });
        m.inputs.push(Input { name: "z".into(), shape: m.states[1].shape.clone(), ..m.inputs[0].clone() });
        let z = m.add(Op::Input(1), &[], "z").unwrap();
        let kept = m.add(Op::StateKeep(1), &[z], "kept").unwrap();
        m.graph.outputs.insert("kept".into(), kept);
    };
    let encode = |outputs: &str| Entry {
        name: "encode".into(),
        role: EntryRole::Encode,
        bind: Bindings::new(),
        outputs: vec![outputs.into()],
        task: None,
    };
    fails(keep, "kept: entries that generate read kept states, but no entry has the role Encode to compute them");
    fails(
        |m| m.entries.push(encode("y")),
        "an entry has the role Encode, but no state is kept: add `keep(state, x)` to the body",
    );
    let mut m = model();
    keep(&mut m);
    m.entries.push(encode("y"));
    assert_eq!(verify(&m), Ok(()));
    assert!(m.add(Op::StateKeep(0), &[NodeId(0)], "k").unwrap_err().contains("grows along an axis: use `append`"));
    assert!(m.add(Op::StateAppend(1), &[NodeId(0)], "k").unwrap_err().contains("has no axis to append along"));
}

#[test]
fn what_is_overwritten_is_updated_once_and_read_as_it_was() {
    let declare = |m: &mut Model| {
        let shape = vec![Dim::symbol("B"), Dim::constant(4)];
        m.states.push(State { name: "total".into(), shape, kind: StateKind::Overwritten });
        m.add(Op::StatePrevious(1), &[], "before").unwrap()
    };
    let updated = |m: &mut Model| {
        let before = declare(m);
        let next = m.add(Op::Unary(Unary::Neg), &[before], "next").unwrap();
        (next, m.add(Op::StateUpdate(1), &[next], "update").unwrap())
    };
    let mut m = model();
    updated(&mut m);
    assert_eq!(verify(&m), Ok(()));
    fails(
        |m| {
            declare(m);
        },
        "before: state 1 is read, but never updated",
    );
    fails(
        |m| {
            let (next, _) = updated(m);
            m.add(Op::StateUpdate(1), &[next], "again").unwrap();
        },
        "again: state 1 is already written by update",
    );
    fails(
        |m| {
            let (_, update) = updated(m);
            m.add(Op::Unary(Unary::Neg), &[update], "reader").unwrap();
        },
        "reader: reads an update; it must read the new value of the state instead",
    );
    fails(
        |m| {
            let (_, update) = updated(m);
            m.graph.outputs.insert("z".into(), update);
        },
        "output `z`: is an update; it must be the new value of the state instead",
    );
    let mut m = model();
    let (next, _) = updated(&mut m);
    assert!(m.add(Op::StateKeep(1), &[next], "k").unwrap_err().contains("use `previous` and `update`"));
    assert!(m.add(Op::StatePrevious(0), &[], "p").unwrap_err().contains("use `append`"));
    m.states[1].shape[1] = Dim::symbol("T");
    let told = verify(&m).unwrap_err().join("; ");
    assert!(told.contains("state `total`: an overwritten state must have the same size in all calls"), "{told}");
}
