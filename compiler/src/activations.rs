//! 8-bit activations, for targets whose fast dot products take bytes.

use std::collections::HashMap;

use gristmill_graph::{Graph, Node, NodeId, Op, Precision};

/// Inserts [`Op::QuantizeActivations`] before every product with a quantized weight. Products of one value share the
/// quantized value. `precisions` are those of the model's weights, by index.
pub fn quantize_activations(graph: &Graph, precisions: &[Precision]) -> Graph {
    let quantized = |id: &NodeId| {
        let node = graph.node(*id);
        node.op == Op::Dequantize
            && matches!(graph.node(node.inputs[0]).op,
                Op::Weight(w) if matches!(precisions.get(w as usize), Some(Precision::Quant(_))))
    };
    let mut out = Graph { nodes: Vec::with_capacity(graph.nodes.len()), ..graph.clone() };
    let mut moved: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
    let mut rounded: HashMap<(NodeId, u32), NodeId> = HashMap::new();
    for id in graph.ids() {
        let mut node = graph.node(id).clone();
        let operands = node.inputs.clone();
        node.inputs = operands.iter().map(|i| moved[i.index()]).collect();
        let products = if let Op::Linear { weights, .. } = node.op {
            &operands[1..=usize::from(weights)]
        } else if let (Op::MatMul { transpose_b: true }, [_, b]) = (&node.op, operands.as_slice()) {
            std::slice::from_ref(b)
        } else {
            &[]
        };
        if !products.is_empty() && products.iter().all(quantized) {
            let x = operands[0];
            node.inputs[0] = *rounded.entry((x, node.region)).or_insert_with(|| {
                let of = graph.node(x);
                out.nodes.push(Node {
                    op: Op::QuantizeActivations,
                    inputs: vec![moved[x.index()]],
                    path: format!("{}/bytes", of.path),
                    role: None,
                    precision: None,
                    region: node.region,
                    ..of.clone()
                });
                NodeId(out.nodes.len() as u32 - 1)
            });
        }
        out.nodes.push(node);
        moved.push(NodeId(out.nodes.len() as u32 - 1));
    }
    out.outputs = graph.outputs.iter().map(|(name, id)| (name.clone(), moved[id.index()])).collect();
    out
}
