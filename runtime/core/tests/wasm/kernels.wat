;; Kernels and the loop over them, as bundles hold them. MEMORY, FENCE.. stand for what differs between modules.
(module
  (import "gristmill" "memory" (memory MEMORY))
  (data (i32.const 1024) "\00\00\80\3f") ;; 1.0: a constant below heap_base
  (global (export "heap_base") i32 (i32.const 2048))
  (global (export "scratch_bytes") i32 (i32.const 128))
  (type $kernel (func (param i32 i32 i32 i32)))
  (table funcref (elem $append $prefix $scale $wide $broken))

  ;; Symbol n of a kernel's arguments: B, T, P, C.
  (func $symbol (param $args i32) (param $n i32) (result i32)
    (i32.load (i32.add (i32.load (local.get $args)) (i32.shl (local.get $n) (i32.const 2)))))
  ;; Address of element i of buffer n, which is counted from 1.
  (func $at (param $args i32) (param $n i32) (param $i i32) (result i32)
    (i32.add (i32.load (i32.add (local.get $args) (i32.shl (local.get $n) (i32.const 2))))
             (i32.shl (local.get $i) (i32.const 2))))

  ;; Writes the new ids into the state behind what it holds. Uses its scratch memory on the way.
  (func $append (export "append") (param $args i32) (param $i i32) (param $end i32) (param $scratch i32)
    (local $t i32) (local $to i32)
    (local.set $t (call $symbol (local.get $args) (i32.const 1)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $end)))
      (local.set $to (i32.add
        (i32.mul (i32.div_u (local.get $i) (local.get $t)) (call $symbol (local.get $args) (i32.const 3)))
        (i32.add (call $symbol (local.get $args) (i32.const 2)) (i32.rem_u (local.get $i) (local.get $t)))))
      (f32.store (local.get $scratch)
        (f32.convert_i32_s (i32.load (call $at (local.get $args) (i32.const 1) (local.get $i)))))
      (f32.store (call $at (local.get $args) (i32.const 2) (local.get $to)) (f32.load (local.get $scratch)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))))

  ;; Sums the masked state up to each new token.
  (func $prefix (export "prefix") (param $args i32) (param $i i32) (param $end i32) (param $scratch i32)
    (local $t i32) (local $p i32) (local $row i32) (local $last i32) (local $k i32) (local $sum f32)
    (local.set $t (call $symbol (local.get $args) (i32.const 1)))
    (local.set $p (call $symbol (local.get $args) (i32.const 2)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $end)))
      (local.set $row (i32.div_u (local.get $i) (local.get $t)))
      (local.set $last (i32.add (local.get $p) (i32.rem_u (local.get $i) (local.get $t))))
      (local.set $k (i32.const 0))
      (local.set $sum (f32.const 0))
      (loop $keys
        (local.set $sum (f32.add (local.get $sum) (f32.mul
          (f32.load (call $at (local.get $args) (i32.const 1) (i32.add
            (i32.mul (local.get $row) (call $symbol (local.get $args) (i32.const 3))) (local.get $k))))
          (f32.convert_i32_s (i32.load (call $at (local.get $args) (i32.const 2) (i32.add
            (i32.mul (local.get $row) (i32.add (local.get $p) (local.get $t))) (local.get $k))))))))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br_if $keys (i32.le_u (local.get $k) (local.get $last))))
      (f32.store (call $at (local.get $args) (i32.const 3) (local.get $i)) (local.get $sum))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))))

  ;; Multiplies by the table, and by what shows which module runs.
  (func $scale (export "scale") (param $args i32) (param $i i32) (param $end i32) (param $scratch i32)
    (local $t i32)
    (local.set $t (call $symbol (local.get $args) (i32.const 1)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $end)))
      (f32.store (call $at (local.get $args) (i32.const 3) (local.get $i))
        (f32x4.extract_lane 0 (FACTOR
          (f32x4.splat (f32.mul
            (f32.load (i32.const 1024))
            (f32.mul
              (f32.load (call $at (local.get $args) (i32.const 1) (local.get $i)))
              (f32.load (call $at (local.get $args) (i32.const 2)
                (i32.add (i32.const 40) (i32.rem_u (local.get $i) (local.get $t)))))))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))))

  (func $wide (export "wide") (param $args i32) (param $i i32) (param $end i32) (param $scratch i32)
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $end)))
      (i32.store (call $at (local.get $args) (i32.const 1) (local.get $i)) (local.get $i))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))))

  ;; Fails at the position that the first id says.
  (func $broken (export "broken") (param $args i32) (param $i i32) (param $end i32) (param $scratch i32)
    (local $bad i32)
    (local.set $bad (i32.load (call $at (local.get $args) (i32.const 1) (i32.const 0))))
    (if (i32.and (i32.ge_u (local.get $bad) (local.get $i)) (i32.lt_u (local.get $bad) (local.get $end)))
      (then unreachable)))

  ;; Runs the stretch of a step that belongs to a worker.
  (func $step (param $control i32) (param $worker i32) (param $step i32)
    (local $grid i64) (local $workers i64) (local $w i64)
    (local.set $step (i32.add (i32.load offset=8 (local.get $control)) (i32.shl (local.get $step) (i32.const 4))))
    (local.set $grid (i64.load32_u offset=4 (local.get $step)))
    (local.set $workers (i64.load32_u offset=16 (local.get $control)))
    (local.set $w (i64.extend_i32_u (local.get $worker)))
    (call_indirect (type $kernel)
      (i32.load offset=8 (local.get $step))
      (i32.wrap_i64 (i64.div_u (i64.mul (local.get $w) (local.get $grid)) (local.get $workers)))
      (i32.wrap_i64 (i64.div_u
        (i64.mul (i64.add (local.get $w) (i64.const 1)) (local.get $grid)) (local.get $workers)))
      (i32.add (i32.load offset=20 (local.get $control)) (i32.mul (local.get $worker) (i32.const 128)))
      (i32.load (local.get $step))))

  ;; All steps; 1 if someone said stop. Their number is read once: behind the last barrier the next run may begin.
  (func $work (param $control i32) (param $worker i32) (result i32)
    (local $step i32) (local $count i32)
    (local.set $count (i32.load offset=12 (local.get $control)))
    (loop $next (result i32)
      (if (i32.ge_u (local.get $step) (local.get $count)) (then (return (i32.const 0))))
      (call $step (local.get $control) (local.get $worker) (local.get $step))
      (if (call $barrier (local.get $control)) (then (return (i32.const 1))))
      (local.set $step (i32.add (local.get $step) (i32.const 1)))
      (br $next)))
  WAITING
)
