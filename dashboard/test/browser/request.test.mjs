import assert from "node:assert/strict";
import { test } from "node:test";
import { api, hosted, invoke, open } from "./setup.mjs";

const waterfall = (page) => page.getByRole("treegrid", { name: "Context tree as a waterfall" });

/** The recording of an invocation that its deadline ended. */
async function late(host) {
  return (await invoke(host, "spin", { timeout_ms: 80 })).request;
}

test("the waterfall shows deadline, done and grace period", async (context) => {
  const host = await hosted(context, { load: 0 });
  const page = await open(context, host, "#/live");
  await page.getByText("Live", { exact: true }).and(page.getByRole("status")).waitFor();
  await page.goto(`${host.url}#/requests/${await late(host)}`);
  const row = waterfall(page).getByRole("row", { name: /spin/ });
  await row.waitFor();
  const box = async (selector) => {
    const found = await row.locator(selector).boundingBox();
    assert.ok(found, `${selector} is drawn`);
    return found;
  };
  const [line, grace, mark, run] = [await box(".deadline-line"), await box(".phase-grace"), await box(".done-mark"), await box(".phase-run")];
  assert.ok(Math.abs(line.x - grace.x) < 6, "the grace period begins at the deadline");
  assert.ok(Math.abs(mark.x + mark.width / 2 - grace.x) < 8, "the mark is where the context was done");
  assert.ok(run.x + run.width <= grace.x + 1, "the run ends where the grace period begins");
  await page.locator(".deadline-label", { hasText: "deadline 80.0 ms" }).waitFor();
  await page.getByRole("complementary").getByText("cause: deadline exceeded").waitFor();
});

test("calls are below their callers, and a selection has an address", async (context) => {
  const host = await hosted(context, { load: 0 });
  const page = await open(context, host, "#/live");
  await page.getByText("Live", { exact: true }).and(page.getByRole("status")).waitFor();
  const { request } = await invoke(host, "fanout");
  await page.goto(`${host.url}#/requests/${request}`);
  const tree = waterfall(page);
  const calls = tree.locator("[role=row][aria-level='2']").filter({ hasText: "price" });
  await calls.first().waitFor();
  await tree.locator("[role=row][aria-level='1']").filter({ hasText: "fanout" }).waitFor();
  await calls.first().click();
  await page.waitForURL(/\?span=\d+$/);
  const details = page.getByRole("complementary", { name: "Details of price" });
  await details.waitFor();
  await page.reload();
  await details.waitFor();
  // By keyboard: to the caller, and into the zoom and back.
  await tree.focus();
  await page.keyboard.press("Home");
  await page.getByRole("complementary", { name: "Details of fanout" }).waitFor();
  await page.keyboard.press("ArrowLeft");
  await calls.first().waitFor({ state: "detached" });
  await page.keyboard.press("ArrowRight");
  await calls.first().waitFor();
  await page.getByRole("button", { name: "Zoom to selected" }).click();
  await page.getByRole("button", { name: "Show all" }).click();
});

test("the details of an invocation have the version that ran", async (context) => {
  const host = await hosted(context, { load: 0 });
  const page = await open(context, host, "#/live");
  await page.getByText("Live", { exact: true }).and(page.getByRole("status")).waitFor();
  const { request } = await invoke(host, "fanout");
  const { spans } = await api(host, `requests/${request}`);
  const kinds = new Map(spans.map((span) => [span.kind, span]));
  assert.match(kinds.get("invocation").version, /^[0-9a-f]{12}$/);
  for (const [kind, span] of kinds) {
    await page.goto(`${host.url}#/requests/${request}?span=${span.id}`);
    const details = page.getByRole("complementary", { name: `Details of ${span.name}` });
    await details.waitFor();
    const versions = details.locator("dl > div").filter({ hasText: "Version" }).locator("dd");
    assert.deepEqual(await versions.allTextContents(), kind === "invocation" ? [span.version] : [], kind);
  }
});

test("a recording that is gone is explained", async (context) => {
  const host = await hosted(context);
  const page = await open(context, host, "#/requests/999999999", { expected: [/404/] });
  await page.getByText("is not kept any more").waitFor();
  await page.getByRole("link", { name: "Go to the requests" }).click();
  await page.getByRole("heading", { name: "Requests", exact: true }).waitFor();
});
