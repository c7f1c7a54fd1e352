/**
 * The browser, and the host that the tests look at: the one at `DASHBOARD_URL` (with the token in
 * `DASHBOARD_TOKEN`, if it has one), else a mock. A host at `DASHBOARD_URL` serves the functions of
 * the examples.
 */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after } from "node:test";
import { start } from "../../mock/server.mjs";
import { launch } from "./launch.mjs";

export const real = process.env.DASHBOARD_URL ?? null;
const token = process.env.DASHBOARD_TOKEN ?? null;

/** For tests of states that only the mock can be put in. */
export const mockOnly = { skip: real !== null && "needs the mock" };

/** The policy of the page allows no script element of the test, but the debugger can evaluate. */
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const browser = await launch();
after(() => browser.close());

const cleanups = new WeakMap();

/** At the end of the test, what was opened last is closed first. */
function atEnd(context, close) {
  let list = cleanups.get(context);
  if (list === undefined) {
    list = [];
    cleanups.set(context, list);
    context.after(async () => {
      const errors = [];
      for (const one of list.reverse()) await one().catch((error) => errors.push(error));
      if (errors.length > 0) throw errors[0];
    });
  }
  list.push(close);
}

/** A host for one test. `mock` is null for a real one. */
export async function hosted(context, options = {}) {
  if (real !== null) return { url: real.endsWith("/") ? real : `${real}/`, mock: null };
  const mock = await start(options);
  atEnd(context, () => mock.close());
  return { url: mock.url, mock };
}

/** Opens a view. At the end of the test the console must be free of errors, except the expected ones. */
export async function open(context, host, hash = "", { expected = [], signIn = true, ...options } = {}) {
  const pages = await browser.newContext({ viewport: { width: 1360, height: 900 }, reducedMotion: "no-preference", ...options });
  const page = await pages.newPage();
  page.setDefaultTimeout(30_000);
  const problems = [];
  page.on("console", (line) => {
    if (["error", "warning"].includes(line.type()) && !expected.some((one) => one.test(line.text()))) problems.push(line.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  if (signIn && token !== null) await page.addInitScript((value) => sessionStorage.setItem("hourglass-token", value), token);
  await page.goto(host.url + hash);
  atEnd(context, async () => {
    await pages.close();
    assert.deepEqual(problems, [], "the console has errors");
  });
  return page;
}

/** What the API answers to a request for this path. */
export async function api(host, path, { headers, ...request } = {}) {
  const response = await fetch(host.url + path, {
    ...request,
    headers: { ...headers, ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
  });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

/** Invokes a function by the API. The result is that of the API. */
export function invoke(host, name, request = {}) {
  return api(host, `functions/${name}/invoke`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ method: "GET", path: `/${name}`, headers: [], body: "", timeout_ms: null, ...request }),
  });
}

/** Starts an invocation that the end of the test may break off. */
export function background(host, name, request) {
  invoke(host, name, request).catch(() => {});
}

/** Runs axe on the page. Returns what is wrong, as short lines. */
export async function violations(page) {
  await page.evaluate(AXE);
  const { violations: found } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return found.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target.join(" ")}: ${node.failureSummary}`));
}
