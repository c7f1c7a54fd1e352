/** Trees as lists of rows: what a tree grid shows, in order. */

export interface Node {
  id: number;
  parent: number | null;
}

export interface Row<T extends Node> {
  item: T;
  /** From 1, as in `aria-level`. */
  level: number;
  children: number;
  descendants: number;
  expanded: boolean;
  /** From 1, among its siblings. */
  position: number;
  siblings: number;
}

export interface TreeOptions<T extends Node> {
  compare: (a: T, b: T) => number;
  collapsed: ReadonlySet<number>;
  /** Keeps the nodes that match, with what is above and below them. */
  match?: ((item: T) => boolean) | undefined;
}

/**
 * Returns the visible rows. A node whose parent is missing or is the node itself is a root. Nodes in
 * a circle are not shown: each node has one row at most.
 */
export function treeRows<T extends Node>(items: Iterable<T>, options: TreeOptions<T>): Row<T>[] {
  const { compare, collapsed, match } = options;
  const nodes = new Map<number, T>();
  for (const item of items) nodes.set(item.id, item);

  const roots: T[] = [];
  const children = new Map<number, T[]>();
  for (const item of nodes.values()) {
    if (item.parent === null || item.parent === item.id || !nodes.has(item.parent)) {
      roots.push(item);
    } else {
      const list = children.get(item.parent);
      if (list) list.push(item);
      else children.set(item.parent, [item]);
    }
  }

  const kept = match ? matching(nodes, children, match) : null;
  const rows: Row<T>[] = [];
  const visit = (list: T[], level: number): void => {
    const shown = kept ? list.filter((item) => kept.has(item.id)) : list;
    shown.sort(compare).forEach((item, index) => {
      const below = children.get(item.id) ?? [];
      const expanded = below.length > 0 && !collapsed.has(item.id);
      const row: Row<T> = {
        item,
        level,
        children: below.length,
        descendants: 0,
        expanded,
        position: index + 1,
        siblings: shown.length,
      };
      rows.push(row);
      row.descendants = descendants(item.id, children);
      if (expanded) visit(below, level + 1);
    });
  };
  visit(roots, 1);
  return rows;
}

function descendants<T extends Node>(id: number, children: Map<number, T[]>): number {
  let count = 0;
  const left = [id];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    for (const child of children.get(next) ?? []) {
      count += 1;
      left.push(child.id);
    }
  }
  return count;
}

/** The nodes that match, all above them, and all below them. */
function matching<T extends Node>(
  nodes: Map<number, T>,
  children: Map<number, T[]>,
  match: (item: T) => boolean,
): Set<number> {
  const kept = new Set<number>();
  const below = new Set<number>();
  for (const item of nodes.values()) {
    if (!match(item)) continue;
    let up: T | undefined = item;
    while (up && !kept.has(up.id)) {
      kept.add(up.id);
      up = up.parent === null ? undefined : nodes.get(up.parent);
    }
    const left = [item.id];
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      if (below.has(next)) continue;
      below.add(next);
      for (const child of children.get(next) ?? []) left.push(child.id);
    }
  }
  for (const id of below) kept.add(id);
  return kept;
}
