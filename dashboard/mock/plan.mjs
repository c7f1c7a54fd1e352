/** A request before it happens: all its spans with their times, as the recording will have them. */

import { randomBytes } from "node:crypto";
import { BY_NAME, microseconds, version } from "./catalog.mjs";

let nextId = 1;

export const hex = (bytes) => randomBytes(bytes).toString("hex");

/** A log-normal time around the median. */
export function vary(median, spread) {
  const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return median * Math.exp(normal * spread);
}

/** Returns the spans (the root first) and the log lines of a request. Times are offsets. */
export function plan(name, options = {}) {
  const request = { spans: [], logs: [], trace: options.trace ?? hex(16) };
  const root = invocation(request, name, null, 0, options);
  return { ...request, root };
}

function invocation(request, name, parent, start, { budget, time }) {
  const what = BY_NAME.get(name);
  const own = what.limits.timeout ? microseconds(what.limits.timeout) : Infinity;
  const grace = what.limits.grace ? microseconds(what.limits.grace) : 0;
  const deadline = Math.min(start + own, start + (budget ?? Infinity), parent?.deadline_us ?? Infinity);
  const queue = parent && Math.random() < 0.3 ? vary(300, 1) : 0;
  const checkout = what.instances ? vary(60, 0.4) : vary(4, 0.4);
  const run = start + queue + checkout;
  const span = {
    id: nextId++, parent: parent?.id ?? null, kind: what.kind ?? "invocation", name,
    start_us: start, end_us: 0, queue_us: queue, checkout_us: checkout, grace_us: 0,
    deadline_us: deadline === Infinity ? null : deadline, done_us: null, done: null, cause: null,
    outcome: "response", message: null, status: 200, cpu_us: 0,
    peak_memory: Math.round(what.memory * 1_048_576), request_bytes: 0,
    response_bytes: Math.round(vary(600, 0.8)), trace_id: request.trace, span_id: hex(8), version: version(what),
  };
  request.spans.push(span);

  const median = what.slow && Math.random() < what.slow ? what.time * 200 : what.time;
  const taken = time ?? vary(median, what.spread);
  const children = request.spans.length;
  const steps = {
    own: taken,
    log: (at, level, source, text) => request.logs.push({ at_us: at, span: span.id, level, source, text }),
    call: (callee, at, most) => invocation(request, callee, span, at, { budget: most }).end_us,
    fetch: (url, at, most) => fetched(request, url, span, at, vary(most, 0.4)),
    stopOthers: (at) => {
      for (const other of request.spans.slice(children)) if (other.end_us > at) done(other, at, 300, "canceled", "parent-done");
    },
  };
  span.end_us = what.body && time === undefined ? what.body(steps, run) : run + taken;
  const busy = name === "ticker" ? 900 : what.body ? taken / 9 : Math.min(taken, 3_000_000);
  span.cpu_us = Math.min(busy, span.end_us - run) * 0.93;

  if (span.end_us > deadline) {
    // What it would have started later does not happen.
    const started = request.spans.filter((one, index) => index < children || one.start_us < deadline);
    request.spans.splice(0, Infinity, ...started);
    const ids = new Set(started.map((one) => one.id));
    request.logs.splice(0, Infinity, ...request.logs.filter((line) => ids.has(line.span)));
    const late = what.answersLate ? vary(14_000, 0.3) : Math.min(grace, span.end_us - deadline) * (what.time > 1e9 ? 1 : 0.2 + Math.random() / 2);
    done(span, deadline, late, "deadline-exceeded", "deadline-exceeded");
    if (what.answersLate) {
      Object.assign(span, { outcome: "response", status: 200, message: null });
    } else {
      steps.log(deadline, "WARN", "hourglass", "the context is done: deadline-exceeded");
    }
    for (const other of request.spans.slice(children)) if (other.end_us > deadline) done(other, deadline, late / 3, "deadline-exceeded", "parent-done");
    span.cpu_us = Math.min(span.cpu_us, span.end_us - run);
  } else if (Math.random() < (what.faults ?? 0)) {
    const fault = name === "thumbnail" ? "out-of-memory" : "trap";
    Object.assign(span, {
      outcome: fault, status: 500, response_bytes: 0,
      message: fault === "trap" ? "the guest trapped: wasm `unreachable` instruction executed (index out of bounds: the len is 3 but the index is 3), in shop::order::line" : "the guest needed more than its 32MiB of memory; raise `memory`",
    });
    steps.log(span.end_us - 5, "ERROR", "stderr", fault === "trap" ? "panicked at src/order.rs:41: index out of bounds" : "memory allocation of 25165824 bytes failed");
  }
  return span;
}

function fetched(request, url, parent, start, taken) {
  const fails = Math.random() < 0.02;
  request.spans.push({
    id: nextId++, parent: parent.id, kind: "fetch", name: url, start_us: start, end_us: start + taken,
    queue_us: 0, checkout_us: 0, grace_us: 0, deadline_us: parent.deadline_us, done_us: null, done: null, cause: null,
    outcome: fails ? "unreachable" : "response", message: fails ? "connection refused (os error 111)" : null,
    status: fails ? null : 200, cpu_us: 0, peak_memory: 0, request_bytes: 0, response_bytes: fails ? 0 : Math.round(vary(4_000, 1)),
    trace_id: request.trace, span_id: hex(8),
  });
  return start + taken;
}

/** The context of a span is done at this time, and the span ends after a grace period. */
export function done(span, at, grace, kind, cause) {
  const from = Math.max(at, span.start_us);
  Object.assign(span, {
    done_us: from, done: kind, cause, end_us: from + grace, grace_us: grace,
    outcome: span.kind === "fetch" ? "canceled" : kind, status: span.kind === "fetch" ? null : kind === "canceled" ? 503 : 504, response_bytes: 0,
    message: `context ${kind.replace("-", " ")} (cause: ${cause})`,
  });
}
