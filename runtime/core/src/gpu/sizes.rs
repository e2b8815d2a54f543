//! Sizes of tensors and states.

use gristmill_bundle::{Elem, Manifest, State};

use crate::backend::{Data, Tensor};
use crate::call::{Session, eval_shape};
use crate::error::Error;

/// Product of dimensions.
pub(crate) fn elements(shape: &[usize]) -> u64 {
    shape.iter().fold(1u64, |a, n| a.saturating_mul(*n as u64))
}

/// A tensor from its bytes in memory.
pub(crate) fn tensor(elem: Elem, shape: Vec<usize>, bytes: &[u8]) -> Tensor {
    let words = bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
    let data = match elem {
        Elem::I32 => Data::I32(words.map(i32::from_le_bytes).collect()),
        Elem::F32 | Elem::F16 => Data::F32(words.map(f32::from_le_bytes).collect()),
    };
    Tensor { shape, data }
}

/// Bytes of a state, with space for the largest values of the model's own symbols.
pub(crate) fn state_bytes(manifest: &Manifest, state: &State, session: &Session) -> Result<u64, Error> {
    let value = |s: &gristmill_bundle::Symbol| match s.name.as_str() {
        "B" => session.batch,
        "C" => session.capacity,
        _ => s.max,
    };
    let values: Vec<u32> = manifest.symbols.iter().map(value).collect();
    let count = elements(&eval_shape(manifest, &state.shape, &values)?);
    Ok(match state.elem {
        Elem::F16 => count.saturating_mul(2),
        Elem::F32 | Elem::I32 => count.saturating_mul(4),
    })
}
