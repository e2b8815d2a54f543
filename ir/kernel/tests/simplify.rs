//! Simplification never changes what a kernel computes: random index arithmetic, with and without it.

use std::collections::BTreeMap;

use gristmill_graph::Binary;
use gristmill_kernel::interp::{Options, run};
use gristmill_kernel::{Bit, Builder, Caps, Expr, Kernel, Stmt, U32, legalize, u};
use proptest::prelude::*;

/// Leaves: two group axes, a grid axis, a named sum of them, a symbol, an element of memory, literals.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(u8),
    Literal(u32),
    Node(u8, Box<Tree>, Box<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let literal = prop_oneof![0u32..4, prop::sample::select(vec![4u32, 8, 12, 16, 24, 32])];
    let leaf = prop_oneof![3 => (0u8..6).prop_map(Tree::Leaf), 2 => literal.prop_map(Tree::Literal)];
    leaf.prop_recursive(5, 24, 2, |inner| {
        (0u8..14, inner.clone(), inner).prop_map(|(op, a, b)| Tree::Node(op, Box::new(a), Box::new(b)))
    })
}

/// The expression as it stands, nothing folded, and an upper bound of its value, so that nothing wraps.
fn raw(tree: &Tree, leaves: &[Expr]) -> (Expr, u64) {
    let node = |op, a, b| Expr::Binary(op, Box::new(a), Box::new(b));
    match tree {
        Tree::Leaf(i) => (leaves[usize::from(*i)].clone(), 100),
        Tree::Literal(n) => (u(*n), u64::from(*n)),
        Tree::Node(op, a, b) => {
            let ((a, most_a), (b, most_b)) = (raw(a, leaves), raw(b, leaves));
            match op {
                0..=2 if most_a + most_b < 1 << 31 => (node(Binary::Add, a, b), most_a + most_b),
                3 | 4 if most_a * most_b < 1 << 31 => (node(Binary::Mul, a, b), most_a * most_b),
                5 | 6 => (node(Binary::Div, a, b), most_a),
                7 | 8 => (node(Binary::Rem, a, b), most_a),
                9 => (node(Binary::Min, a, b), most_a.max(most_b)),
                10 => (node(Binary::Max, a, b), most_a.max(most_b)),
                11 => (Expr::Bit(Bit::And, Box::new(a), Box::new(b)), most_a),
                12 => {
                    let condition = node(Binary::Lt, a.clone(), b.clone());
                    (Expr::Select(Box::new(condition), Box::new(a), Box::new(b)), most_a.max(most_b))
                }
                _ => {
                    let condition = node(Binary::Ge, a.clone(), u(7));
                    (Expr::Select(Box::new(condition), Box::new(b), Box::new(a)), most_a.max(most_b))
                }
            }
        }
    }
}

/// Stores the value of the tree for every thread; simplified as builders do, or not at all.
fn kernel(tree: &Tree, simplified: bool) -> Kernel {
    let mut b = Builder::new("k");
    let (x, y) = (b.buffer("x", U32, false), b.buffer("y", U32, true));
    let g = b.grid_axis("g", 3);
    let i = b.group_axis("i", 5);
    let j = b.group_axis("j", 8);
    let named = b.let_("named", &i * 8 + &j);
    let leaves = [g.clone(), i.clone(), j.clone(), named, Expr::symbol("S"), x.at(&j)];
    let value = raw(tree, &leaves).0;
    let place = (g * 5 + i) * 8 + j;
    b.store(y, place, if simplified { value.clone() } else { u(0) });
    let mut kernel = b.finish(&["S".to_string()]).unwrap();
    if !simplified && let Some(Stmt::Store(_, _, stored)) = kernel.body.last_mut() {
        *stored = value;
    }
    kernel
}

fn execute(kernel: &Kernel) -> Vec<u32> {
    let mut buffers = [vec![0, 1, 2, 3, 50, 60, 70, 99], vec![0; 120]];
    run(kernel, &BTreeMap::from([("S".to_string(), 13)]), &mut buffers, Options::default()).unwrap();
    buffers[1].clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn simplified_and_plain_kernels_agree(tree in tree()) {
        let (plain, simplified) = (kernel(&tree, false), kernel(&tree, true));
        let want = execute(&plain);
        prop_assert_eq!(execute(&simplified), want.clone(), "simplified to {:?}", simplified.body);
        prop_assert_eq!(execute(&legalize(&plain, &Caps::default())), want);
    }
}
