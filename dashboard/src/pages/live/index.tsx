/** The invocations in flight, as trees. */

import { useMemo, useState } from "preact/hooks";
import { connection } from "../../api/events";
import type { Invocation } from "../../api/types";
import { named, plural } from "../../format";
import { live, subtree, type LiveState } from "../../state/live";
import { treeRows } from "../../state/tree";
import { Empty } from "../../ui/empty";
import { Pause, Play } from "../../ui/icons";
import { TreeGrid } from "../../ui/treegrid";
import { CancelDialog } from "./cancel";
import { LiveHeader, LiveCells } from "./row";

type Order = "started" | "deadline" | "function";

const COMPARE: Record<Order, (a: Invocation, b: Invocation) => number> = {
  started: (a, b) => a.started - b.started || a.id - b.id,
  deadline: (a, b) => (a.deadline ?? Infinity) - (b.deadline ?? Infinity) || a.id - b.id,
  function: (a, b) => a.function.localeCompare(b.function) || a.id - b.id,
};

export function LivePage() {
  const [held, setHeld] = useState<LiveState | null>(null);
  const [order, setOrder] = useState<Order>("started");
  const [search, setSearch] = useState("");
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(new Set());
  const [active, setActive] = useState<number | null>(null);
  const [asked, setAsked] = useState<Invocation | null>(null);

  const current = live.value;
  const state = held ?? current;
  const stale = connection.value.state === "waiting";
  const rows = useMemo(() => {
    if (state === null) return [];
    const text = search.trim().toLowerCase();
    const match = text === "" ? undefined : (one: Invocation) =>
      named(one.function).toLowerCase().includes(text) || String(one.id) === text ||
      (one.request_id ?? "").toLowerCase().includes(text);
    return treeRows(state.invocations.values(), { compare: COMPARE[order], collapsed, match });
  }, [state, order, search, collapsed]);

  const chosen = active === null ? undefined : state?.invocations.get(active);
  const gone = (id: number) => held !== null && current?.invocations.has(id) === false;
  const toggle = (id: number) => {
    const next = new Set(collapsed);
    if (!next.delete(id)) next.add(id);
    setCollapsed(next);
  };
  const parents = rows.filter((row) => row.children > 0);
  const allCollapsed = parents.length > 0 && parents.every((row) => !row.expanded);
  const total = state?.invocations.size ?? 0;

  return (
    <div class={`live ${stale ? "stale" : ""}`}>
      <div class="page-head">
        <h1>Live invocations</h1>
        <p class="muted">
          {plural(total, "invocation")}{state && state.leftOut > 0 && `, and ${state.leftOut} more that the host left out`}.
          {" "}Those that end within a millisecond are not listed.
        </p>
      </div>
      <div class="toolbar" role="group" aria-label="List">
        <input type="search" class="grow" placeholder="Function, id or request id" aria-label="Filter by function, id or request id"
          value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
        <label class="inline">Order{" "}
          <select value={order} onChange={(event) => setOrder(event.currentTarget.value as Order)}>
            <option value="started">oldest first</option>
            <option value="deadline">least time left</option>
            <option value="function">function</option>
          </select>
        </label>
        <button type="button" class="button" disabled={parents.length === 0} onClick={() => {
          setCollapsed(allCollapsed ? new Set() : new Set(parents.map((row) => row.item.id)));
        }}>{allCollapsed ? "Expand all" : "Collapse all"}</button>
        <button type="button" class="button" aria-pressed={held !== null} onClick={() => setHeld(held === null ? current : null)}>
          {held === null ? <><Pause />Hold</> : <><Play />Resume</>}
        </button>
        <button type="button" class="button danger" disabled={!chosen || gone(chosen.id)} onClick={() => setAsked(chosen ?? null)}>
          Cancel selected
        </button>
      </div>
      {rows.length === 0 ? (
        <div class="panel">
          {search !== "" && total > 0
            ? <Empty title="No invocation in flight matches."><p>Change the filter to see {plural(total, "other")}.</p></Empty>
            : <Empty title={current === null && connection.value.state !== "live" ? "Connecting to the host …" : "Nothing is in flight."}>
                <p>Invocations appear here while they run. To see one, <a href="#/functions">invoke a function</a> that takes some time.</p>
              </Empty>}
        </div>
      ) : (
        <TreeGrid
          name="live" label="Invocations in flight" rows={rows} rowHeight={32}
          header={<LiveHeader />} active={active} onActive={setActive} onToggle={toggle}
          rowClass={(row) => (gone(row.item.id) ? "gone" : row.item.done !== null ? "done" : "")}
          cells={(row) => <LiveCells row={row} gone={gone(row.item.id)} onToggle={toggle} onCancel={setAsked} />}
          onKey={(event, row) => {
            if ((event.key === "Delete" || event.key === "Backspace") && !gone(row.item.id)) setAsked(row.item);
          }}
        />
      )}
      <p class="hint muted">
        Keys: <kbd>↑</kbd> <kbd>↓</kbd> select, <kbd>←</kbd> <kbd>→</kbd> collapse and expand, <kbd>Del</kbd> cancels.
      </p>
      {asked && current && (
        <CancelDialog invocation={asked} below={subtree(current, asked.id).length - 1} onClose={() => setAsked(null)} />
      )}
    </div>
  );
}
