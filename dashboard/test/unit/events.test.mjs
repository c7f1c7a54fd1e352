import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { parser } = await load("/src/api/sse.ts");
const { merge, subtree } = await load("/src/state/live.ts");
const { mergeRequests, MOST } = await load("/src/state/recorded.ts");

const STREAM = ": hello\r\n\r\nevent: live\r\ndata: {\"a\":\r\ndata:  1}\r\n\r\ndata:x\n\nevent: end\n\n";

test("events do not depend on how the stream is cut", () => {
  for (let size = 1; size <= STREAM.length; size++) {
    const events = [];
    const parse = parser((name, data) => events.push([name, data]));
    for (let at = 0; at < STREAM.length; at += size) parse(STREAM.slice(at, at + size));
    assert.deepEqual(events, [["live", '{"a":\n 1}'], ["message", "x"]], `pieces of ${size}`);
  }
});

const invocation = (id, parent = null, done = null) => ({ id, parent, done });
const event = (more) => ({ now: 0, started: [], changed: [], ended: [], left_out: 0, ...more });

test("live events are merged", () => {
  const first = merge(null, event({ started: [invocation(1), invocation(2, 1)], left_out: 3 }));
  const second = merge(first, event({ started: [invocation(3, 2)], changed: [invocation(2, 1, "canceled")], ended: [1, 99] }));
  assert.deepEqual([...second.invocations.keys()], [2, 3]);
  assert.equal(second.invocations.get(2).done, "canceled");
  assert.deepEqual([first.leftOut, second.leftOut, first.invocations.size], [3, 0, 2]);
});

test("a cancellation reaches all that is below", () => {
  const state = merge(null, event({ started: [invocation(2, 9), invocation(9), invocation(3), invocation(1, 2)] }));
  assert.deepEqual(subtree(state, 9), [9, 2, 1]);
  assert.deepEqual(subtree(state, 3), [3]);
});

const summary = (id, more = {}) => ({ id, function: "hello", outcome: "response", status: 200, trace_id: null, is_failed: false, started: id, duration_us: 1, ...more });
const filter = { list: "recent", function: "", outcome: "", trace: "" };
const ids = (list) => list.map((one) => one.id);

test("recorded requests are merged, newest first and each once", () => {
  assert.deepEqual(ids(mergeRequests([summary(2), summary(1)], [summary(2), summary(3)], filter)), [3, 2, 1]);
});

test("the slowest come first in their list", () => {
  const list = mergeRequests([summary(1, { duration_us: 50 })], [summary(2, { duration_us: 90 }), summary(3)], { ...filter, list: "slowest" });
  assert.deepEqual(ids(list), [2, 1, 3]);
});

test("only what matches is added", () => {
  const added = [summary(1, { function: "shop" }), summary(2, { outcome: "trap", is_failed: true }), summary(3, { is_failed: true }), summary(4, { trace_id: "ab" })];
  const with_ = (more) => ids(mergeRequests([], added, { ...filter, ...more }));
  assert.deepEqual(with_({ function: "shop" }), [1]);
  assert.deepEqual(with_({ outcome: "trap" }), [2]);
  assert.deepEqual(with_({ trace: "ab" }), [4]);
  assert.deepEqual(with_({ list: "failed" }), [3, 2]);
});

test("a list stays bounded", () => {
  const many = Array.from({ length: 3 * MOST }, (_, id) => summary(id));
  const list = mergeRequests([], many, filter);
  assert.deepEqual([list.length, list[0].id], [MOST, 3 * MOST - 1]);
});
