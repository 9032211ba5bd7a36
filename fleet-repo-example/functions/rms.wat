;; The root mean square of each axis of a window of int16 samples: sqrt(sum of squares / samples), rounded down.
(module
  (memory (export "memory") 1 16)
  (global $result i32 (i32.const 0))       ;; three int32
  (global $window i32 (i32.const 16))

  ;; Makes room for the window; its data follows the result.
  (func (export "input") (param $length i32) (result i32)
    (local $pages i32)
    (local.set $pages
      (i32.shr_u (i32.add (i32.add (local.get $length) (global.get $window)) (i32.const 65535)) (i32.const 16)))
    (if (i32.gt_u (local.get $pages) (memory.size))
      (then
        (if (i32.eq (memory.grow (i32.sub (local.get $pages) (memory.size))) (i32.const -1))
          (then (unreachable)))))
    (global.get $window))

  ;; The integer square root, bit by bit.
  (func $root (param $value i64) (result i64)
    (local $root i64) (local $bit i64)
    (local.set $bit (i64.const 0x40000000))
    (loop $next
      (if (i64.ge_u (local.get $value)
                    (i64.mul (i64.add (local.get $root) (local.get $bit)) (i64.add (local.get $root) (local.get $bit))))
        (then (local.set $root (i64.add (local.get $root) (local.get $bit)))))
      (local.set $bit (i64.shr_u (local.get $bit) (i64.const 1)))
      (br_if $next (i64.ne (local.get $bit) (i64.const 0))))
    (local.get $root))

  (func (export "handle") (param $address i32) (param $length i32) (result i64)
    (local $axis i32) (local $at i32) (local $end i32) (local $sum i64) (local $sample i64)
    (local.set $end (i32.add (local.get $address) (local.get $length)))
    (if (i32.eqz (local.get $length)) (then (return (i64.const -1))))  ;; there is no mean of nothing
    (loop $axes
      (local.set $sum (i64.const 0))
      (local.set $at (i32.add (local.get $address) (i32.shl (local.get $axis) (i32.const 1))))
      (loop $samples
        (local.set $sample (i64.load16_s (local.get $at)))
        (local.set $sum (i64.add (local.get $sum) (i64.mul (local.get $sample) (local.get $sample))))
        (local.set $at (i32.add (local.get $at) (i32.const 6)))
        (br_if $samples (i32.lt_u (local.get $at) (local.get $end))))
      (i32.store (i32.shl (local.get $axis) (i32.const 2))
        (i32.wrap_i64 (call $root
          (i64.div_u (local.get $sum) (i64.extend_i32_u (i32.div_u (local.get $length) (i32.const 6)))))))
      (local.set $axis (i32.add (local.get $axis) (i32.const 1)))
      (br_if $axes (i32.lt_u (local.get $axis) (i32.const 3))))
    (i64.or (i64.shl (i64.extend_i32_u (global.get $result)) (i64.const 32)) (i64.const 12))))
