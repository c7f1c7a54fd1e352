import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { treeRows } = await load("/src/state/tree.ts");

const node = (id, parent = null) => ({ id, parent });
const options = { compare: (a, b) => a.id - b.id, collapsed: new Set() };
const shown = (nodes, more = {}) => treeRows(nodes, { ...options, ...more }).map((row) => [row.item.id, row.level]);

test("children are below their parents, in order", () => {
  const nodes = [node(4, 1), node(1), node(3, 2), node(2, 1), node(5)];
  assert.deepEqual(shown(nodes), [[1, 1], [2, 2], [3, 3], [4, 2], [5, 1]]);
});

test("rows know their place", () => {
  const [first, , third] = treeRows([node(1), node(2, 1), node(3, 1), node(4, 3)], options);
  assert.deepEqual([first.children, first.descendants, first.expanded], [2, 3, true]);
  assert.deepEqual([third.position, third.siblings, third.level], [2, 2, 2]);
});

test("a node whose parent has ended is a root", () => {
  assert.deepEqual(shown([node(8, 3), node(9, 8)]), [[8, 1], [9, 2]]);
});

test("what is below a collapsed node is hidden, and counted", () => {
  const [row] = treeRows([node(1), node(2, 1), node(3, 2)], { ...options, collapsed: new Set([1]) });
  assert.deepEqual([row.item.id, row.expanded, row.descendants], [1, false, 2]);
});

test("a filter keeps what is above and below a match", () => {
  const nodes = [node(1), node(2, 1), node(3, 2), node(4, 1), node(5)];
  assert.deepEqual(shown(nodes, { match: (one) => one.id === 2 }), [[1, 1], [2, 2], [3, 3]]);
});

test("a circle of parents does not hang", () => {
  assert.deepEqual(shown([node(1, 2), node(2, 1), node(3, 3)]), [[3, 1]]);
});
