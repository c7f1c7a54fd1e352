/**
 * A mock of the admin listener: the built page, and the API with data that is made up. For
 * development and for the browser tests.
 *
 *     node mock/server.mjs [--port 9091] [--token TOKEN] [--live 1000] [--load 1] [--empty]
 */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BY_NAME, infos } from "./catalog.mjs";
import { Host, summaryOf } from "./host.mjs";
import { mandelbrot } from "./mandelbrot.mjs";
import { plan } from "./plan.mjs";

const PAGE = new URL("../../runtime/src/http/admin/page/", import.meta.url);
const ASSETS = { "/": ["index.html", "text/html; charset=utf-8"], "/app.js": ["app.js", "text/javascript; charset=utf-8"], "/app.css": ["app.css", "text/css; charset=utf-8"] };
const SECURITY = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff", "cache-control": "no-store", connection: "close",
};

/** Starts the mock. `host` is the state behind it; `streams` are the open event streams. */
export async function start({ port = 0, token = null, ...options } = {}) {
  const host = new Host(options);
  const streams = new Set();
  const server = createServer((request, response) => {
    answer({ host, streams, token }, request, response).catch((error) => problem(response, 500, String(error)));
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    host, streams,
    async close() {
      host.close();
      for (const stream of streams) stream.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(context, request, response) {
  const { host, token } = context;
  const url = new URL(request.url, "http://mock");
  const asset = ASSETS[url.pathname];
  if (asset && request.method === "GET") {
    const [file, type] = asset;
    return reply(response, 200, type, await readFile(new URL(file, PAGE)));
  }
  if (token !== null && request.headers.authorization !== `Bearer ${token}`) {
    return problem(response, 401, "show the token, as `Authorization: Bearer TOKEN`");
  }
  const [first, second, third] = url.pathname.split("/").slice(1).map(decodeURIComponent);
  switch (`${request.method} ${first}`) {
    case "GET events":
      return events(context, request, response);
    case "GET requests":
      if (second === undefined) return json(response, { requests: list(host, url.searchParams) });
      {
        const found = host.find(Number(second));
        return found ? json(response, found) : problem(response, 404, `request ${second} is not kept`);
      }
    case "GET functions":
      return json(response, { functions: host.functions ? infos() : [] });
    case "POST functions":
      return third === "invoke" ? invoke(host, second, request, response) : problem(response, 404, "no such endpoint");
    case "DELETE invocations": {
      const canceled = host.cancel(Number(second));
      return canceled > 0 ? json(response, { canceled }) : problem(response, 404, `no invocation ${second} is in flight`);
    }
    case "GET invocations":
      return json(response, [...host.live.values()].map(({ entry }) => entry));
    default:
      return problem(response, 404, "no such endpoint");
  }
}

function events({ host, streams }, request, response) {
  if (streams.size >= 16) return problem(response, 503, "16 streams are open");
  response.writeHead(200, { "content-type": "text/event-stream", ...SECURITY });
  streams.add(response);
  const send = (name, data) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  const positions = new Map();
  send("overview", host.overview(positions));
  const everything = [...host.live.values()].map(({ entry }) => ({ ...entry }));
  send("live", { now: Date.now(), started: everything.slice(0, 10_000), changed: [], ended: [], left_out: Math.max(everything.length - 10_000, 0) });
  const onChanges = (changes) => send("live", { now: Date.now(), ...changes, left_out: 0 });
  const onRecorded = (requests) => send("recorded", { requests });
  host.on("changes", onChanges).on("recorded", onRecorded);
  host.flusher ??= setInterval(() => flush(host), 250);
  host.timers.add(host.flusher);
  const seconds = setInterval(() => send("overview", host.overview(positions)), 1_000);
  request.on("close", () => {
    clearInterval(seconds);
    host.off("changes", onChanges).off("recorded", onRecorded);
    streams.delete(response);
  });
}

function flush(host) {
  const { started, changed, ended } = host.changes;
  host.changes = { started: [], changed: [], ended: [] };
  if (started.length + changed.length + ended.length > 0) host.emit("changes", { started, changed, ended });
  const recorded = host.recorded.slice(-100);
  host.recorded = [];
  if (recorded.length > 0) host.emit("recorded", recorded);
}

function list(host, query) {
  const wanted = (one) =>
    (!query.get("function") || one.function === query.get("function")) &&
    (!query.get("outcome") || one.outcome === query.get("outcome")) &&
    (!query.get("trace") || one.trace_id === query.get("trace"));
  const from = { slowest: host.slowest, failed: host.failed }[query.get("list")] ?? host.recent;
  return from.filter(wanted).slice(0, 200).map(summaryOf);
}

async function invoke(host, name, request, response) {
  const what = BY_NAME.get(name);
  if (!what || !host.functions || what.kind) return problem(response, 404, `no function ${name} is deployed`);
  if (host.draining) return problem(response, 503, "the host is shutting down");
  const chunks = await request.toArray();
  const { method, path, body, timeout_ms: budget } = JSON.parse(Buffer.concat(chunks).toString());
  if (!path.startsWith("/")) return problem(response, 400, "the path does not start with a slash");
  const options = budget === null ? {} : { budget: budget * 1e3 };
  let picture = null;
  if (name === "mandelbrot") {
    const query = new URL(path, "http://mock").searchParams;
    const number = (key, usual) => Number(query.get(key) ?? usual);
    picture = mandelbrot(number("width", 800), number("height", 600), number("iterations", 1_000), Math.min(budget ?? 1_000, 1_000));
    options.time = picture.percent === 100 ? 0.9 * (budget ?? 1_000) * 1e3 : 1e9;
  }
  const made = host.begin(plan(name, options), { method, path, byHand: true });
  const recording = await made.ended;
  const { root } = made;
  const isResponse = root.outcome === "response";
  const shown = picture ? picture.png.toString("base64") : isResponse ? text(name, path, method, body, root) : problemBody(root.status, root.message);
  return json(response, {
    request: recording.id, status: root.status,
    headers: [
      ["content-type", picture ? "image/png" : !isResponse ? "application/problem+json" : name === "metadata" ? "application/json" : "text/plain; charset=utf-8"],
      ["x-request-id", recording.request_id],
      ...(picture ? [["x-complete", `${picture.percent}%`]] : []),
    ],
    body: shown, is_base64: picture !== null, truncated: false, duration_us: recording.duration_us,
    outcome: root.outcome, cause: isResponse ? null : root.cause, message: root.message,
  });
}

function text(name, path, method, body, root) {
  const left = `${((root.deadline_us - root.end_us) / 1e6).toFixed(1)}s left`;
  if (name === "metadata") return JSON.stringify({ request: { method, path, body_bytes: body.length }, context: { deadline: left } });
  if (name === "fanout") return "corner: 29\nmarket: 24\n1 not waited for\n";
  return `${name} ${path.split("/").at(-1)}, ${left}\n${body}`;
}

function problemBody(status, detail) {
  return JSON.stringify({ title: "the invocation failed", status, detail });
}

function json(response, value) {
  reply(response, 200, "application/json", `${JSON.stringify(value)}\n`);
}

function problem(response, status, detail) {
  reply(response, status, "application/problem+json", JSON.stringify({ title: "the request failed", status, detail }));
}

function reply(response, status, type, body) {
  if (response.headersSent) return response.destroy();
  response.writeHead(status, { "content-type": type, ...SECURITY });
  response.end(body);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: {
    port: { type: "string", default: "9091" }, token: { type: "string" }, live: { type: "string", default: "0" },
    load: { type: "string", default: "1" }, empty: { type: "boolean", default: false },
  } });
  const { url } = await start({ port: Number(values.port), token: values.token ?? null, live: Number(values.live), load: Number(values.load), functions: !values.empty });
  console.log(`the dashboard is at ${url}`);
}
