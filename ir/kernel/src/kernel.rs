//! Kernels: buffers, axes, and a tree of statements over expressions.

use gristmill_graph::{Binary, Unary};

/// Element kind of a register or of memory.
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

/// Type of a register or of a memory element: a scalar or a vector of 2 or 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Type {
    /// Element.
    pub scalar: Scalar,
    /// 1, 2 or 4.
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

/// A memory region that a dispatch binds. The position in [`Kernel::buffers`] is the binding order.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Name in the printed kernel.
    pub name: String,
    /// Element as this kernel sees it (the same bytes may be seen otherwise by another kernel).
    pub elem: Type,
    /// Whether the kernel writes it.
    pub writable: bool,
}

/// An array shared by the threads of a workgroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// Name in the printed kernel.
    pub name: String,
    /// Element.
    pub elem: Type,
    /// Number of elements.
    pub len: u32,
}

/// A constant array of f32, a part of the kernel's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Name in the printed kernel.
    pub name: String,
    /// Its elements; at least one, and all finite.
    pub values: Vec<f32>,
}

/// A named axis that a schedule binds outside of the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it walks: `row`, `head`, `slice`.
    pub name: String,
    /// The register (u32) that holds the position.
    pub var: Var,
    /// How many positions; for group axes a literal.
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

/// Name and type of a register.
#[derive(Clone, Debug, PartialEq)]
pub struct VarDecl {
    /// Name in the printed kernel; made unique by the printer.
    pub name: String,
    /// Type.
    pub ty: Type,
}

/// What happens to the threads of a group when their values meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupOp {
    /// Sum.
    Add,
    /// Maximum.
    Max,
    /// Minimum.
    Min,
}

/// An expression. Scalars and vectors of one element type meet element-wise; a scalar operand of a vector
/// operation is a type error (use [`Expr::Splat`]). Integer arithmetic wraps, with one exception that index
/// simplification relies on: the sums and products inside the dividend of a u32 division or remainder by a literal,
/// and those inside a u32 comparison, must not. Dividing an integer by zero gives the dividend, the remainder of
/// zero is zero. There is no implicit conversion.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// f32 literal.
    F32(f32),
    /// u32 literal.
    U32(u32),
    /// u32 literal with a name for people, in capitals. Simplification keeps it apart from other literals.
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
    /// `if condition { then } else { otherwise }`; both sides are evaluated, so that an index has to be in
    /// bounds on either side. The condition is a single bool; to choose lane by lane, write out a vector.
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
    /// Lane of a vector; the lane number may be computed.
    Lane(Box<Expr>, Box<Expr>),
    /// Dot product of two float vectors.
    Dot(Box<Expr>, Box<Expr>),
    /// `a * b + c`, fused or not as the target likes.
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
    /// `c + a . b`, lane by lane, with the four bytes of each lane: those of `a` (u32) are signed, those of `b`
    /// (u32) are 0 to 127, and the sum (i32) is exact. What larger bytes of `b` are is what [`Expr::DotSignedness`] says.
    DotBytes(Box<Expr>, Box<Expr>, Box<Expr>),
    /// The bytes of words (u32, or a vector of them), each of which is 0 to 15, replaced by those of a table with the same
    /// number; its first four bytes are the first word, lowest first.
    Lookup(Box<Expr>, [u32; 4]),
    /// Sums of neighbouring lanes of two `vec4<i32>`: `[a.x + a.y, a.z + a.w, b.x + b.y, b.z + b.w]`. All lanes must
    /// be in the range of i16; else the result is not defined.
    PairSums(Box<Expr>, Box<Expr>),
    /// Reduction over the threads of a subgroup; only in kernels that need `subgroups`.
    Subgroup(GroupOp, Box<Expr>),
    /// The number of this thread in its subgroup.
    SubgroupLane,
    /// Threads in a subgroup.
    SubgroupSize,
    /// What products of bytes take the second operand's bytes beyond 127 for (u32): 1 means signed bytes, 2 unsigned
    /// ones; 0 that such products are not defined. Targets differ, and some find out when a kernel runs.
    DotSignedness,
    /// The number of this thread in its workgroup, whatever the group axes are.
    LocalIndex,
    /// Result of the helper with this index in [`Kernel::helpers`]. Made by legalisation.
    Call(u32, Vec<Expr>),
}

/// Bit operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bit {
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Exclusive or.
    Xor,
    /// Shift left.
    Shl,
    /// Logical shift right.
    Shr,
}

/// How the body of a loop is repeated. Axes bound to the grid or the group stand in [`Kernel::grid`] and
/// [`Kernel::group`]; only these remain inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// One after the other.
    Serial,
    /// Written out; needs literal bounds.
    Unroll,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// For people: what follows.
    Comment(String),
    /// A register that never changes after this.
    Let(Var, Expr),
    /// A register that may be assigned; starts as given.
    Mut(Var, Expr),
    /// Assigns a register declared by `Mut`.
    Assign(Var, Expr),
    /// Writes an element of a buffer.
    Store(Buf, Expr, Expr),
    /// Writes an element of a shared array.
    StoreShared(Sh, Expr, Expr),
    /// `for var = begin; var < end; var += step`, u32. The bounds are evaluated once, before the loop.
    Loop {
        /// What it walks, for the comment.
        axis: String,
        /// The loop register.
        var: Var,
        /// First value.
        begin: Expr,
        /// End (exclusive).
        end: Expr,
        /// Added each time.
        step: Expr,
        /// How it is repeated.
        bind: Bind,
        /// What is repeated.
        body: Vec<Stmt>,
    },
    /// Conditional. A barrier inside needs a condition that is equal for the whole workgroup.
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// All threads of the workgroup arrive here, and see each other's writes to shared memory.
    Barrier,
    /// Combines the f32 (or u32, i32; vectors lane by lane) register declared by `Mut` of all threads of the
    /// workgroup that differ only on the innermost group axis; afterwards all of them hold the result.
    /// A barrier, too: all threads must arrive here. Legalisation turns this into two rounds over shared memory or into
    /// subgroup operations.
    GroupReduce(GroupOp, Var),
}

/// What a kernel variant needs of the device. The plain variant needs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Needs {
    /// Subgroup operations (`subgroups`).
    pub subgroups: bool,
}

/// A pure function of registers, for the approximations that legalisation puts in place of functions that
/// targets lack. It has its own registers; the first [`Helper::params`] of them hold the arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Helper {
    /// Name in the printed kernel, unique in it.
    pub name: String,
    /// What it computes and how exactly, one line each.
    pub doc: Vec<String>,
    /// Registers, parameters first.
    pub vars: Vec<VarDecl>,
    /// How many of the registers are parameters.
    pub params: usize,
    /// `Comment`s and `Let`s only.
    pub body: Vec<Stmt>,
    /// The result; may use all registers.
    pub result: Expr,
}

/// A kernel: for every point of the grid, a workgroup of threads runs the body.
///
/// The grid is one row of workgroups, `extent_0 * extent_1 * ..` long; the position is split into the grid
/// axes, the last axis fastest. Group axes likewise split the thread number, the last axis fastest.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Kernel {
    /// Name, a valid identifier; also the file name.
    pub name: String,
    /// Header lines: the nodes it computes and the schedule.
    pub doc: Vec<String>,
    /// Memory, in binding order.
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
    /// What each thread does.
    pub body: Vec<Stmt>,
    /// Functions that expressions may call; each may call only those before it.
    pub helpers: Vec<Helper>,
    /// What the device must have.
    pub needs: Needs,
}

impl Kernel {
    /// Threads per workgroup.
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
