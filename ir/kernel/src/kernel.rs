//! Kernels: buffers, axes, and a tree of statements over expressions.

use gristmill_graph::{Binary, Unary};

/// The element type of a register or of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scalar {
    /// 32-bit float.
    F32,
    /// 32-bit signed integer.
    I32,
    /// 32-bit unsigned integer; the type of all indices.
    U32,
    /// Truth value; registers only.
    Bool,
}

/// The type of a register or of a memory element: a scalar, or a vector of 2 or 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Type {
    /// The element type.
    pub scalar: Scalar,
    /// The number of lanes: 1, 2 or 4.
    pub lanes: u8,
}

impl Type {
    /// A scalar type.
    pub const fn scalar(scalar: Scalar) -> Self {
        Type { scalar, lanes: 1 }
    }
    /// A vector type.
    pub const fn vec(scalar: Scalar, lanes: u8) -> Self {
        Type { scalar, lanes }
    }
}

/// `f32`.
pub const F32: Type = Type::scalar(Scalar::F32);
/// `u32`.
pub const U32: Type = Type::scalar(Scalar::U32);
/// `i32`.
pub const I32: Type = Type::scalar(Scalar::I32);
/// `bool`.
pub const BOOL: Type = Type::scalar(Scalar::Bool);
/// `vec4<f32>`.
pub const VEC4F: Type = Type::vec(Scalar::F32, 4);
/// `vec4<u32>`.
pub const VEC4U: Type = Type::vec(Scalar::U32, 4);

/// A buffer that a dispatch binds. The order of [`Kernel::buffers`] is the binding order.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Name in the printed kernel.
    pub name: String,
    /// The element type in this kernel; another kernel may read the same bytes as another type.
    pub elem: Type,
    /// Whether the kernel writes it.
    pub writable: bool,
}

/// An array shared by the threads of a workgroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// Name in the printed kernel.
    pub name: String,
    /// The element type.
    pub elem: Type,
    /// Number of elements.
    pub len: u32,
}

/// A constant array of f32 in the kernel itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Name in the printed kernel.
    pub name: String,
    /// The elements: at least one, all finite.
    pub values: Vec<f32>,
}

/// A named axis that a schedule binds to the grid or the group, outside the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The name of what it iterates over: `row`, `head`, `k_split`.
    pub name: String,
    /// The register (u32) that holds the index.
    pub var: Var,
    /// The number of indices; a literal for group axes.
    pub extent: Expr,
}

/// A register: index in [`Kernel::vars`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Var(pub u32);

/// A buffer: index in [`Kernel::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Buf(pub u32);

/// A shared array: index in [`Kernel::shared`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sh(pub u32);

/// A constant array: index in [`Kernel::tables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tab(pub u32);

/// The name and the type of a register.
#[derive(Clone, Debug, PartialEq)]
pub struct VarDecl {
    /// Name in the printed kernel; made unique by the printer.
    pub name: String,
    /// Type.
    pub ty: Type,
}

/// How values of the threads of a group are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupOp {
    /// Sum.
    Add,
    /// Maximum.
    Max,
    /// Minimum.
    Min,
}

/// An expression. Operations are element-wise on scalars or vectors of one element type; a scalar operand of a vector
/// operation is a type error (use [`Expr::Splat`]). There is no implicit conversion.
///
/// Integer arithmetic wraps, with one exception on which index simplification relies: sums and products in the dividend
/// of a u32 division or remainder by a literal, and in a u32 comparison, must not overflow. Division of an integer by
/// zero is the dividend, and the remainder is zero.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// f32 literal.
    F32(f32),
    /// u32 literal.
    U32(u32),
    /// u32 literal with a name for readers, in capitals. Simplification does not merge it with other literals.
    Named(&'static str, u32),
    /// i32 literal.
    I32(i32),
    /// bool literal.
    Bool(bool),
    /// A register.
    Var(Var),
    /// The value (u32) of a symbol, by name (`B`, `T`, `P`): see [`Kernel::symbols`].
    Symbol(String),
    /// Function of one argument. On u32 only `Not` (bitwise) is defined; `Not` of bool is logical.
    Unary(Unary, Box<Expr>),
    /// Function of two arguments of the same type.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// Bit operations on u32 or i32 (or vectors of them); shift amounts are scalars of u32. Shifting i32 to the
    /// right keeps the sign.
    Bit(Bit, Box<Expr>, Box<Expr>),
    /// `if condition { then } else { otherwise }`. Both sides are evaluated, so indices must be in bounds on either
    /// side. The condition is a single bool; to select lane by lane, build a vector of selects.
    Select(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Conversion by value (u32 to f32, bool to i32, ...), lane by lane.
    Cast(Scalar, Box<Expr>),
    /// The same bits as another 32-bit type, lane by lane.
    Bitcast(Scalar, Box<Expr>),
    /// Element of a buffer.
    Load(Buf, Box<Expr>),
    /// Element of a shared array.
    LoadShared(Sh, Box<Expr>),
    /// Element (f32) of a constant array.
    Table(Tab, Box<Expr>),
    /// A vector of 2 or 4 from scalars, or of 4 from two vectors of 2.
    Vec(Vec<Expr>),
    /// A vector of `n` equal lanes.
    Splat(u8, Box<Expr>),
    /// A lane of a vector; the lane index may be computed.
    Lane(Box<Expr>, Box<Expr>),
    /// Dot product of two float vectors.
    Dot(Box<Expr>, Box<Expr>),
    /// `a * b + c`; whether it is fused depends on the target.
    Fma(Box<Expr>, Box<Expr>, Box<Expr>),
    /// The four bytes of a u32 as `vec4<u32>`, lowest first.
    BytesU8(Box<Expr>),
    /// The four bytes of a u32 as `vec4<i32>`, sign-extended, lowest first.
    BytesI8(Box<Expr>),
    /// The two halves of a u32 as f16, widened to `vec2<f32>`, low half first.
    UnpackF16x2(Box<Expr>),
    /// A `vec2<f32>` rounded to f16 and packed in a u32, first lane low.
    PackF16(Box<Expr>),
    /// Four lanes of two vectors of four: lane `i` of the result is lane `n[i]` of the first, or lane `n[i] - 4`
    /// of the second.
    Shuffle(Box<Expr>, Box<Expr>, [u8; 4]),
    /// `c + a . b`, lane by lane, over the four bytes of each lane. The bytes of `a` (u32) are signed, those of `b`
    /// (u32) are 0 to 127, and the sum (i32) is exact. [`Expr::DotSignedness`] tells how larger bytes of `b` are
    /// interpreted.
    DotBytes(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Replaces the bytes of words (u32, or a vector of them), each from 0 to 15, by the bytes of a table with these
    /// indices. The first word of the table has its first four bytes, lowest first.
    Lookup(Box<Expr>, [u32; 4]),
    /// Sums of neighbouring lanes of two `vec4<i32>`: `[a.x + a.y, a.z + a.w, b.x + b.y, b.z + b.w]`. All lanes must be
    /// in the range of i16; otherwise the result is undefined.
    PairSums(Box<Expr>, Box<Expr>),
    /// Reduction over the threads of a subgroup; only in kernels that need `subgroups`.
    Subgroup(GroupOp, Box<Expr>),
    /// The index of this thread in its subgroup.
    SubgroupLane,
    /// The number of threads in a subgroup.
    SubgroupSize,
    /// How [`Expr::DotBytes`] interprets bytes above 127 of the second operand (u32): 1 for signed, 2 for unsigned, 0
    /// if such products are undefined. Targets differ, and some only find out when a kernel runs.
    DotSignedness,
    /// The index of this thread in its workgroup, regardless of group axes.
    LocalIndex,
    /// The result of the helper with this index in [`Kernel::helpers`]. Introduced by legalization.
    Call(u32, Vec<Expr>),
}

/// Bit operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bit {
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Shift left.
    Shl,
    /// Logical shift right.
    Shr,
}

/// How a loop in the body runs. Axes that are bound to the grid or the group are in [`Kernel::grid`] and
/// [`Kernel::group`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// As a loop.
    Serial,
    /// Unrolled; needs literal bounds.
    Unroll,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// A comment for readers.
    Comment(String),
    /// Declares a register that never changes.
    Let(Var, Expr),
    /// Declares a register that may be assigned, with its first value.
    Mut(Var, Expr),
    /// Assigns a register declared by `Mut`.
    Assign(Var, Expr),
    /// Writes an element of a buffer.
    Store(Buf, Expr, Expr),
    /// Writes an element of a shared array.
    StoreShared(Sh, Expr, Expr),
    /// `for var = begin; var < end; var += step`, u32. The bounds are evaluated once, before the loop.
    Loop {
        /// The name of what it iterates over, for the comment.
        axis: String,
        /// The loop register.
        var: Var,
        /// First value.
        begin: Expr,
        /// End (exclusive).
        end: Expr,
        /// The increment.
        step: Expr,
        /// How the loop runs.
        bind: Bind,
        /// The body.
        body: Vec<Stmt>,
    },
    /// Conditional. A barrier inside needs a condition that is equal for the whole workgroup.
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// A barrier: all threads of the workgroup must reach it, and see one another's writes to shared memory after it.
    Barrier,
    /// Combines a register that `Mut` has declared (f32, u32 or i32; vectors lane by lane) over the threads of the
    /// workgroup that differ only in the innermost group axis. Afterwards, all of them have the result. It is also a
    /// barrier: all threads must reach it. Legalization replaces it by two rounds over shared memory, or by subgroup
    /// operations.
    GroupReduce(GroupOp, Var),
}

/// Optional features that a kernel variant requires of the device. The plain variant requires none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Needs {
    /// Subgroup operations (`subgroups`).
    pub subgroups: bool,
}

/// A pure function. Legalization introduces helpers for approximations of functions that targets lack. A helper has its
/// own registers, the first [`Helper::params`] of which hold the arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Helper {
    /// Name in the printed kernel, unique in it.
    pub name: String,
    /// Lines of documentation: what it computes, and with what error.
    pub doc: Vec<String>,
    /// Registers, parameters first.
    pub vars: Vec<VarDecl>,
    /// The number of parameters.
    pub params: usize,
    /// The body: `Comment` and `Let` only.
    pub body: Vec<Stmt>,
    /// The result, which may use all registers.
    pub result: Expr,
}

/// A kernel: for each index of the grid, a workgroup of threads runs the body.
///
/// The grid is one-dimensional, with `extent_0 * extent_1 * ..` workgroups. The index of a workgroup is split into the
/// grid axes, of which the last varies fastest. The index of a thread is split into the group axes in the same way.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Kernel {
    /// The name: a valid identifier, and the name of the file.
    pub name: String,
    /// Lines of the header: the nodes that it computes, and the schedule.
    pub doc: Vec<String>,
    /// Buffers, in binding order.
    pub buffers: Vec<Buffer>,
    /// All symbols of the program, in the order of the uniform struct (every kernel of a program has the same).
    pub symbols: Vec<String>,
    /// Workgroup-shared arrays.
    pub shared: Vec<Shared>,
    /// Constant arrays.
    pub tables: Vec<Table>,
    /// Registers.
    pub vars: Vec<VarDecl>,
    /// Axes over workgroups, outermost first.
    pub grid: Vec<Axis>,
    /// Axes over threads, outermost first; literal extents whose product is the workgroup size.
    pub group: Vec<Axis>,
    /// The statements that each thread runs.
    pub body: Vec<Stmt>,
    /// Functions that expressions may call. Each may only call those before it.
    pub helpers: Vec<Helper>,
    /// Features that the device must have.
    pub needs: Needs,
}

impl Kernel {
    /// The number of threads per workgroup.
    pub fn workgroup_size(&self) -> u32 {
        self.group
            .iter()
            .map(|a| match a.extent {
                Expr::U32(n) => n,
                _ => 1,
            })
            .product()
    }
}
