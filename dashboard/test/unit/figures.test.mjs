import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { percentile, add } = await load("/src/state/percentile.ts");
const { History, SECONDS } = await load("/src/state/overview.ts");
const { segments, ticks, whole } = await load("/src/state/timeline.ts");
const format = await load("/src/format.ts");

const figures = (outcomes, more = {}) => ({
  name: "hello", in_flight: 0, outcomes, cpu_seconds: 0, peak_memory: 0, request_bytes: 0, response_bytes: 0,
  calls: 0, fetches: 0, p50_us: null, p95_us: null, p99_us: null, latency: [], ...more,
});
const overview = (second, outcomes, more = {}) => ({
  now: second * 1_000, version: "", draining: false, in_flight: 0, max_in_flight: 10, contexts: 0, connections: 0,
  cores: 2, cpu_seconds: 0, resident_bytes: 0, rejections: {}, functions: [figures(outcomes)], ...more,
});

test("rates are the differences of totals over the time between them", () => {
  const history = new History();
  assert.equal(history.next(overview(0, { response: 500 })).samples.length, 0);
  const { samples, functions } = history.next(overview(2, { response: 520, trap: 4 }, { rejections: { busy: 6 }, cpu_seconds: 1 }));
  const [sample] = samples;
  assert.deepEqual([sample.groups.response, sample.groups.fault, sample.groups.refused], [10, 2, 3]);
  assert.deepEqual([sample.requests, sample.failures, sample.rejections, sample.cpu], [15, 5, 3, 0.5]);
  assert.deepEqual([functions[0].rate, functions[0].total, functions[0].failureTotal], [12, 524, 4]);
});

test("totals of a host that has started again count from zero", () => {
  const history = new History();
  history.next(overview(0, { response: 500 }));
  assert.equal(history.next(overview(1, { response: 7 })).samples[0].requests, 7);
});

test("after a new connection there is a gap instead of a wrong rate", () => {
  const history = new History();
  history.next(overview(0, { response: 500 }));
  history.opened();
  assert.equal(history.next(overview(60, { response: 9_000 })).samples.length, 0);
});

test("the history is bounded", () => {
  const history = new History();
  let last;
  for (let second = 0; second < 2 * SECONDS; second++) last = history.next(overview(second, { response: second }));
  assert.equal(last.samples.length, SECONDS);
});

test("percentiles lie in the bucket of their rank", () => {
  const histogram = new Map();
  add(histogram, [[128, 90], [4_096, 9], [null, 1]]);
  assert.ok(percentile(histogram, 0.5) > 64 && percentile(histogram, 0.5) <= 128);
  assert.ok(percentile(histogram, 0.95) > 2_048 && percentile(histogram, 0.95) <= 4_096);
  assert.equal(percentile(histogram, 1), 4_096);
  assert.equal(percentile(new Map(), 0.5), null);
});

const span = (more) => ({ id: 1, parent: null, start_us: 10, end_us: 110, queue_us: 5, checkout_us: 15, grace_us: 20, deadline_us: 90, ...more });

test("the phases of a span follow each other", () => {
  assert.deepEqual(segments(span()).map((one) => [one.phase, one.start, one.end]), [
    ["queue", 10, 15], ["checkout", 15, 30], ["run", 30, 90], ["grace", 90, 110],
  ]);
  assert.deepEqual(segments(span({ queue_us: 0, checkout_us: 0, grace_us: 0 })).map((one) => one.phase), ["run"]);
});

test("phases stay within their span", () => {
  const odd = segments(span({ queue_us: 1e9, grace_us: 1e9 }));
  assert.deepEqual(odd.map((one) => [one.phase, one.start, one.end]), [["queue", 10, 110]]);
});

test("the axis shows the deadline unless it is far away", () => {
  const recording = (deadline) => ({ duration_us: 100, spans: [span({ start_us: 0, end_us: 100, deadline_us: deadline })] });
  assert.equal(whole(recording(150)).end, 153);
  assert.equal(whole(recording(10_000)).end, 102);
  assert.deepEqual(ticks({ start: 0, end: 153 }, 6), [0, 50, 100, 150]);
});

test("numbers are short", () => {
  assert.deepEqual([0, 9.4, 812, 1_234, 56_780, 2_040_000, 123_000_000].map(format.duration), ["0 µs", "9.4 µs", "812 µs", "1.23 ms", "56.8 ms", "2.04 s", "2 min 03 s"]);
  assert.deepEqual([0, 9_999, 12_345, 7.2e6].map(format.count), ["0", "9,999", "12.3k", "7.20M"]);
  assert.deepEqual([512, 1_048_576].map(format.bytes), ["512 B", "1.00 MiB"]);
  assert.deepEqual([0, 0.0004, 0.031, 0.5].map(format.percent), ["0 %", "<0.1 %", "3.1 %", "50 %"]);
});
