/**
 * A tree with columns, of any length: only the rows in view are in the document. The grid has the
 * focus and names its active row (`aria-activedescendant`).
 */

import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Node, Row } from "../state/tree";

interface Props<T extends Node> {
  name: string;
  label: string;
  rows: readonly Row<T>[];
  rowHeight: number;
  /** The row of column headers. */
  header: JSX.Element;
  cells: (row: Row<T>) => ComponentChildren;
  rowClass?: (row: Row<T>) => string;
  active: number | null;
  onActive: (id: number) => void;
  onToggle: (id: number) => void;
  onKey?: (event: KeyboardEvent, row: Row<T>) => void;
}

/** Rows that are kept above and below those in view. */
const MARGIN = 6;

export function TreeGrid<T extends Node>(props: Props<T>) {
  const { name, label, rows, rowHeight, header, cells, rowClass, active } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const measure = () => {
      setView((old) => {
        const next = { top: element.scrollTop, height: element.clientHeight };
        return next.top === old.top && next.height === old.height ? old : next;
      });
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    measure();
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);

  const activeIndex = rows.findIndex((row) => row.item.id === active);
  // Only a move of the reader scrolls, not a row that comes or goes above.
  const moved = useRef(false);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!moved.current || element === null || activeIndex < 0) return;
    moved.current = false;
    const top = activeIndex * rowHeight;
    const head = (element.firstElementChild as HTMLElement | null)?.offsetHeight ?? 0;
    const room = element.clientHeight - head - rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + room) element.scrollTop = top - room;
  });

  const first = Math.max(Math.floor(view.top / rowHeight) - MARGIN, 0);
  const last = Math.min(Math.ceil((view.top + view.height) / rowHeight) + MARGIN, rows.length);
  const shown = rows.slice(first, last).map((row, i) => [row, first + i] as const);
  const activeRow = rows[activeIndex];
  // The active row stays in the document, because the grid refers to it.
  if (activeRow && (activeIndex < first || activeIndex >= last)) shown.push([activeRow, activeIndex]);

  const move = (index: number) => {
    const row = rows[Math.min(Math.max(index, 0), rows.length - 1)];
    if (!row) return;
    moved.current = true;
    props.onActive(row.item.id);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(Math.floor(view.height / rowHeight) - 2, 1);
    const action = {
      ArrowDown: () => move(activeIndex + 1),
      ArrowUp: () => move(activeIndex < 0 ? 0 : activeIndex - 1),
      PageDown: () => move(activeIndex + page),
      PageUp: () => move(activeIndex - page),
      Home: () => move(0),
      End: () => move(rows.length - 1),
      ArrowRight: () => {
        if (!activeRow) return move(0);
        if (activeRow.children === 0) return;
        if (activeRow.expanded) move(activeIndex + 1);
        else props.onToggle(activeRow.item.id);
      },
      ArrowLeft: () => {
        if (!activeRow) return move(0);
        if (activeRow.expanded) props.onToggle(activeRow.item.id);
        else if (activeRow.level > 1) move(parentIndex(rows, activeIndex));
      },
    }[event.key];
    if (action) {
      event.preventDefault();
      action();
    } else if (activeRow) {
      props.onKey?.(event, activeRow);
    }
  };

  return (
    <div
      ref={scroller}
      class={`treegrid ${name}`}
      role="treegrid"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      aria-activedescendant={activeRow ? `${name}-${activeRow.item.id}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <div role="rowgroup" class="treegrid-head">{header}</div>
      <div role="rowgroup" class="treegrid-rows" style={{ height: `${rows.length * rowHeight}px` }}>
        {shown.map(([row, index]) => (
          <div
            key={row.item.id}
            id={`${name}-${row.item.id}`}
            role="row"
            class={`treegrid-row ${row === activeRow ? "active" : ""} ${rowClass?.(row) ?? ""}`}
            aria-level={row.level}
            aria-posinset={row.position}
            aria-setsize={row.siblings}
            aria-rowindex={index + 2}
            aria-expanded={row.children > 0 ? row.expanded : undefined}
            aria-selected={row === activeRow}
            style={{ transform: `translateY(${index * rowHeight}px)`, height: `${rowHeight}px` }}
            onClick={() => props.onActive(row.item.id)}
          >
            {cells(row)}
          </div>
        ))}
      </div>
    </div>
  );
}

function parentIndex<T extends Node>(rows: readonly Row<T>[], index: number): number {
  const level = rows[index]?.level ?? 1;
  for (let i = index - 1; i >= 0; i--) {
    if ((rows[i]?.level ?? 0) < level) return i;
  }
  return index;
}
