//! Errors of running a bundle.

/// Why a call failed. Messages say what was expected, what was found, and the remedy if there is one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] gristmill_bundle::Error),
    /// There is no entry with this name.
    #[error("no entry `{name}` in this bundle; it has {known}")]
    UnknownEntry {
        /// The requested name.
        name: String,
        /// The entries, separated by commas.
        known: String,
    },
    /// The model lacks something that the call needs, such as an entry with some role, or an output.
    #[error("{0}")]
    Unsupported(String),
    /// An input is missing, unknown, or has another type or shape.
    #[error("input `{name}`: expected {expected}, found {found}")]
    Input {
        /// The name of the input.
        name: String,
        /// The expected element type and shape, with symbols and their values.
        expected: String,
        /// The actual element type and shape, or `nothing`.
        found: String,
    },
    /// A symbol is outside its declared range.
    #[error("`{symbol}` is {value}, but this model takes {min} to {max}{hint}")]
    Range {
        /// Name of the symbol.
        symbol: String,
        /// The requested value.
        value: u64,
        /// Smallest value.
        min: u32,
        /// Largest value.
        max: u32,
        /// The remedy, or empty.
        hint: String,
    },
    /// There is no output with this name.
    #[error("entry `{entry}` has no output `{name}`; it has {known}")]
    UnknownOutput {
        /// The entry.
        entry: String,
        /// The requested name.
        name: String,
        /// The outputs, separated by commas.
        known: String,
    },
    /// More tokens than the states have space for.
    #[error("{wanted} tokens do not fit into a context of {capacity}{hint}")]
    Context {
        /// Tokens in the states after the call.
        wanted: u64,
        /// The number of tokens for which there is space.
        capacity: u32,
        /// The remedy, or empty.
        hint: String,
    },
    /// No graphics adapter was found, or none with the requested name.
    #[error("{0}")]
    NoAdapter(String),
    /// The device cannot hold or run something.
    #[error("{what} needs {needed}, but {adapter} offers {limit} of `{name}`; {remedy}")]
    Limit {
        /// The tensor, state, slot or kernel.
        what: String,
        /// The amount needed.
        needed: u64,
        /// The amount that the device offers.
        limit: u64,
        /// The name of the limit in WebGPU.
        name: &'static str,
        /// The adapter.
        adapter: String,
        /// The remedy.
        remedy: String,
    },
    /// An allocation failed.
    #[error("out of device memory while allocating {what} ({bytes} bytes); {allocated} bytes were allocated before")]
    OutOfMemory {
        /// The tensor, state or slot.
        what: String,
        /// Its size in bytes.
        bytes: u64,
        /// The total size of earlier allocations in bytes.
        allocated: u64,
    },
    /// The device was lost; everything must be loaded again.
    #[error("the device was lost: {0}")]
    DeviceLost(String),
    /// The device rejected a shader or a command.
    #[error("{what}: {message}")]
    Device {
        /// The operation that failed.
        what: String,
        /// The message of the driver or of the validation.
        message: String,
    },
    /// Kernels ran for too long.
    #[error("the kernels exceeded the limit of {seconds} s per call and were stopped; use a shorter input")]
    TooLong {
        /// The limit.
        seconds: f64,
    },
    /// The kernels were stopped from outside.
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
    /// The host of the runtime, such as a page, failed. Its error is passed on unchanged.
    #[error("{message}")]
    Host {
        /// The host's name for this kind of error.
        code: String,
        /// The message.
        message: String,
        /// Details, in a form that the host defines.
        details: String,
    },
    /// A backend from another crate failed.
    #[error("{0}")]
    Backend(String),
}
