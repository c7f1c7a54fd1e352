import assert from "node:assert/strict";
import { test } from "node:test";
import { background, hosted, invoke, mockOnly, open } from "./setup.mjs";

/** The role of what has the focus at the moment at which the dialog leaves the document. */
const focusWithoutDialog = (page) => page.evaluate(() => new Promise((resolve) => {
  new MutationObserver((_, observer) => {
    if (document.querySelector("dialog")) return;
    observer.disconnect();
    resolve(document.activeElement.getAttribute("role"));
  }).observe(document.body, { childList: true, subtree: true });
}));

const rows = (page) => page.locator(".treegrid-rows > [role=row]");
const active = (page) => page.evaluate(() => {
  const id = document.activeElement?.getAttribute("aria-activedescendant");
  return id && document.getElementById(id) ? id : null;
});

test("an invocation is canceled after confirmation only", async (context) => {
  const host = await hosted(context, { load: 0 });
  const page = await open(context, host, "#/live");
  const ended = invoke(host, "spin", { timeout_ms: 1_900, path: "/spin?first" });
  const row = rows(page).filter({ hasText: "spin" });
  await row.getByRole("button", { name: /Cancel spin/ }).click();
  const dialog = page.getByRole("dialog", { name: /Cancel spin #\d+\?/ });
  await dialog.getByRole("button", { name: "Keep running" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.notEqual((await ended).cause, "operator");
  await page.getByText("Nothing is in flight.").waitFor();

  const second = invoke(host, "spin");
  await row.getByRole("button", { name: /Cancel spin/ }).click();
  await dialog.getByRole("button", { name: "Cancel invocation" }).click();
  await page.getByText("Canceled 1 invocation.").waitFor();
  const { outcome, cause } = await second;
  assert.deepEqual([outcome, cause], ["canceled", "operator"]);
  await page.getByText("Nothing is in flight.").waitFor();
});

test("the remaining time runs down without rendering", async (context) => {
  const host = await hosted(context, { load: 0 });
  const page = await open(context, host, "#/live");
  background(host, "spin");
  const bar = page.locator(".bar > span").first();
  await bar.waitFor();
  const before = await bar.evaluate((element) => element.getBoundingClientRect().right);
  await page.waitForFunction((was) => {
    const element = document.querySelector(".bar > span");
    return element !== null && element.getBoundingClientRect().right < was - 20;
  }, before);
  await page.getByText("Nothing is in flight.").waitFor();
});

test("a tree is used by keyboard alone", mockOnly, async (context) => {
  const host = await hosted(context, { load: 0, live: 200, lasting: 1_000 });
  const page = await open(context, host, "#/live");
  await rows(page).first().waitFor();
  // From the skip link to the tree by Tab.
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
  for (let i = 0; i < 10; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement?.getAttribute("role") === "treegrid")) break;
  }
  // The tree is held, so that no row comes or goes meanwhile.
  await page.getByRole("button", { name: "Hold" }).click();
  await page.locator("[role=treegrid]").focus();

  await page.keyboard.press("Home");
  const first = await active(page);
  assert.ok(first, "the first row is active");
  await page.keyboard.press("End");
  await page.waitForFunction((was) => document.activeElement.getAttribute("aria-activedescendant") !== was, first);
  const last = await active(page);
  assert.ok(last, "the last row is in the document");
  await page.waitForFunction((id) => {
    const row = document.getElementById(id);
    const grid = row.closest("[role=treegrid]").getBoundingClientRect();
    const box = row.getBoundingClientRect();
    return box.top >= grid.top && box.bottom <= grid.bottom + 1;
  }, last);

  await page.keyboard.press("Home");
  // The first row that has children.
  for (let i = 0; i < 200; i++) {
    if (await page.locator(`#${await active(page)}[aria-expanded=true]`).count()) break;
    await page.keyboard.press("ArrowDown");
  }
  const parent = await active(page);
  await page.keyboard.press("ArrowLeft");
  await page.locator(`#${parent}[aria-expanded=false]`).waitFor();
  await page.keyboard.press("ArrowRight");
  await page.locator(`#${parent}[aria-expanded=true]`).waitFor();
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((was) => document.activeElement.getAttribute("aria-activedescendant") !== was, parent);
  await page.keyboard.press("ArrowLeft");
  for (let i = 0; i < 5 && (await active(page)) !== parent; i++) await page.keyboard.press("ArrowLeft");
  assert.equal(await active(page), parent);

  await page.keyboard.press("Delete");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  assert.ok(await page.evaluate(() => document.querySelector("dialog").contains(document.activeElement)));
  const focused = focusWithoutDialog(page);
  await page.keyboard.press("Escape");
  assert.equal(await focused, "treegrid");

  await page.keyboard.press("Delete");
  await dialog.getByRole("button", { name: /^Cancel/ }).focus();
  await page.keyboard.press("Enter");
  await page.getByText(/Canceled \d+ invocations\./).waitFor();
});

test("a filter keeps the callers and callees of a match", mockOnly, async (context) => {
  const host = await hosted(context, { load: 0, live: 60 });
  const page = await open(context, host, "#/live");
  await rows(page).first().waitFor();
  await page.getByRole("searchbox").fill("extract");
  await page.waitForFunction(() => document.querySelectorAll(".treegrid-rows > [aria-level='1']").length > 0);
  const names = await rows(page).locator(".name").allTextContents();
  assert.ok(names.includes("extract") && names.includes("crawl"), names.join());
  await page.getByRole("searchbox").fill("nothing like this");
  await page.getByText("No invocation in flight matches.").waitFor();
});

test("1,000 live invocations move at the rate of the screen", async (context) => {
  const host = await hosted(context, { load: 0.2, live: 1_000 });
  const page = await open(context, host, "#/live");
  if (host.mock === null) {
    // The host at DASHBOARD_URL has as many in flight as its test started.
    if (process.env.DASHBOARD_LIVE === undefined) return context.skip("DASHBOARD_LIVE is not set");
  }
  await page.waitForFunction(() => Number(document.querySelector("[role=treegrid]")?.getAttribute("aria-rowcount")) > 1_000);
  const listed = await page.evaluate(() => document.querySelectorAll("[role=row]").length);
  assert.ok(listed < 100, `${listed} rows are in the document`);
  const measured = [];
  // The best of some windows: other programs use the processor as well.
  for (let i = 0; i < 20; i++) {
    measured.push(await page.evaluate(frames, 1_500));
    if (measured.at(-1).fps >= 58) break;
  }
  context.diagnostic(measured.map(({ fps, worst }) => `${fps.toFixed(1)} frames per second, the longest ${worst.toFixed(0)} ms`).join("; "));
  assert.ok(Math.max(...measured.map((one) => one.fps)) >= 55, JSON.stringify(measured));
});

/** Counts the frames that the browser shows in this time. */
function frames(time) {
  return new Promise((resolve) => {
    const begin = performance.now();
    let [count, last, worst] = [0, begin, 0];
    requestAnimationFrame(function next(now) {
      count++;
      worst = Math.max(worst, now - last);
      last = now;
      if (now - begin < time) requestAnimationFrame(next);
      else resolve({ fps: (count * 1_000) / (now - begin), worst });
    });
  });
}
