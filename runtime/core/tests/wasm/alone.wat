  (func $barrier (param $control i32) (result i32) (i32.const 0))
  (func (export "run") (param $control i32) (result i32) (call $work (local.get $control) (i32.const 0)))
