//! Tensors of JavaScript: `{ name: { data: Float32Array | Int32Array, shape: number[] } }`.

use gristmill_runtime::{Data, Error, Tensor, Tensors};
use js_sys::{Array, Float32Array, Int32Array, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

/// Reads an object of tensors. Errors name the tensor and the expected type.
pub(crate) fn from_js(all: &Object) -> Result<Tensors, Error> {
    let mut tensors = Tensors::new();
    for pair in Object::entries(all) {
        let pair: Array = pair.unchecked_into();
        let name = pair.get(0).as_string().unwrap_or_default();
        let tensor = one(&pair.get(1)).ok_or_else(|| Error::Input {
            name: name.clone(),
            expected: "{ data: Float32Array or Int32Array, shape: number[] }".to_string(),
            found: String::from(Object::from(pair.get(1)).to_string()),
        })?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn one(value: &JsValue) -> Option<Tensor> {
    let field = |name: &str| Reflect::get(value, &JsValue::from_str(name)).ok();
    let shape = field("shape")?.dyn_into::<Array>().ok()?;
    let dims = shape.iter().map(|d| d.as_f64().filter(|d| *d >= 0.0 && d.fract() == 0.0 && *d < 4e9));
    let shape = dims.map(|d| d.map(|d| d as usize)).collect::<Option<Vec<usize>>>()?;
    let data = field("data")?;
    let data = match data.dyn_into::<Float32Array>() {
        Ok(floats) => Data::F32(floats.to_vec()),
        Err(other) => Data::I32(other.dyn_into::<Int32Array>().ok()?.to_vec()),
    };
    Some(Tensor { shape, data })
}

/// Converts tensors to a JavaScript object.
pub(crate) fn to_js(all: &Tensors) -> Object {
    let object = Object::new();
    for (name, tensor) in all {
        let data: JsValue = match &tensor.data {
            Data::F32(v) => Float32Array::from(v.as_slice()).into(),
            Data::I32(v) => Int32Array::from(v.as_slice()).into(),
        };
        let shape: Array = tensor.shape.iter().map(|d| JsValue::from_f64(*d as f64)).collect();
        let one = Object::new();
        // Setting a property of a new object cannot fail.
        let _ = Reflect::set(&one, &"data".into(), &data);
        let _ = Reflect::set(&one, &"shape".into(), &shape);
        let _ = Reflect::set(&object, &JsValue::from_str(name), &one);
    }
    object
}
