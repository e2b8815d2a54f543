//! A [`Gpu`] made of linear memory and a kernel module.

use std::cell::{Cell, RefCell};
use std::future::{Future, ready};
use std::rc::Rc;

use super::heap::{Block, Heap};
use super::instance::{Setup, WasmInstance, control};
use super::space::{ADDRESS_SPACE, GUARD, device_info};
use crate::error::Error;
use crate::gpu::{BufferSpec, DeviceInfo, Gpu, Reading, Usage, Work};

const REMEDY: &str = "use a shorter input, a smaller --max-context, a lower --precision, or WebGPU";

/// The words of a step in linear memory: kernel, grid, address of its arguments, padding.
const STEP_WORDS: usize = 4;

/// A block of linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    block: Block,
    bytes: u32,
    usage: Usage,
}

impl Buffer {
    /// The address; a multiple of 64.
    pub fn address(&self) -> u32 {
        // The allocator gives no addresses beyond the limit, which 32 bits reach.
        self.block.at as u32
    }

    /// The size in bytes.
    pub fn bytes(&self) -> u32 {
        self.bytes
    }
}

/// Kernels in linear memory as a device.
#[derive(Debug)]
pub struct Cpu<M> {
    shared: Rc<Shared<M>>,
    info: DeviceInfo,
    control: u32,
    /// The step table that the control block names, to write it only when it changes.
    current: Cell<Option<u32>>,
}

/// What outlives calls.
#[derive(Debug)]
struct Shared<M> {
    instance: M,
    heap: RefCell<Heap>,
    /// Bytes of weights, and of states.
    kept: Cell<(u64, u64)>,
    /// The error after which nothing can run any more.
    poison: RefCell<Option<String>>,
    /// The first failure of a function that cannot return an error.
    failure: RefCell<Option<Error>>,
}

/// Memory of the device itself, freed when it is unused.
#[derive(Debug)]
struct Region<M> {
    shared: Rc<Shared<M>>,
    block: Block,
}

impl<M> Drop for Region<M> {
    fn drop(&mut self) {
        self.shared.heap.borrow_mut().give_back(self.block);
    }
}

/// Addresses of a kernel's buffers, in linear memory.
#[derive(Debug)]
pub struct Args<M>(Option<Region<M>>);

impl<M> Args<M> {
    fn address(&self) -> u32 {
        self.0.as_ref().map_or(0, |r| r.block.at as u32)
    }
}

/// A table of steps in linear memory.
#[derive(Debug)]
pub struct Table<M> {
    /// `None` if there are no steps, or no memory for them.
    region: Option<Region<M>>,
    /// The content.
    words: RefCell<Vec<u32>>,
    /// Keeps alive what the table points to.
    _args: Vec<Rc<Args<M>>>,
}

impl<M: WasmInstance> Cpu<M> {
    /// A device from a new instance: grows its memory, writes the control block and starts the workers.
    ///
    /// # Errors
    /// If the memory cannot grow as far, or a worker cannot be started.
    pub fn new(instance: M, setup: Setup) -> Result<Self, Error> {
        let info = device_info(setup.features.clone(), setup.limit);
        let heap = Heap::new(setup.heap_base.into(), setup.limit.min(ADDRESS_SPACE).saturating_sub(GUARD));
        instance.grow(setup.reserve.max(heap.high() + GUARD))?;
        let shared = Shared {
            instance,
            heap: RefCell::new(heap),
            kept: Cell::default(),
            poison: RefCell::default(),
            failure: RefCell::default(),
        };
        let workers = setup.workers.max(1);
        let block = shared.take("the control block", control::BYTES.into())?;
        let scratch = shared.take("scratch memory", u64::from(setup.scratch_bytes) * u64::from(workers))?;
        let at = block.at as u32;
        let set = |field: u32, value: u32| shared.instance.write(at + field, &value.to_le_bytes());
        set(control::WORKERS, workers);
        set(control::SCRATCH, scratch.at as u32);
        set(control::SPIN, setup.spin);
        shared.instance.start(at)?;
        Ok(Cpu { shared: Rc::new(shared), info, control: at, current: Cell::new(None) })
    }

    /// The instance that runs kernels.
    pub fn instance(&self) -> &M {
        &self.shared.instance
    }

    /// Bytes in use, all buffers and the device's own.
    pub fn allocated(&self) -> u64 {
        self.shared.heap.borrow().used()
    }

    /// Bytes of weights or of states; 0 for everything else.
    pub fn allocated_for(&self, usage: Usage) -> u64 {
        match (usage, self.shared.kept.get()) {
            (Usage::Weight, (weights, _)) => weights,
            (Usage::State, (_, states)) => states,
            _ => 0,
        }
    }

    /// Makes a buffer.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn make(&self, spec: &BufferSpec) -> Result<Buffer, Error> {
        // Results are read in place.
        let bytes = if spec.usage == Usage::Readback { 0 } else { spec.bytes };
        let block = self.shared.take(&spec.label, bytes)?;
        self.shared.count(spec.usage, |sum| sum + block.bytes);
        Ok(Buffer { block, bytes: bytes as u32, usage: spec.usage })
    }

    /// The first bytes of a buffer.
    ///
    /// # Errors
    /// If the buffer is shorter.
    pub fn read(&self, buffer: &Buffer, bytes: u64) -> Result<Vec<u8>, Error> {
        if bytes > buffer.bytes.into() {
            let message = format!("it has {} bytes, but {bytes} were requested", buffer.bytes);
            return Err(Error::Device { what: "reading a buffer".to_string(), message });
        }
        let mut content = vec![0; bytes as usize];
        self.shared.instance.read(buffer.address(), &mut content);
        Ok(content)
    }

    /// Writes bytes to a buffer from `offset` on, for weights that arrive in pieces.
    ///
    /// # Errors
    /// If the bytes do not fit into the buffer.
    pub fn write(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > buffer.bytes.into()) {
            let message = format!("{} bytes from {offset} on do not fit in {}", bytes.len(), buffer.bytes);
            return Err(Error::Device { what: "writing a buffer".to_string(), message });
        }
        self.shared.instance.write(buffer.address() + offset as u32, bytes);
        Ok(())
    }

    /// Memory for the device itself; a failure is kept for [`Gpu::check`].
    fn region(&self, what: &str, words: &[u32]) -> Option<Region<M>> {
        if words.is_empty() {
            return None;
        }
        match self.shared.take(what, words.len() as u64 * 4) {
            Ok(block) => {
                self.shared.instance.write(block.at as u32, bytemuck::cast_slice(words));
                Some(Region { shared: self.shared.clone(), block })
            }
            Err(e) => {
                self.shared.failure.borrow_mut().get_or_insert(e);
                None
            }
        }
    }

    /// Writes grids into the table of steps, and the table into the control block.
    fn prepare(&self, table: &Table<M>, grids: &[(u32, u32)]) -> Result<(), Error> {
        let instance = &self.shared.instance;
        let mut words = table.words.borrow_mut();
        let mut changed = false;
        for (step, (x, y)) in words.chunks_exact_mut(STEP_WORDS).zip(grids) {
            if *x > 0 && *y != 1 {
                let message = format!("{x} times {y} positions exceed 32 bits; use a shorter input");
                return Err(Error::Device { what: "a step".to_string(), message });
            }
            changed |= step[1] != *x;
            step[1] = *x;
        }
        let at = table.region.as_ref().map_or(0, |r| r.block.at as u32);
        if changed && table.region.is_some() {
            instance.write(at, bytemuck::cast_slice(&words));
        }
        if self.current.replace(Some(at)) != Some(at) {
            instance.write(self.control + control::STEPS, &at.to_le_bytes());
        }
        let count = if table.region.is_some() { grids.len() as u32 } else { 0 };
        instance.write(self.control + control::COUNT, &count.to_le_bytes());
        Ok(())
    }

    fn submit_now(&self, work: &Work<'_, Self>) -> Result<Reading, Error> {
        self.shared.alive()?;
        self.prepare(work.steps, work.grids)?;
        let instance = &self.shared.instance;
        for (buffer, bytes) in work.writes {
            self.write(buffer, 0, bytes)?;
        }
        if let Some(c) = &work.feed {
            let fits = c.bytes <= c.from.bytes.into() && c.to_offset + c.bytes <= c.to.bytes.into();
            if !fits {
                let message = format!("{} bytes of input exceed the space for it", c.bytes);
                return Err(Error::Device { what: "feeding a result".to_string(), message });
            }
            instance.copy(c.from.address(), c.to.address() + c.to_offset as u32, c.bytes as u32);
        }
        let running = instance.run(self.control);
        let results: Vec<(Buffer, u64, u64)> = work.results.iter().map(|c| (*c.from, c.to_offset, c.bytes)).collect();
        let (bytes, shared) = (work.bytes as usize, self.shared.clone());
        Ok(Box::pin(async move {
            if let Err(e) = running.await {
                shared.poison.borrow_mut().get_or_insert(e.to_string());
                return Err(e);
            }
            let mut all = vec![0; bytes];
            for (from, offset, len) in results {
                let fault = || Error::Backend("a result is outside of its buffer".to_string());
                let into = all.get_mut(offset as usize..(offset + len) as usize).ok_or_else(fault)?;
                if len > from.bytes.into() {
                    return Err(fault());
                }
                shared.instance.read(from.address(), into);
            }
            Ok(all)
        }))
    }
}

impl<M: WasmInstance> Shared<M> {
    /// The error of an earlier run that failed: its workers have stopped, and the content of memory is unknown.
    fn alive(&self) -> Result<(), Error> {
        match self.poison.borrow().as_ref() {
            Some(why) => Err(Error::DeviceLost(format!("an earlier run failed ({why}); load the bundle again"))),
            None => Ok(()),
        }
    }

    /// Updates the sizes of weights and states.
    fn count(&self, usage: Usage, change: impl Fn(u64) -> u64) {
        let (weights, states) = self.kept.get();
        match usage {
            Usage::Weight => self.kept.set((change(weights), states)),
            Usage::State => self.kept.set((weights, change(states))),
            _ => {}
        }
    }

    /// A block of zeros.
    fn take(&self, what: &str, bytes: u64) -> Result<Block, Error> {
        let mut heap = self.heap.borrow_mut();
        let (allocated, high) = (heap.used(), heap.high());
        let Some(block) = heap.take(bytes) else {
            return Err(Error::Limit {
                what: format!("{what} ({allocated} bytes are in use)"),
                needed: bytes,
                limit: heap.largest(),
                name: "bytes of linear memory",
                adapter: "WebAssembly".to_string(),
                remedy: REMEDY.to_string(),
            });
        };
        if self.instance.grow(heap.high() + GUARD).is_err() {
            heap.undo(block, high);
            return Err(Error::OutOfMemory { what: what.to_string(), bytes, allocated });
        }
        if block.dirty > 0 {
            self.instance.fill_zero(block.at as u32, block.dirty as u32);
        }
        Ok(block)
    }
}

impl<M: WasmInstance> Gpu for Cpu<M> {
    type Buffer = Buffer;
    /// The number of a kernel in the module.
    type Pipeline = u32;
    type Group = Rc<Args<M>>;
    type Steps = Table<M>;

    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn describe(&self) -> String {
        self.shared.instance.describe()
    }

    fn depth(&self) -> usize {
        // The host has nothing to do while kernels run, and shares the CPU with them.
        1
    }

    async fn create(&self, specs: &[BufferSpec]) -> Result<Vec<Buffer>, Error> {
        let mut made = Vec::with_capacity(specs.len());
        for spec in specs {
            match self.make(spec) {
                Ok(buffer) => made.push(buffer),
                Err(e) => {
                    made.iter().for_each(|b| self.destroy(b));
                    return Err(e);
                }
            }
        }
        Ok(made)
    }

    fn destroy(&self, buffer: &Buffer) {
        self.shared.count(buffer.usage, |sum| sum.saturating_sub(buffer.block.bytes));
        self.shared.heap.borrow_mut().give_back(buffer.block);
    }

    fn clear(&self, buffers: &[&Buffer]) {
        buffers.iter().for_each(|b| self.shared.instance.fill_zero(b.address(), b.bytes));
    }

    fn built_in(&self, kernel: usize) -> Option<u32> {
        u32::try_from(kernel).ok()
    }

    fn compile(
        &self,
        name: &str,
        _: &str,
        _: &[bool],
    ) -> impl Future<Output = Result<Self::Pipeline, Error>> + 'static {
        let message = "all kernels are part of the module".to_string();
        ready(Err(Error::Device { what: format!("kernel `{name}`"), message }))
    }

    fn bind(&self, name: &str, _: &u32, buffers: &[&Buffer]) -> Self::Group {
        let addresses: Vec<u32> = buffers.iter().map(|b| b.address()).collect();
        Rc::new(Args(self.region(name, &addresses)))
    }

    fn record(&self, steps: &[(&u32, &Self::Group)]) -> Table<M> {
        let words: Vec<u32> = steps.iter().flat_map(|(kernel, args)| [**kernel, 0, args.address(), 0]).collect();
        Table {
            region: self.region("a table of steps", &words),
            words: RefCell::new(words),
            _args: steps.iter().map(|(_, args)| (*args).clone()).collect(),
        }
    }

    fn submit(&self, work: &Work<'_, Self>) -> Reading {
        self.submit_now(work).unwrap_or_else(|e| Box::pin(ready(Err(e))))
    }

    fn check(&self, _: &str) -> Result<(), Error> {
        self.shared.failure.borrow_mut().take().map_or(Ok(()), Err)
    }
}
