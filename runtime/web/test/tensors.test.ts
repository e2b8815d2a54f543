// Tensors in the forms that callers have them in.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { EntryInfo, TensorInput } from "../ts/api";
import { takeTensors } from "../ts/tensors";

const ENTRY: EntryInfo = {
  name: "forward",
  role: "tensors",
  inputs: [
    { name: "ids", elem: "i32", shape: ["B", "T"] },
    { name: "x", elem: "f32", shape: ["B", "4"] },
  ],
  outputs: [],
  components: [],
  task: null,
};
const take = (name: string, input: unknown): unknown =>
  takeTensors({ [name]: input as TensorInput }, null, [ENTRY])[name];

test("all forms become elements of 32 bits with a shape", () => {
  const ids = { data: Int32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] };
  assert.deepEqual(take("ids", ids), ids);
  assert.deepEqual(take("ids", [[1, 2, 3], [4, 5, 6]]), ids);
  assert.deepEqual(take("ids", [[1n, 2n, 3n], [4, 5, 6]]), ids);
  assert.deepEqual(take("ids", { data: [1, 2, 3, 4, 5, 6], shape: [2, 3] }), ids);
  assert.deepEqual(take("ids", { data: BigInt64Array.of(1n, 2n, 3n, 4n, 5n, 6n), shape: [2, 3] }), ids);
  assert.deepEqual(take("x", [0.5, -1, NaN]), { data: Float32Array.of(0.5, -1, NaN), shape: [3] });
  const one = { data: Float32Array.of(-7), shape: [1, 1] };
  assert.deepEqual(take("x", { data: BigInt64Array.of(-7n), shape: [1, 1] }), one);
  assert.deepEqual(take("ids", [[], []]), { data: new Int32Array(), shape: [2, 0] });
  assert.deepEqual(take("ids", { data: Int32Array.of(2 ** 31 - 1, -(2 ** 31)), shape: [2] }), {
    data: Int32Array.of(2147483647, -2147483648),
    shape: [2],
  });
});

test("what does not fit is refused with its name and place", () => {
  const tries: [string, unknown, RegExp][] = [
    ["ids", [[1, 2], [3]], /^ids\[1\]: expected a list of 2 elements as its neighbours are, found 1$/],
    ["ids", [[1, 2], 3], /^ids\[1\]: expected a list of 2 elements .* found 3$/],
    ["ids", [[1, [2]]], /^ids\[0\]\[1\]: expected a number, found Array$/],
    ["ids", [["1"]], /^ids\[0\]\[0\]: expected a number, found 1$/],
    ["ids", [[1, null]], /^ids\[0\]\[1\]: expected a number, found null$/],
    ["ids", [[1, 2.5]], /^ids: expected a whole number of 32 bits at 1, found 2\.5$/],
    ["ids", [[2 ** 31]], /^ids: expected a whole number of 32 bits at 0, found 2147483648$/],
    ["ids", [[NaN]], /^ids: .* found NaN$/],
    ["ids", { data: BigInt64Array.of(1n << 40n), shape: [1, 1] }, /^ids: .* at 0, found 1099511627776$/],
    ["ids", { data: [1, "2"], shape: [2] }, /^ids: .* at 1, found 2$/],
    ["x", [1e39], /^x: expected a number that 32 bits hold at 0, found 1e\+39$/],
    ["ids", { data: Int32Array.of(1, 2), shape: [1, 3] }, /^ids: expected 3 elements for the shape \[1, 3\], found 2$/],
    ["ids", { data: [1], shape: [1, 2] }, /^ids: expected 2 elements/],
    ["ids", { data: [1] }, /^ids: expected a shape, .* found undefined$/],
    ["ids", { data: [1], shape: [1.5] }, /^ids: expected a shape/],
    ["ids", { data: Float64Array.of(1), shape: [1] }, /^ids: expected \{ data, shape \} .* found Float64Array$/],
    ["ids", Int32Array.of(1), /^ids: expected \{ data, shape \} .* found Int32Array$/],
    ["ids", null, /^ids: .* found null$/],
    ["ids", 5, /^ids: .* found 5$/],
  ];
  for (const [name, input, message] of tries) assert.throws(() => take(name, input), { code: "input", message });
});
