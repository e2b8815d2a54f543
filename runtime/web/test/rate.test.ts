// What is said about a download that goes on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createRate, remaining } from "../page/panels/rate";
import { weightsName } from "../page/panels/precision";

test("a rate is told when there is one", () => {
  const rate = createRate();
  assert.equal(rate.perSecond(0), null, "nothing is known");
  rate.note(0, 0);
  rate.note(100_000, 500);
  assert.equal(rate.perSecond(500), null, "half a second says nothing");
  rate.note(400_000, 2000);
  assert.equal(rate.perSecond(2000), 200_000);
});

test("a rate follows the connection, and falls when nothing comes", () => {
  const rate = createRate();
  for (let second = 0; second <= 20; second++) rate.note(second * 1_000_000, second * 1000);
  assert.equal(rate.perSecond(20_000), 1_000_000);
  for (let second = 21; second <= 40; second++) rate.note(20_000_000 + (second - 20) * 100_000, second * 1000);
  assert.equal(rate.perSecond(40_000), 100_000, "what was twenty seconds ago does not count");
  assert.ok(!rate.isStalled(40_500) && rate.isStalled(46_000), "six seconds without a byte are a stall");
  const later = rate.perSecond(60_000);
  assert.ok(later !== null && later < 40_000, `expected a rate that falls while nothing comes, found ${later}`);
});

test("bytes in vain begin a new rate", () => {
  const rate = createRate();
  rate.note(0, 0);
  rate.note(5_000_000, 5000);
  rate.note(1_000_000, 6000);
  assert.equal(rate.perSecond(6000), null);
});

test("durations are as fine as they are known", () => {
  const said = [0.2, 7.1, 41, 59, 61, 100, 3599, 7500].map(remaining);
  assert.deepEqual(said, [
    "about 1 s left",
    "about 8 s left",
    "about 45 s left",
    "about 1 min left",
    "about 1 min left",
    "about 2 min left",
    "about 1 h 0 min left",
    "about 2 h 5 min left",
  ]);
});

test("weights are named by what most of their bytes are stored at", () => {
  assert.equal(weightsName({ "q4.g32": 900, f32: 10 }), "4-bit weights");
  assert.equal(weightsName({ "t4.g64": 500, "q4.g32": 400, f32: 10 }), "4-bit weights", "one width, one word");
  assert.equal(weightsName({ "q4.g32": 600, "q8.g32": 400 }), "mostly 4-bit weights");
  assert.equal(weightsName({ "q2.asym.g32": 9, f32: 400 }), "32-bit weights");
  assert.equal(weightsName({ f16: 10 }), "16-bit weights");
  assert.equal(weightsName({ "ternary.g128": 10 }), "ternary weights");
  assert.equal(weightsName({}), "no weights");
});
