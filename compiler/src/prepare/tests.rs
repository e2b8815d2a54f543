use gristmill_graph::infer::infer_declared;
use gristmill_graph::{Binary, Declarations, Dim, Input, Literal, Reduction, Region, Shape};

use super::*;

/// A model under construction. Every value is [T, 64] unless a test says otherwise.
pub(super) struct Draft(pub(super) Model);

impl Draft {
    pub(super) fn new() -> Self {
        let mut model = Model::default();
        let shape = vec![Dim::symbol("T"), Dim::constant(64)];
        let input = |name: &str, dtype, shape| Input { name: name.into(), dtype, shape, default: None, advance: None };
        model.inputs.push(input("x", DType::F32, shape));
        model.inputs.push(input("ids", DType::I32, vec![Dim::symbol("T")]));
        model.graph.regions.push(Region { name: "start".into(), index: None });
        Draft(model)
    }

    pub(super) fn region(&mut self, name: &str, index: Option<u32>) {
        self.0.graph.regions.push(Region { name: name.into(), index });
    }

    pub(super) fn op(&mut self, op: Op, inputs: &[NodeId], path: &str) -> NodeId {
        self.0.add(op, inputs, path).unwrap()
    }

    pub(super) fn weight(&mut self, name: &str, shape: &[u64]) -> NodeId {
        let weight = Weight { name: name.into(), source: format!("hf.{name}"), shape: shape.to_vec(), component: 0 };
        self.0.weights.push(weight);
        self.op(Op::Weight(self.0.weights.len() as u32 - 1), &[], name)
    }

    pub(super) fn output(&mut self, name: &str, id: NodeId) {
        self.0.graph.outputs.insert(name.into(), id);
    }

    /// Prepares the model, and checks that the types of the result are those that inference finds.
    pub(super) fn prepare(self, precision: &str) -> Prepared {
        let precision: Precision = precision.parse().unwrap();
        checked(prepare(self.0, false, &|_| precision).unwrap())
    }
}

pub(super) fn checked(prepared: Prepared) -> Prepared {
    let Model { graph, weights, .. } = &prepared.model;
    assert_eq!((weights.len(), weights.len()), (prepared.recipes.len(), prepared.precisions.len()));
    for (i, node) in graph.nodes.iter().enumerate() {
        assert!(node.inputs.iter().all(|input| input.index() < i), "{}: operands come first", node.path);
        let operands: Vec<(&[Dim], DType)> =
            node.inputs.iter().map(|id| (graph.node(*id).shape.as_slice(), graph.node(*id).dtype)).collect();
        let (shape, dtype) = infer_declared(Declarations::of(&prepared.model), &node.op, &operands).unwrap();
        assert_eq!((&shape, dtype), (&node.shape, node.dtype), "{}", node.path);
    }
    for (recipe, weight) in prepared.recipes.iter().zip(weights) {
        if let Recipe::Computed(Computed { graph, weights }) = recipe {
            let model = Model { graph: graph.clone(), weights: weights.clone(), ..Model::default() };
            let shape: Shape = weight.shape.iter().map(|d| Dim::from(*d as i64)).collect();
            assert_eq!(graph.node(graph.outputs[VALUE]).shape, shape);
            for node in &graph.nodes {
                let operands: Vec<(&[Dim], DType)> =
                    node.inputs.iter().map(|id| (graph.node(*id).shape.as_slice(), graph.node(*id).dtype)).collect();
                infer_declared(Declarations::of(&model), &node.op, &operands).unwrap();
            }
        }
    }
    prepared
}

/// The operations of a graph, in order.
pub(super) fn ops(graph: &Graph) -> Vec<String> {
    graph.nodes.iter().map(|n| n.op.name()).collect()
}

pub(super) fn names(prepared: &Prepared) -> Vec<&str> {
    prepared.model.weights.iter().map(|w| w.name.as_str()).collect()
}

pub(super) fn matmul(transpose_b: bool) -> Op {
    Op::MatMul { transpose_b }
}

#[test]
fn weights_of_input_major_layers_are_stored_transposed() {
    let mut draft = Draft::new();
    let x = draft.op(Op::Input(0), &[], "x");
    let w = draft.weight("conv1d", &[64, 128]);
    let y = draft.op(matmul(false), &[x, w], "y");
    draft.output("y", y);
    let prepared = draft.prepare("q4");
    assert_eq!(ops(&prepared.model.graph), ["input", "weight", "dequantize", "matmul"]);
    assert_eq!(prepared.model.graph.nodes[3].op, matmul(true));
    assert_eq!(prepared.model.weights[0].shape, [128, 64]);
    assert_eq!(prepared.model.weights[0].source, "hf.conv1d");
    assert_eq!(prepared.precisions, ["q4".parse().unwrap()]);
    let Recipe::Computed(recipe) = &prepared.recipes[0] else { panic!("not computed") };
    assert_eq!(ops(&recipe.graph), ["weight", "transpose"]);
}

#[test]
fn tied_embeddings_stay_one_weight_in_two_regions() {
    let mut draft = Draft::new();
    let ids = draft.op(Op::Input(1), &[], "ids");
    let table = draft.weight("embed", &[1000, 64]);
    let x = draft.op(Op::Gather, &[table, ids], "x");
    draft.region("end", None);
    let head = draft.op(Op::Transpose(vec![1, 0]), &[table], "head");
    let logits = draft.op(matmul(false), &[x, head], "logits");
    draft.output("logits", logits);
    let prepared = draft.prepare("q2");
    assert_eq!(names(&prepared), ["embed"]);
    assert_eq!(prepared.recipes, [Recipe::Direct("hf.embed".into())]);
    let graph = &prepared.model.graph;
    assert_eq!(ops(graph), ["input", "weight", "dequantize", "gather", "weight", "dequantize", "matmul"]);
    assert_eq!(graph.nodes.iter().map(|n| n.region).collect::<Vec<_>>(), [0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(prepared.precisions, ["q2".parse().unwrap()]);
}

#[test]
fn slices_of_a_merged_projection_are_weights_and_equal_ones_are_shared() {
    let mut draft = Draft::new();
    let x = draft.op(Op::Input(0), &[], "x");
    let merged = draft.weight("qkv", &[192, 64]);
    let slice = |start: i64| Op::Slice { axis: 0, start: Dim::constant(start), len: Dim::constant(64) };
    let q = draft.op(slice(0), &[merged], "q_weight");
    let k = draft.op(slice(64), &[merged], "k_weight");
    let again = draft.op(slice(0), &[merged], "q_weight_again");
    for (name, w) in [("q", q), ("k", k), ("r", again)] {
        let y = draft.op(matmul(true), &[x, w], name);
        draft.output(name, y);
    }
    let prepared = draft.prepare("q4");
    assert_eq!(names(&prepared), ["q_weight", "k_weight"]);
    assert!(prepared.model.weights.iter().all(|w| w.source == "hf.qkv" && w.shape == [64, 64]));
    assert_eq!(ops(&prepared.model.graph).iter().filter(|o| *o == "matmul").count(), 3);
}

#[test]
fn constants_around_a_norm_weight_are_folded() {
    let mut draft = Draft::new();
    let x = draft.op(Op::Input(0), &[], "x");
    let w = draft.weight("norm", &[64]);
    let one = draft.op(Op::Const(Literal::f32(1.0)), &[], "one");
    let scale = draft.op(Op::Binary(Binary::Add), &[w, one], "scale");
    let y = draft.op(Op::Binary(Binary::Mul), &[x, scale], "y");
    draft.output("y", y);
    let prepared = draft.prepare("q4");
    assert_eq!(ops(&prepared.model.graph), ["input", "weight", "mul"]);
    assert_eq!((names(&prepared), &prepared.precisions), (vec!["scale"], &vec![Precision::F32]));
}

#[test]
fn repetitions_and_new_shapes_of_vectors_are_not_stored() {
    let mut draft = Draft::new();
    let x = draft.op(Op::Input(0), &[], "x");
    let w = draft.weight("bias", &[64]);
    let row = draft.op(Op::Reshape(vec![Dim::constant(1), Dim::constant(64)]), &[w], "row");
    let many = draft.op(Op::Broadcast(vec![Dim::constant(500), Dim::constant(64)]), &[row], "many");
    let some = draft.op(Op::Broadcast(vec![Dim::symbol("T"), Dim::constant(64)]), &[row], "some");
    let y = draft.op(Op::Binary(Binary::Add), &[x, some], "y");
    draft.output("y", y);
    draft.output("many", many);
    let unused = draft.weight("unused", &[5]);
    draft.op(Op::Binary(Binary::Add), &[unused, unused], "nowhere");
    let prepared = draft.prepare("f16");
    assert_eq!(names(&prepared), ["bias"]);
    let expected = ["input", "weight", "dequantize", "reshape", "broadcast", "broadcast", "add"];
    assert_eq!(ops(&prepared.model.graph), expected);
    assert_eq!(prepared.precisions, [Precision::F16]);
}

#[test]
fn only_matrices_read_by_rows_are_quantized() {
    let mut draft = Draft::new();
    let x = draft.op(Op::Input(0), &[], "x");
    let both = draft.weight("both", &[64, 64]);
    let y = draft.op(matmul(true), &[x, both], "y");
    let rows = draft.op(Op::Reduce { op: Reduction::Sum, axis: 1 }, &[y], "rows");
    let z = draft.op(matmul(true), &[both, y], "z");
    draft.output("rows", rows);
    draft.output("z", z);
    let prepared = draft.prepare("q8");
    assert_eq!(prepared.precisions, [Precision::F32]);
}

#[test]
fn the_widest_demand_counts_and_authors_come_before_policies() {
    let mut draft = Draft::new();
    let x = draft.op(Op::Input(0), &[], "x");
    let w = draft.weight("w", &[64, 64]);
    let v = draft.weight("v", &[64, 64]);
    draft.region("layers", Some(3));
    let a = draft.op(matmul(true), &[x, w], "layers.3.a");
    draft.region("layers", Some(4));
    let b = draft.op(matmul(true), &[a, w], "layers.4.b");
    let c = draft.op(matmul(true), &[b, v], "layers.4.c");
    draft.0.graph.nodes[a.index()].role = Some("first".into());
    draft.0.graph.nodes[c.index()].precision = Some("q3.g64".parse().unwrap());
    draft.output("c", c);
    let seen = std::cell::RefCell::new(Vec::new());
    let prepared = checked(
        prepare(draft.0, false, &|u| {
            seen.borrow_mut().push((u.weight.clone(), u.role.clone(), u.layer, u.quantizable));
            if u.layer == Some(3) { "q4.g64".parse().unwrap() } else { "q4.g32".parse().unwrap() }
        })
        .unwrap(),
    );
    let expected =
        [("w".to_string(), Some("first".to_string()), Some(3), true), ("w".to_string(), None, Some(4), true)];
    assert_eq!(seen.into_inner(), expected);
    let precisions: Vec<String> = prepared.precisions.iter().map(Precision::to_string).collect();
    assert_eq!(precisions, ["q4.g32", "q3.g64"]);
}

#[test]
fn padding_and_factors_may_make_f16_the_smaller_form() {
    for (shape, expected) in [([2u64, 64], "f16"), ([64, 64], "q4.g32"), ([64, 8], "q4.g32"), ([64, 2], "f16")] {
        let mut draft = Draft::new();
        let x = draft.op(Op::Input(0), &[], "x");
        let len = Dim::constant(shape[1] as i64);
        let x = draft.op(Op::Slice { axis: 1, start: Dim::constant(0), len }, &[x], "part");
        let w = draft.weight("w", &shape);
        let y = draft.op(matmul(true), &[x, w], "y");
        draft.output("y", y);
        let precision = |narrow| {
            let q4 = "q4".parse().unwrap();
            prepare(draft.0.clone(), narrow, &|_| q4).unwrap().precisions[0].to_string()
        };
        assert_eq!(precision(false), expected, "{shape:?}");
        assert_eq!(precision(true), "q4.g32", "{shape:?}: asked for nevertheless");
    }
}

#[test]
fn what_is_left_of_many_constants_is_a_weight() {
    let mut draft = Draft::new();
    let x = draft.op(Op::Input(0), &[], "x");
    let ids = draft.op(Op::Iota(Dim::constant(64 * 100)), &[], "ids");
    let floats = draft.op(Op::Cast(DType::F32), &[ids], "floats");
    let table = draft.op(Op::Reshape(vec![Dim::constant(100), Dim::constant(64)]), &[floats], "table");
    let sums = draft.op(Op::Reduce { op: Reduction::Sum, axis: 0 }, &[table], "sums");
    let moved = draft.op(Op::Binary(Binary::Add), &[x, sums], "moved");
    draft.output("y", moved);
    let prepared = draft.prepare("q4");
    assert_eq!(ops(&prepared.model.graph), ["input", "weight", "add"]);
    assert_eq!((names(&prepared), prepared.recipes.len()), (vec!["sums"], 1));
    assert_eq!(prepared.precisions, [Precision::F32]);
}
