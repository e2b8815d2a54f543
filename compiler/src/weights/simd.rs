//! Uses wider vector instructions where the CPU has them. The only unsafe code of the compiler.

#![allow(unsafe_code, reason = "calling a function with target features has to be unsafe; audited: one call")]

/// Calls `work`, compiled for the widest vectors that this CPU supports.
///
/// Everything that `work` calls must be `#[inline(always)]` to be compiled this way. Only the vector width changes and
/// no operations are contracted, so results are the same on every CPU.
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2, as was just checked; the function asks for nothing else.
        return unsafe { with_avx2(work) };
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}
