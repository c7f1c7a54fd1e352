import assert from "node:assert/strict";
import { test } from "node:test";
import { api, hosted, mockOnly, open } from "./setup.mjs";

test("a function is invoked by its form, and the response has a waterfall", async (context) => {
  const host = await hosted(context);
  const page = await open(context, host, "#/functions/hello");
  await page.getByLabel("Path").fill("/hello/Ada");
  await page.getByRole("button", { name: "Add a header" }).click();
  await page.getByLabel("Name of header 1").fill("x-request-id");
  await page.getByLabel("Value of header 1").fill("by-hand");
  await page.getByRole("button", { name: "Invoke", exact: true }).click();
  const body = page.getByRole("region", { name: "Body" });
  await body.waitFor();
  assert.match(await body.textContent(), /hello Ada, .* left/);
  await page.getByRole("treegrid", { name: "Context tree as a waterfall" }).getByRole("row", { name: /hello/ }).waitFor();
  await page.getByRole("link", { name: "Open the recording" }).click();
  await page.getByRole("heading", { name: "hello" }).first().waitFor();
});

test("a budget ends the invocation, and the form shows how", async (context) => {
  const host = await hosted(context);
  const page = await open(context, host, "#/functions/spin");
  await page.getByLabel("Timeout in ms").fill("50");
  await page.getByRole("button", { name: "Invoke", exact: true }).click();
  const response = page.getByRole("region", { name: "Response" });
  await response.getByText("504").first().waitFor();
  await response.getByText("deadline exceeded").first().waitFor();
  assert.ok(await response.locator(".phase-grace").first().boundingBox(), "the grace period is drawn");
});

test("a refusal of the host is shown", async (context) => {
  const host = await hosted(context);
  const page = await open(context, host, "#/functions/hello", { expected: [/400|404|503/] });
  await page.route("**/functions/hello/invoke", (route) => route.fulfill({
    status: 503, contentType: "application/problem+json", body: JSON.stringify({ title: "busy", status: 503, detail: "the host is full" }),
  }));
  await page.getByRole("button", { name: "Invoke", exact: true }).click();
  await page.getByRole("alert").getByText("the host is full").waitFor();
});

test("limits and capabilities are listed", async (context) => {
  const host = await hosted(context);
  const page = await open(context, host, "#/functions/fanout");
  for (const text of ["timeout", "memory", "calls", "routes", "instances"]) await page.getByText(text, { exact: true }).first().waitFor();
  await page.locator(".function-facts").getByRole("link", { name: "price" }).click();
  await page.getByRole("heading", { name: "price" }).waitFor();
});

test("a click on the version of a function selects it", async (context) => {
  const host = await hosted(context, { load: 0 });
  const { functions } = await api(host, "functions");
  const { version } = functions.find((one) => one.name === "hello");
  assert.match(version, /^[0-9a-f]{12}$/);
  for (const width of [1360, 360]) {
    const page = await open(context, host, "#/functions/hello", { viewport: { width, height: 900 } });
    const shown = page.locator(".function-details").getByText(version, { exact: true });
    assert.match(await shown.getAttribute("title"), /first 12 digits of the BLAKE3 hash/);
    await shown.click();
    assert.equal(await page.evaluate(() => String(getSelection())), version, `on a screen ${width} pixels wide`);
  }
});

test("a new version is shown when its function is opened again", async (context) => {
  const host = await hosted(context, { load: 0 });
  const page = await open(context, host, "#/functions/hello");
  await page.getByRole("heading", { name: "hello" }).waitFor();
  await page.getByText("Live", { exact: true }).and(page.getByRole("status")).waitFor();
  const answer = await api(host, "functions");
  answer.functions.find((one) => one.name === "hello").version = "0123456789ab";
  await page.route("**/functions", (route) => route.fulfill({ json: answer }));
  const list = page.getByRole("navigation", { name: "Functions" });
  for (const name of ["fanout", "hello"]) await list.getByRole("link", { name }).click();
  await page.locator(".function-details").getByText("0123456789ab").waitFor();
});

test("a function of the host has no version", mockOnly, async (context) => {
  const host = await hosted(context, { load: 0 });
  const page = await open(context, host, "#/functions/rates");
  const details = page.getByRole("region", { name: "rates" });
  await details.getByText("in the host").waitFor();
  assert.doesNotMatch(await details.textContent(), /version/i);
});

test("the example shows one picture under two deadlines", async (context) => {
  const host = await hosted(context, { load: 0 });
  const page = await open(context, host, "#/example");
  const shares = page.locator(".picture-share");
  await shares.nth(1).waitFor();
  const [hasty, fine] = (await shares.allTextContents()).map((text) => Number.parseInt(text, 10));
  assert.ok(hasty < fine, `${hasty} % and ${fine} %`);
  for (let i = 0; i < 2; i++) {
    await page.waitForFunction((index) => document.querySelectorAll(".picture-frame img")[index]?.naturalWidth > 0, i);
  }
});
