import type { ComponentChildren } from "preact";
import type { Node, Row } from "../state/tree";
import { Chevron } from "./icons";

interface Props<T extends Node> {
  row: Row<T>;
  onToggle: (id: number) => void;
  children: ComponentChildren;
}

/** The first cell of a row of a tree: indented, with the mark that expands it. */
export function TreeCell<T extends Node>({ row, onToggle, children }: Props<T>) {
  return (
    <span role="gridcell" class="tree-cell">
      <svg class="indent" width={(row.level - 1) * 16 + 1} height="100%" aria-hidden="true" focusable="false">
        {Array.from({ length: row.level - 1 }, (_, i) => (
          <line key={i} x1={i * 16 + 8.5} x2={i * 16 + 8.5} y1="0" y2="100%" />
        ))}
      </svg>
      {row.children > 0
        ? <span class="toggle" onClick={(event) => {
            event.stopPropagation();
            onToggle(row.item.id);
          }}><Chevron open={row.expanded} /></span>
        : <span class="toggle" />}
      {children}
    </span>
  );
}
