/** The functions of the mock host: what they may do, and how their invocations go. */

import { createHash } from "node:crypto";

const limits = (timeout, memory, more = {}) => ({
  timeout, grace: "100ms", memory, request_body: "1MiB", response_body: "1MiB", max_calls: "100", ...more,
});

/** `rate` is per second, `time` the median of the run in microseconds, `spread` its variation. */
export const FUNCTIONS = [
  { name: "hello", rate: 180, time: 120, spread: 0.5, memory: 1.1, faults: 0.0005, limits: limits("10s", "128MiB"), routes: ["/hello"] },
  { name: "metadata", rate: 40, time: 210, spread: 0.5, memory: 1.2, limits: limits("10s", "128MiB"), routes: ["/metadata"] },
  { name: "shop", rate: 30, time: 900, spread: 0.8, memory: 2.4, faults: 0.004, limits: limits("2s", "64MiB"), routes: ["/shop", "/shop/{id}"], environment: ["SHOP_CURRENCY", "SHOP_REGION"], mounts: ["/data"] },
  { name: "fanout", rate: 4, time: 700, spread: 0.4, memory: 1.8, calls: ["price", "rates"], limits: limits("500ms", "64MiB"), routes: ["/fanout"], body: fanout },
  { name: "price", rate: 0, time: 24_000, spread: 0.9, memory: 1.3, limits: limits("200ms", "64MiB"), routes: [], hosts: ["https://prices.example"], body: price },
  { name: "rates", rate: 0, time: 400, spread: 0.4, kind: "host_function", memory: 0, limits: {}, routes: [] },
  { name: "pipeline", rate: 2, time: 2_000, spread: 0.4, memory: 2.2, calls: ["markdown", "word-count", "summary"], limits: limits("2s", "64MiB"), routes: ["/pipeline"], body: pipeline },
  { name: "markdown", rate: 6, time: 3_100, spread: 0.7, memory: 3.9, limits: limits("1s", "64MiB"), routes: ["/markdown"] },
  { name: "word-count", rate: 0, time: 1_400, spread: 0.4, memory: 1.6, limits: limits("1s", "64MiB"), routes: [] },
  { name: "summary", rate: 0, time: 9_500, spread: 0.9, memory: 4.4, limits: limits("1s", "64MiB"), routes: [], slow: 0.06 },
  { name: "thumbnail", rate: 3, time: 38_000, spread: 0.6, memory: 24, faults: 0.03, limits: limits("1s", "32MiB"), routes: ["/thumbnail"], instances: "it exports a table that it changes" },
  { name: "mandelbrot", rate: 0.7, time: 420_000, spread: 0.5, memory: 4.8, limits: limits("1s", "64MiB", { grace: "300ms" }), routes: ["/mandelbrot"], answersLate: true },
  { name: "proxy", rate: 5, time: 500, spread: 0.4, memory: 2.1, limits: limits("1s", "64MiB"), routes: ["/proxy"], hosts: ["https://api.example", "https://*.cdn.example"], body: proxy },
  { name: "spin", rate: 0.15, time: 1e12, spread: 0, memory: 1, limits: limits("2s", "16MiB"), routes: ["/spin"] },
  { name: "ticker", rate: 0.3, time: 6_000_000, spread: 0.5, memory: 1.1, limits: limits("20s", "16MiB"), routes: ["/ticker"], instances: "its start function reads the clock" },
  { name: "crawl", rate: 0, time: 4_000, spread: 0.4, memory: 6, calls: ["extract", "index"], limits: limits("60s", "64MiB"), routes: ["/crawl"] },
  { name: "extract", rate: 0, time: 2_000, spread: 0.4, memory: 3, calls: ["index"], limits: limits("60s", "64MiB"), routes: [] },
  { name: "index", rate: 0, time: 1_000, spread: 0.4, memory: 9, calls: ["extract"], limits: limits("60s", "64MiB"), routes: [], environment: ["INDEX_URL"], hosts: ["https://index.example"] },
  { name: "", rate: 3, time: 2_500, spread: 0.7, memory: 1.4, limits: limits("1s", "64MiB"), routes: [] },
];

export const BY_NAME = new Map(FUNCTIONS.map((one) => [one.name, one]));

/** Which module a function has. Functions of the host have none. */
export function version({ name, kind }) {
  return kind === "host_function" ? null : createHash("sha256").update(name).digest("hex").slice(0, 12);
}

/** As `GET /functions` has them. */
export function infos() {
  return FUNCTIONS.filter((one) => one.name !== "").map((one) => ({
    name: one.name,
    kind: one.kind ?? "function",
    version: version(one),
    instances: one.kind ? null : one.instances ? `every invocation gets a new instance, because ${one.instances}` : "its instances are reset in place",
    limits: one.limits,
    calls: one.calls ?? [],
    allow_hosts: one.hosts ?? [],
    mounts: one.mounts ?? [],
    environment: one.environment ?? [],
    routes: one.routes,
  }));
}

/** `"200ms"` in microseconds. */
export function microseconds(text) {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text);
  return Number(number) * { us: 1, ms: 1e3, s: 1e6, m: 6e7 }[unit];
}

// The bodies of functions that call others. `at` is when the run starts; they return when it ends.

function fanout(plan, at) {
  const ends = ["corner", "market", "harbor"].map((shop) => {
    plan.log(at + 60, "INFO", "stderr", `asking ${shop}`);
    return plan.call("price", at + 80, 150_000);
  });
  const [, second] = ends.toSorted((a, b) => a - b);
  const converted = plan.call("rates", second + 100, 50_000);
  plan.log(converted + 20, "INFO", "stderr", "two of three have answered");
  plan.stopOthers(converted + 150);
  return converted + 400;
}

function price(plan, at) {
  return plan.fetch("GET https://prices.example/v1/quote", at + 200, plan.own) + 150;
}

function pipeline(plan, at) {
  let now = at + 300;
  for (const name of ["markdown", "word-count", "summary"]) {
    plan.log(now, "DEBUG", "hourglass::guest", `calling ${name}`);
    now = plan.call(name, now + 40) + 120;
  }
  plan.log(now, "INFO", "stdout", "done with 3 steps");
  return now + 500;
}

function proxy(plan, at) {
  const end = plan.fetch("GET https://api.example/v2/items", at + 150, 30_000);
  return plan.fetch("GET https://img.cdn.example/thumb.webp", end + 90, 12_000) + 200;
}
