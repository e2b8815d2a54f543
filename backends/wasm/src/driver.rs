//! The functions of a module besides kernels: they run the steps of a program, on one thread or with workers that share
//! the memory. docs/bundle.md describes the control block.

use wasm_encoder::{BlockType, Function, Instruction as I, ValType};

use crate::node::memarg;

/// Offsets of the fields of the control block that the host writes.
const EPOCH: u32 = 0;
const STOP: u32 = 4;
const STEPS: u32 = 8;
const COUNT: u32 = 12;
const WORKERS: u32 = 16;
const SCRATCH: u32 = 20;
const SPIN: u32 = 24;
/// Offsets of the fields of the barrier, each in a cache line of its own.
const ARRIVED: u32 = 64;
const GENERATION: u32 = 128;
const ASLEEP: u32 = 192;
const IDLE: u32 = 196;
/// The size of a step in bytes: kernel, grid, arguments, padding.
const STEP_BYTES: i32 = 16;

/// The indices that the functions refer to.
pub(crate) struct Places {
    /// The type of kernel functions.
    pub(crate) kernel_type: u32,
    /// The functions below.
    pub(crate) work: u32,
    pub(crate) barrier: u32,
}

fn load(offset: u32) -> I<'static> {
    I::I32Load(memarg(offset, 2))
}

fn atomic(offset: u32) -> I<'static> {
    I::I32AtomicLoad(memarg(offset, 2))
}

fn add(offset: u32) -> I<'static> {
    I::I32AtomicRmwAdd(memarg(offset, 2))
}

fn finish(locals: u32, code: Vec<I<'static>>) -> Function {
    let mut function = Function::new([(locals, ValType::I32)]);
    for i in &code {
        function.instruction(i);
    }
    function.instruction(&I::End);
    function
}

/// `work(control, worker) -> stopped`: the part of a worker in every step. It is a contiguous range of the grid; the
/// first ranges are longer by one if the grid does not divide evenly.
pub(crate) fn work(places: &Places, scratch_bytes: u32, threads: bool) -> Function {
    let (control, worker) = (0, 1);
    let [step, end, workers, scratch, grid, share, rest, begin] = [2, 3, 4, 5, 6, 7, 8, 9];
    let mut code = vec![
        I::LocalGet(control),
        load(STEPS),
        I::LocalTee(step),
        I::LocalGet(control),
        load(COUNT),
        I::I32Const(STEP_BYTES),
        I::I32Mul,
        I::I32Add,
        I::LocalSet(end),
        I::LocalGet(control),
        load(WORKERS),
        I::LocalSet(workers),
        I::LocalGet(control),
        load(SCRATCH),
        I::LocalGet(worker),
        I::I32Const(scratch_bytes as i32),
        I::I32Mul,
        I::I32Add,
        I::LocalSet(scratch),
        I::Block(BlockType::Empty),
        I::Loop(BlockType::Empty),
        I::LocalGet(step),
        I::LocalGet(end),
        I::I32GeU,
        I::BrIf(1),
    ];
    let stretch = [
        I::LocalGet(step),
        load(4),
        I::LocalTee(grid),
        I::LocalGet(workers),
        I::I32DivU,
        I::LocalTee(share),
        I::LocalGet(worker),
        I::I32Mul,
        I::LocalGet(worker),
        I::LocalGet(grid),
        I::LocalGet(workers),
        I::I32RemU,
        I::LocalTee(rest),
        I::LocalGet(worker),
        I::LocalGet(rest),
        I::I32LtU,
        I::Select,
        I::I32Add,
        I::LocalTee(begin),
        I::LocalGet(begin),
        I::LocalGet(share),
        I::I32Add,
        I::LocalGet(worker),
        I::LocalGet(rest),
        I::I32LtU,
        I::I32Add,
        I::LocalTee(share),
        I::I32LtU,
        I::If(BlockType::Empty),
        I::LocalGet(step),
        load(8),
        I::LocalGet(begin),
        I::LocalGet(share),
        I::LocalGet(scratch),
        I::LocalGet(step),
        load(0),
        I::CallIndirect { type_index: places.kernel_type, table_index: 0 },
        I::End,
    ];
    code.extend(stretch);
    if threads {
        code.extend([
            I::LocalGet(workers),
            I::I32Const(1),
            I::I32GtU,
            I::If(BlockType::Empty),
            I::LocalGet(control),
            I::LocalGet(workers),
            I::Call(places.barrier),
            I::If(BlockType::Empty),
            I::I32Const(1),
            I::Return,
            I::End,
            I::End,
        ]);
    }
    code.extend([
        I::LocalGet(step),
        I::I32Const(STEP_BYTES),
        I::I32Add,
        I::LocalSet(step),
        I::Br(0),
        I::End,
        I::End,
        I::I32Const(0),
    ]);
    finish(8, code)
}

/// Waits until a word differs from `before`: it spins first, then sleeps. `leave` runs instead if work is to stop.
/// `sleepers` counts the workers that must be woken.
fn await_change((word, sleepers): (u32, u32), before: u32, spin: u32, leave: &[I<'static>]) -> Vec<I<'static>> {
    let control = 0;
    let mut code = vec![
        I::LocalGet(control),
        load(SPIN),
        I::LocalSet(spin),
        I::Block(BlockType::Empty),
        I::Loop(BlockType::Empty),
        I::LocalGet(control),
        atomic(word),
        I::LocalGet(before),
        I::I32Ne,
        I::BrIf(1),
        I::LocalGet(control),
        atomic(STOP),
        I::If(BlockType::Empty),
    ];
    code.extend_from_slice(leave);
    code.extend([
        I::End,
        I::LocalGet(spin),
        I::If(BlockType::Empty),
        // A count of all ones never ends.
        I::LocalGet(spin),
        I::LocalGet(spin),
        I::I32Const(-1),
        I::I32Ne,
        I::I32Sub,
        I::LocalSet(spin),
        I::Else,
        I::LocalGet(control),
        I::I32Const(1),
        add(sleepers),
        I::Drop,
        I::LocalGet(control),
        I::LocalGet(before),
        I::I64Const(-1),
        I::MemoryAtomicWait32(memarg(word, 2)),
        I::Drop,
        I::LocalGet(control),
        I::I32Const(-1),
        add(sleepers),
        I::Drop,
        I::End,
        I::Br(0),
        I::End,
        I::End,
    ]);
    code
}

/// Wakes the workers that sleep on a word, if any.
fn wake(control: u32, word: u32, sleepers: u32) -> [I<'static>; 8] {
    [
        I::LocalGet(control),
        atomic(sleepers),
        I::If(BlockType::Empty),
        I::LocalGet(control),
        I::I32Const(-1),
        I::MemoryAtomicNotify(memarg(word, 2)),
        I::Drop,
        I::End,
    ]
}

/// `barrier(control, workers) -> stopped`: the last worker to arrive releases all.
pub(crate) fn barrier() -> Function {
    let (control, workers, generation, spin) = (0, 1, 2, 3);
    let mut code = vec![
        I::LocalGet(control),
        atomic(GENERATION),
        I::LocalSet(generation),
        I::LocalGet(control),
        I::I32Const(1),
        add(ARRIVED),
        I::I32Const(1),
        I::I32Add,
        I::LocalGet(workers),
        I::I32Eq,
        I::If(BlockType::Empty),
        I::LocalGet(control),
        I::I32Const(0),
        I::I32AtomicStore(memarg(ARRIVED, 2)),
        I::LocalGet(control),
        I::I32Const(1),
        add(GENERATION),
        I::Drop,
    ];
    code.extend(wake(control, GENERATION, ASLEEP));
    code.push(I::Else);
    code.extend(await_change((GENERATION, ASLEEP), generation, spin, &[I::I32Const(1), I::Return]));
    code.extend([I::End, I::I32Const(0)]);
    finish(2, code)
}

/// `run(control) -> stopped`: the first worker.
pub(crate) fn run(places: &Places, threads: bool) -> Function {
    let control = 0;
    let mut code = Vec::new();
    if threads {
        code.extend([
            I::LocalGet(control),
            load(WORKERS),
            I::I32Const(1),
            I::I32GtU,
            I::If(BlockType::Empty),
            I::LocalGet(control),
            I::I32Const(1),
            add(EPOCH),
            I::Drop,
        ]);
        code.extend(wake(control, EPOCH, IDLE));
        code.push(I::End);
    }
    code.extend([I::LocalGet(control), I::I32Const(0), I::Call(places.work)]);
    finish(0, code)
}

/// `serve(control, worker)`: all other workers, until they are to stop. A worker that starts late finds that the epoch
/// has changed, and joins the run, which waits for it.
pub(crate) fn serve(places: &Places) -> Function {
    let (control, worker, epoch, spin) = (0, 1, 2, 3);
    let mut code = vec![I::Loop(BlockType::Empty)];
    code.extend(await_change((EPOCH, IDLE), epoch, spin, &[I::Return]));
    code.extend([
        I::LocalGet(epoch),
        I::I32Const(1),
        I::I32Add,
        I::LocalSet(epoch),
        I::LocalGet(control),
        I::LocalGet(worker),
        I::Call(places.work),
        I::I32Eqz,
        I::BrIf(0),
        I::End,
    ]);
    finish(2, code)
}
