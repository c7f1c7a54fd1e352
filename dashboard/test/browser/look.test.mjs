import assert from "node:assert/strict";
import { test } from "node:test";
import { background, hosted, invoke, mockOnly, open, violations } from "./setup.mjs";

/** All views, each with what has to be there before it is looked at. */
async function views(host) {
  const { request } = await invoke(host, "fanout");
  return [
    ["", "Functions"],
    ["#/live", "Live invocations"],
    ["#/requests", "Requests"],
    [`#/requests/${request}`, "fanout"],
    ["#/functions/fanout", "Invoke"],
    ["#/example", "One picture, two deadlines"],
    ["#/nothing", "Not found"],
  ];
}

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing in any view, ${colorScheme}`, async (context) => {
    const host = await hosted(context, { live: 40 });
    const page = await open(context, host, "#/requests", { colorScheme, reducedMotion: "reduce" });
    await page.getByText("Live", { exact: true }).and(page.getByRole("status")).waitFor();
    for (const [hash, heading] of await views(host)) {
      await page.goto(host.url + hash);
      await page.getByRole("heading", { name: heading }).first().waitFor();
      if (hash === "#/example") await page.locator(".picture-share").nth(1).waitFor();
      if (/requests\/\d/.test(hash)) await page.getByRole("treegrid").waitFor();
      assert.deepEqual(await violations(page), [], hash);
    }
  });
}

test("axe finds nothing in a dialog, a notice and the form for the token", async (context) => {
  const host = await hosted(context, { live: 20 });
  const page = await open(context, host, "#/live");
  if (host.mock === null) background(host, "spin");
  await page.locator(".treegrid-rows > [role=row]").first().click();
  await page.getByRole("button", { name: "Cancel selected" }).click();
  await page.getByRole("dialog").waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  if (host.mock === null) return;
  host.mock.host.draining = true;
  await page.getByText("The host is shutting down.").waitFor();
  assert.deepEqual(await violations(page), []);
  const closed = await hosted(context, { token: "0123456789abcdef" });
  const signIn = await open(context, closed, "", { expected: [/401/] });
  await signIn.getByLabel("Token", { exact: true }).waitFor();
  assert.deepEqual(await violations(signIn), []);
});

test("axe finds nothing where there is nothing to show", mockOnly, async (context) => {
  const host = await hosted(context, { functions: false });
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(context, host, "", { colorScheme, expected: [/404/] });
    for (const [hash, text] of [["", "No function is deployed."], ["#/live", "Nothing is in flight."], ["#/requests", "Nothing is recorded yet."], ["#/requests/1", "not kept any more"], ["#/functions", "No function is deployed."], ["#/example", "not deployed on this host"]]) {
      await page.goto(host.url + hash);
      await page.getByText(text).waitFor();
      assert.deepEqual(await violations(page), [], hash);
    }
  }
});

test("colors follow the system, and a switch overrules it", async (context) => {
  const host = await hosted(context);
  const page = await open(context, host, "", { colorScheme: "dark" });
  const painted = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.getByRole("heading", { name: "Functions" }).waitFor();
  const dark = await painted();
  await page.emulateMedia({ colorScheme: "light" });
  const light = await painted();
  assert.notEqual(dark, light);
  const button = page.getByRole("button", { name: /^Colors:/ });
  await button.click();
  await button.click();
  assert.equal(await painted(), dark);
  await page.reload();
  await button.waitFor();
  assert.equal(await painted(), dark);
  await button.click();
  assert.equal(await painted(), light);
});

test("a screen 360 pixels wide shows every view without a sideways scroll", async (context) => {
  const host = await hosted(context, { live: 20 });
  const page = await open(context, host, "#/requests", { viewport: { width: 360, height: 740 } });
  await page.getByText("Live", { exact: true }).and(page.getByRole("status")).waitFor();
  for (const [hash, heading] of await views(host)) {
    await page.goto(host.url + hash);
    await page.getByRole("heading", { name: heading }).first().waitFor();
    if (hash === "#/example") await page.locator(".picture-share").nth(1).waitFor();
    const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    assert.ok(content <= screen, `${hash} is ${content} pixels wide on a screen of ${screen}`);
  }
});

test("with less motion, bars move once a second", async (context) => {
  const host = await hosted(context, { load: 0 });
  const page = await open(context, host, "#/live", { reducedMotion: "reduce" });
  background(host, "spin");
  await page.locator(".bar > span").first().waitFor();
  const changes = await page.evaluate(() => new Promise((resolve) => {
    const bar = document.querySelector(".bar > span");
    let count = 0;
    new MutationObserver(() => count++).observe(bar, { attributes: true, attributeFilter: ["style"] });
    setTimeout(() => resolve(count), 1_500);
  }));
  assert.ok(changes <= 3, `${changes} changes in 1.5 seconds`);
});
