//! What can go wrong when a bundle runs.

/// Why a call failed. The texts say what was expected, what was found, and where a remedy exists.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] gristmill_bundle::Error),
    /// There is no entry of this name.
    #[error("no entry `{name}` in this bundle; it has {known}")]
    UnknownEntry {
        /// What was asked for.
        name: String,
        /// The entries, separated by commas.
        known: String,
    },
    /// The model lacks something that the call needs: an entry of some role, an output.
    #[error("{0}")]
    Unsupported(String),
    /// An input is missing, unknown, or has another type or shape.
    #[error("input `{name}`: expected {expected}, found {found}")]
    Input {
        /// Hugging Face name.
        name: String,
        /// Element type and shape with symbols and their values.
        expected: String,
        /// Element type and shape, or `nothing`.
        found: String,
    },
    /// A symbol is outside its declared range.
    #[error("`{symbol}` is {value}, but this model takes {min} to {max}{hint}")]
    Range {
        /// Name of the symbol.
        symbol: String,
        /// Value asked for.
        value: u64,
        /// Smallest value.
        min: u32,
        /// Largest value.
        max: u32,
        /// What to do, or empty.
        hint: String,
    },
    /// There is no such output.
    #[error("entry `{entry}` has no output `{name}`; it has {known}")]
    UnknownOutput {
        /// The entry.
        entry: String,
        /// What was asked for.
        name: String,
        /// The outputs, separated by commas.
        known: String,
    },
    /// More tokens than the states have space for.
    #[error("{wanted} tokens do not fit in a context of {capacity}{hint}")]
    Context {
        /// Tokens in the states after the call.
        wanted: u64,
        /// What there is space for.
        capacity: u32,
        /// What to do, or empty.
        hint: String,
    },
    /// No graphics adapter, or none of the asked name.
    #[error("{0}")]
    NoAdapter(String),
    /// The device cannot hold or run something.
    #[error("{what} needs {needed}, but {adapter} offers {limit} of `{name}`; {remedy}")]
    Limit {
        /// The tensor, state, slot or kernel.
        what: String,
        /// Amount needed.
        needed: u64,
        /// Amount offered.
        limit: u64,
        /// WebGPU name of the limit.
        name: &'static str,
        /// The adapter.
        adapter: String,
        /// What to do.
        remedy: String,
    },
    /// An allocation failed.
    #[error("out of device memory while allocating {what} ({bytes} bytes); {allocated} bytes were allocated before")]
    OutOfMemory {
        /// The tensor, state or slot.
        what: String,
        /// Its size.
        bytes: u64,
        /// All that was allocated already.
        allocated: u64,
    },
    /// The device is gone; everything must be loaded again.
    #[error("the device was lost: {0}")]
    DeviceLost(String),
    /// The device refused a shader or a command.
    #[error("{what}: {message}")]
    Device {
        /// What was being done.
        what: String,
        /// The driver's or validator's words.
        message: String,
    },
    /// Kernels ran for too long.
    #[error("the kernels did not end within {seconds} s, the most for one call, and were ended; use a shorter input")]
    TooLong {
        /// The limit.
        seconds: f64,
    },
    /// Somebody has stopped the kernels.
    #[error("the kernels were stopped; load the bundle again")]
    Stopped,
    /// A tokenizer, a chat template or a shader is unusable.
    #[error("{file}: {message}")]
    Text {
        /// Path in the bundle.
        file: String,
        /// The fault.
        message: String,
    },
    /// The host of the runtime, such as a page, failed in a way of its own. Passed on as it is.
    #[error("{message}")]
    Host {
        /// The host's name for this kind of failure.
        code: String,
        /// What happened, for people.
        message: String,
        /// More, in the host's form.
        details: String,
    },
    /// A backend that lives outside this crate failed.
    #[error("{0}")]
    Backend(String),
}
