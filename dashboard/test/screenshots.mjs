/** Writes the pictures of the documentation, of the host at `DASHBOARD_URL` or of a mock. */

import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { start } from "../mock/server.mjs";
import { launch } from "./browser/launch.mjs";

const TO = fileURLToPath(new URL("../../docs/images/", import.meta.url));
/** The charts show a minute. */
const MINUTE = 62_000;

await mkdir(TO, { recursive: true });
const host = process.env.DASHBOARD_URL ? { url: process.env.DASHBOARD_URL, close() {} } : await start({ live: 40 });
const browser = await launch();

const open = async (hash, options) => {
  const page = await browser.newPage({ viewport: { width: 1360, height: 860 }, ...options });
  await page.goto(host.url + hash);
  return page;
};
const write = async (page, name) => {
  await page.screenshot({ path: `${TO}dashboard-${name}.png` });
  console.log(`docs/images/dashboard-${name}.png`);
};
/** An invocation of a function with others below it, that its deadline ends before it has its result. */
const invoke = async () => {
  const response = await fetch(`${host.url}functions/fanout/invoke`, {
    method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ method: "GET", path: "/fanout", headers: [], body: "", timeout_ms: 30 }),
  });
  return response.json();
};

const overview = await open("");
const dark = await open("", { colorScheme: "dark" });
await overview.waitForTimeout(MINUTE);
await write(overview, "overview");
await write(dark, "dark");

let ended;
for (let tries = 0; tries < 50 && ended?.outcome !== "deadline-exceeded"; tries++) ended = await invoke();
const hash = `#/requests/${ended.request}`;
const waterfall = await open(hash);
await waterfall.getByRole("treegrid").waitFor();
await write(waterfall, "waterfall");

const narrow = await open(hash, { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 });
await narrow.getByRole("treegrid").waitFor();
await write(narrow, "narrow");

const example = await open("#/example");
await example.locator(".picture-time").nth(1).waitFor();
await write(example, "example");

await browser.close();
await host.close();
