//! What all kernels of linear layers share: operands, rows of activations, the epilogue.

use gristmill_graph::{Dim, NodeId, Op, Precision, Scalar, numel};
use gristmill_kernel::quant::OpenRow;
use gristmill_kernel::{Bind, Buf, ByteFormat, Expr, Var, WeightFormat, u};

use crate::codegen::context::{Lowering, Memory, Place};
use crate::codegen::index::{dim_expr, unflatten};
use crate::codegen::inline::const_dim;
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::row::Row;
use crate::codegen::store::Target;
use crate::error::CompileError;

/// A linear layer node and its parts.
pub struct Linear<'a> {
    /// The node.
    pub id: NodeId,
    /// The activations.
    pub x: NodeId,
    /// Stored weights, each `[N, K]`.
    pub weights: Vec<Weight>,
    /// The result as an expression of accumulators and args.
    pub epilogue: &'a Scalar,
    /// Extra operands of the epilogue.
    pub args: &'a [NodeId],
    /// Number of rows of activations.
    pub m: Dim,
    /// Number of rows of the weights.
    pub n: u32,
    /// Number of columns of the weights.
    pub k: u32,
    lead: &'a [Dim],
}

/// A weight and its format.
pub struct Weight {
    /// The node.
    pub node: NodeId,
    place: Place,
    /// Its memory format.
    pub format: WeightFormat,
    /// Whether it is stored in tiles of rows. Adjacent threads should then read adjacent rows.
    pub tiled: bool,
}

impl<'a> Linear<'a> {
    /// Reads the parts of the node `id`.
    ///
    /// # Errors
    /// An internal error if the node is not a linear layer over stored weights.
    pub fn new(low: &'a Lowering<'a>, id: NodeId) -> Result<Self, CompileError> {
        let node = low.graph.node(id);
        let Op::Linear { weights: count, epilogue } = &node.op else {
            return Err(CompileError::Internal(format!("{} is no linear layer", node.path)));
        };
        let count = usize::from(*count);
        let rank = node.shape.len();
        let weights: Vec<Weight> =
            node.inputs[1..=count].iter().map(|w| Weight::new(low, *w)).collect::<Result<_, _>>()?;
        let (n, k) = (weights[0].format.rows(), weights[0].format.columns());
        let lead = &node.shape[..rank - 1];
        let args = &node.inputs[1 + count..];
        Ok(Linear { id, x: node.inputs[0], weights, epilogue, args, m: numel(lead), n, k, lead })
    }

    /// Whether all weights are stored in tiles of rows.
    pub fn is_tiled(&self) -> bool {
        self.weights.iter().all(|w| w.tiled)
    }

    /// Size and format, such as `64x172`, for the name of the kernel.
    pub fn label(&self, low: &Lowering<'_>) -> String {
        let format = low.memory(self.weights[0].place, self.weights[0].node).to_string().to_lowercase();
        let pair = if self.weights.len() > 1 { "_pair" } else { "" };
        format!("{}{pair}_{}x{}", format.replace('.', "_"), self.n, self.k)
    }

    /// How products of codes and bytes are computed, for each weight.
    ///
    /// # Errors
    /// An internal error if a format does not support them.
    pub fn byte_formats(&self, low: &Lowering<'_>) -> Result<Vec<ByteFormat>, CompileError> {
        let lacking = |w: &Weight| CompileError::unlowered(low.graph.node(w.node), "codes to multiply with bytes");
        self.weights.iter().map(|w| w.format.as_bytes().ok_or_else(|| lacking(w))).collect()
    }

    /// Binds the weights.
    pub fn bind(&self, ctx: &mut Ctx<'_>) -> Vec<Buf> {
        self.weights
            .iter()
            .map(|w| {
                let name = ctx.label(w.node);
                ctx.read(w.place, w.format.elem(), &name)
            })
            .collect()
    }

    /// The index of a row of activations, without its last axis.
    pub fn lead_index(&self, m: &Expr) -> Vec<Expr> {
        unflatten(m.clone(), self.lead)
    }

    /// Four activations of row `m` from `column` (a multiple of 4) on, as `vec4<f32>`. Past the end of the row, the
    /// last element is repeated; the weights there are zero.
    pub fn x_quad(&self, ctx: &mut Ctx<'_>, m: &Expr, column: &Expr) -> Expr {
        let lead = self.lead_index(m);
        if self.k.is_multiple_of(4) && ctx.low.quads(self.x) {
            return Row { id: self.x, step: 4 }.read(ctx, m, &lead, &(column / 4));
        }
        if self.k.is_multiple_of(4)
            && let Some(x) = ctx.quad_at(self.x, &lead, column)
        {
            return x;
        }
        let row = Row { id: self.x, step: 1 };
        let lanes: Vec<Expr> = (0..4)
            .map(|lane| {
                let c = column + lane;
                let c = if self.k.is_multiple_of(4) { c } else { c.min(self.k - 1) };
                row.read(ctx, m, &lead, &c)
            })
            .collect();
        Expr::vec(lanes)
    }

    /// Applies the epilogue to the accumulators of result `[m, n]` and stores it.
    pub fn finish(&self, ctx: &mut Ctx<'_>, target: &Target, m: &Expr, n: &Expr, accs: &[Expr]) {
        let mut index = self.lead_index(m);
        index.push(n.clone());
        let at = At { index, flat: Some(m * u(self.n) + n) };
        let value = crate::codegen::epilogue::apply(ctx, self.epilogue, accs, self.args, &at);
        target.store(ctx, &at, value);
    }

    /// The number of rows of activations, for bounds checks.
    pub fn rows(&self) -> Expr {
        dim_expr(&self.m)
    }
}

impl Weight {
    fn new(low: &Lowering<'_>, node: NodeId) -> Result<Self, CompileError> {
        let shape = &low.graph.node(node).shape;
        let place = low.place(node).ok_or_else(|| {
            CompileError::Internal(format!("the weight {} is not in memory", low.graph.node(node).path))
        })?;
        let (precision, tiled) = match low.memory(place, node) {
            Memory::Dense(_) => (Precision::F32, false),
            Memory::F16x2 => (Precision::F16, false),
            Memory::Blocks(spec) => (Precision::Quant(spec), true),
            Memory::Bytes => return Err(CompileError::Internal("bytes are not a weight".to_string())),
        };
        let format = WeightFormat::new(precision, const_dim(low, node, &shape[0])?, const_dim(low, node, &shape[1])?);
        Ok(Weight { node, place, format, tiled })
    }
}

impl Ctx<'_> {
    /// Reads a pack of a row of a weight; see [`WeightFormat::for_pack`].
    pub fn for_pack(
        &mut self,
        format: &WeightFormat,
        row: &OpenRow,
        pack: &Expr,
        inner: Bind,
        body: impl FnOnce(&mut Self, Expr, Expr),
    ) {
        let mut b = self.take_builder();
        format.for_pack(&mut b, row, pack, inner, |b, column, values| {
            std::mem::swap(&mut self.b, b);
            body(self, column, values);
            std::mem::swap(&mut self.b, b);
        });
        self.b = b;
    }
}

/// `sum += values . x`.
pub fn add_dot(ctx: &mut Ctx<'_>, sum: Var, values: &Expr, x: &Expr) {
    ctx.b.add(sum, values.dot(x));
}
