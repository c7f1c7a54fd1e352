/** A host that exists in numbers only: requests arrive, run, end, and are counted and recorded. */

import { EventEmitter } from "node:events";
import { FUNCTIONS } from "./catalog.mjs";
import { done, hex, plan, vary } from "./plan.mjs";

const KEPT = 2_000;
const TICK = 40;
const PATHS = { hello: ["/hello/Ada", "/hello/Grace", "/hello"], shop: ["/shop/17", "/shop/4?currency=EUR", "/shop"], mandelbrot: ["/mandelbrot?iterations=4000"] };

export class Host extends EventEmitter {
  /**
   * `load` scales the arrivals. `live` is how many long invocations are kept in flight, and
   * `lasting` how long they take on average, in seconds.
   */
  constructor({ load = 1, live = 0, lasting = 25, functions = true } = {}) {
    super();
    this.setMaxListeners(100);
    this.load = functions ? load : 0;
    this.wanted = live;
    this.lasting = lasting;
    this.functions = functions;
    this.draining = false;
    this.limit = live > 900 ? 2_000 : 1_000;
    this.cpu = 0;
    this.rejections = {};
    this.live = new Map();
    this.recent = [];
    this.slowest = [];
    this.failed = [];
    this.timers = new Set();
    this.counters = new Map(FUNCTIONS.map((one) => [one.name, counters(one.name)]));
    this.changes = { started: [], changed: [], ended: [] };
    this.recorded = [];
    this.ticker = setInterval(() => this.tick(), TICK);
    while (functions && this.live.size < this.wanted) this.begin(this.long(), { age: 0.8 * Math.random() });
  }

  close() {
    clearInterval(this.ticker);
    for (const timer of this.timers) clearTimeout(timer);
  }

  tick() {
    if (!this.functions) return;
    // Traffic comes in waves, so that the charts have something to show.
    const wave = 1 + 0.35 * Math.sin(Date.now() / 23_000) + 0.15 * Math.sin(Date.now() / 4_700);
    for (const one of FUNCTIONS) {
      const expected = one.rate * this.load * wave * (TICK / 1e3);
      for (let n = poisson(expected); n > 0 && !this.draining; n--) this.begin(plan(one.name));
    }
    this.cpu += (TICK / 1e3) * (0.2 * wave * this.load + this.live.size / 8_000 + Math.random() * 0.15);
    if (Math.random() < 0.01 * this.load) this.rejections.busy = (this.rejections.busy ?? 0) + 1;
    for (let missing = this.wanted - this.live.size; missing > 0; missing--) this.begin(this.long());
  }

  /** A tree of invocations that take seconds. */
  long() {
    const seconds = this.lasting * (0.2 + 1.6 * Math.random());
    const made = plan("crawl", { time: 1 });
    Object.assign(made.root, { end_us: seconds * 1e6, cpu_us: 4_000, deadline_us: seconds * 1e6 * (1 + Math.random() / 3) });
    for (let depth = Math.floor(Math.random() * 4), parent = made.root; depth > 0; depth--) {
      const callee = plan(["extract", "index", "extract"][depth - 1], { time: 1 }).root;
      Object.assign(callee, { parent: parent.id, start_us: parent.start_us + 500, end_us: parent.end_us - 500, deadline_us: made.root.deadline_us, trace_id: made.trace, outcome: "response", done: null, done_us: null, cause: null, grace_us: 0, status: 200 });
      made.spans.push(callee);
      parent = callee;
    }
    for (const span of made.spans) Object.assign(span, { outcome: "response", done: null, done_us: null, cause: null, grace_us: 0, status: 200, message: null });
    made.logs = [];
    return made;
  }

  /** Starts a request. `ended` of the result resolves with its recording. */
  begin(made, { method = "GET", path, age = 0, byHand = false } = {}) {
    const { root } = made;
    const paths = PATHS[root.name] ?? [`/${root.name}`];
    const request = {
      ...made,
      byHand,
      started: Date.now() - (age * root.end_us) / 1e3,
      id: root.id,
      summary: {
        method: root.name === "" ? null : method,
        path: root.name === "" ? null : (path ?? paths[Math.floor(Math.random() * paths.length)]),
        request_id: `${hex(4)}-${hex(2)}`, principal: Math.random() < 0.2 ? "ada@example.org" : null,
      },
      timers: [],
    };
    request.ended = new Promise((resolve) => { request.resolve = resolve; });
    for (const span of made.spans) this.counter(span)?.in_flight !== undefined && span.kind === "invocation" && this.counter(span).in_flight++;
    for (const span of made.spans) {
      if (span.kind === "fetch" || span.end_us - span.start_us < 1_000) continue;
      this.after(request, span.start_us, () => this.show(request, span));
    }
    this.after(request, root.end_us, () => this.end(request));
    return request;
  }

  after(request, us, action) {
    if (us < 1_000) return action();
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      action();
    }, request.started + us / 1e3 - Date.now());
    this.timers.add(timer);
    request.timers.push(timer);
  }

  show(request, span) {
    const entry = {
      id: span.id, parent: span.parent, function: span.name, request_id: request.summary.request_id,
      started: request.started + span.start_us / 1e3,
      deadline: span.deadline_us === null ? null : request.started + span.deadline_us / 1e3, done: null, cause: null,
    };
    this.live.set(span.id, { entry, request, span });
    this.changes.started.push({ ...entry });
    if (span.done_us !== null) this.after(request, span.done_us, () => this.markDone(span));
    this.after(request, span.end_us, () => this.hide(span.id));
  }

  markDone(span) {
    const found = this.live.get(span.id);
    if (!found) return;
    Object.assign(found.entry, { done: span.done, cause: span.cause });
    this.changes.changed.push({ ...found.entry });
  }

  hide(id) {
    if (!this.live.delete(id)) return;
    const listed = this.changes.started.findIndex((one) => one.id === id);
    if (listed >= 0) this.changes.started.splice(listed, 1);
    this.changes.changed = this.changes.changed.filter((one) => one.id !== id);
    this.changes.ended.push(id);
  }

  /** Cancels an invocation and all below it. Returns how many. */
  cancel(id) {
    const found = this.live.get(id);
    if (!found || found.entry.done !== null) return 0;
    const { request } = found;
    const now = (Date.now() - request.started) * 1e3;
    const below = new Set([id]);
    for (const span of request.spans) if (below.has(span.parent)) below.add(span.id);
    let canceled = 0;
    for (const span of request.spans) {
      if (!below.has(span.id) || span.end_us < now) continue;
      done(span, now, 400_000, "canceled", span.id === id ? "operator" : "parent-done");
      if (!this.live.has(span.id)) continue;
      canceled++;
      this.markDone(span);
      this.after(request, span.end_us, () => this.hide(span.id));
    }
    if (request.root.id === id) this.after(request, request.root.end_us, () => this.end(request));
    return canceled;
  }

  end(request) {
    if (request.over) return;
    request.over = true;
    const { root, spans } = request;
    for (const timer of request.timers) clearTimeout(timer);
    for (const span of spans) {
      span.end_us = Math.min(span.end_us, root.end_us);
      span.start_us = Math.min(span.start_us, span.end_us);
      this.hide(span.id);
      if (span.kind !== "fetch") this.count(span, spans);
    }
    const recording = this.recording(request);
    this.keep(recording, request.byHand);
    request.resolve(recording);
  }

  counter(span) {
    return this.counters.get(span.name);
  }

  count(span, spans) {
    const one = this.counter(span);
    if (span.kind === "invocation") one.in_flight--;
    one.outcomes[span.outcome] = (one.outcomes[span.outcome] ?? 0) + 1;
    one.cpu_seconds += span.cpu_us / 1e6;
    one.peak_memory = Math.max(one.peak_memory, Math.round(span.peak_memory * (0.9 + Math.random() / 10)));
    one.request_bytes += span.request_bytes;
    one.response_bytes += span.response_bytes;
    one.calls += spans.filter((other) => other.parent === span.id && other.kind !== "fetch").length;
    one.fetches += spans.filter((other) => other.parent === span.id && other.kind === "fetch").length;
    one.times.push(span.end_us - span.start_us - span.queue_us - span.checkout_us);
  }

  recording({ root, spans, logs, trace, started, summary }) {
    return {
      id: root.id, function: root.name, ...summary, trace_id: trace, started, duration_us: root.end_us,
      outcome: root.outcome, cause: root.outcome === "response" ? null : root.cause, status: root.status,
      is_failed: spans.some((span) => span.outcome !== "response" || (span.status ?? 0) >= 500),
      span_count: spans.length,
      spans: spans.toSorted((a, b) => a.end_us - b.end_us),
      logs: logs.filter((line) => line.at_us <= root.end_us).toSorted((a, b) => a.at_us - b.at_us),
      left_out: 0,
    };
  }

  keep(recording, always) {
    const isFailed = recording.outcome !== "response";
    // A host that answers hundreds of short requests a second shows some of them.
    if (!always && !isFailed && recording.duration_us < 1_000 && Math.random() > 0.02) return;
    this.recent = [recording, ...this.recent].slice(0, KEPT);
    if (isFailed) this.failed = [recording, ...this.failed].slice(0, KEPT);
    this.slowest = [...this.slowest, recording].sort((a, b) => b.duration_us - a.duration_us).slice(0, 100);
    this.recorded.push(summaryOf(recording));
  }

  find(id) {
    const has = (one) => one.id === id;
    return this.recent.find(has) ?? this.failed.find(has) ?? this.slowest.find(has);
  }

  inFlight() {
    return [...this.counters.values()].reduce((sum, one) => sum + Math.max(one.in_flight, 0), 0);
  }

  /** The `overview` event since the times of the previous one of this stream. */
  overview(positions) {
    const inFlight = this.inFlight();
    const used = this.functions ? FUNCTIONS : [];
    return {
      now: Date.now(), version: "0.1.0", draining: this.draining,
      in_flight: inFlight, max_in_flight: this.limit, contexts: inFlight + 9, connections: 8, cores: 2,
      cpu_seconds: this.cpu, resident_bytes: 96e6 + inFlight * 70_000 + Math.round(vary(2e6, 0.2)),
      rejections: { ...this.rejections },
      functions: used.map((what) => {
        const { times, ...one } = this.counters.get(what.name);
        const since = times.slice(positions.get(what.name) ?? times.length).sort((a, b) => a - b);
        positions.set(what.name, times.length);
        const at = (share) => (since.length === 0 ? null : since[Math.min(Math.floor(share * since.length), since.length - 1)]);
        return { ...one, in_flight: Math.max(one.in_flight, 0), outcomes: { ...one.outcomes }, p50_us: at(0.5), p95_us: at(0.95), p99_us: at(0.99), latency: buckets(since) };
      }),
    };
  }
}

export function summaryOf({ logs, left_out, spans, ...recording }) {
  return recording;
}

function counters(name) {
  return { name, in_flight: 0, outcomes: {}, cpu_seconds: 0, peak_memory: 0, request_bytes: 0, response_bytes: 0, calls: 0, fetches: 0, times: [] };
}

function buckets(times) {
  const found = new Map();
  for (const time of times) {
    const bound = 2 ** Math.max(Math.ceil(Math.log2(Math.max(time, 1))), 0);
    found.set(bound, (found.get(bound) ?? 0) + 1);
  }
  return [...found].map(([bound, count]) => [bound > 33_554_432 ? null : bound, count]);
}

function poisson(mean) {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = Math.random(); product > limit; product *= Math.random()) count++;
  return count;
}
