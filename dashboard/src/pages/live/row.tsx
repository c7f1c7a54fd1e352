import { useLayoutEffect, useRef } from "preact/hooks";
import type { Invocation } from "../../api/types";
import { named, remaining, words } from "../../format";
import { onFrame } from "../../state/frames";
import type { Row } from "../../state/tree";
import { Cross, OutcomeIcon } from "../../ui/icons";
import { TreeCell } from "../../ui/tree-cell";

export function LiveHeader() {
  return (
    <div role="row" class="treegrid-row live-row">
      <span role="columnheader">Function</span>
      <span role="columnheader" class="live-request">Request</span>
      <span role="columnheader" class="num live-age">Age</span>
      <span role="columnheader" class="live-left">Remaining time</span>
      <span role="columnheader" class="live-action"><span class="visually-hidden">Cancel</span></span>
    </div>
  );
}

interface Props {
  row: Row<Invocation>;
  /** It has ended; the list is held. */
  gone: boolean;
  onToggle: (id: number) => void;
  onCancel: (invocation: Invocation) => void;
}

export function LiveCells({ row, gone, onToggle, onCancel }: Props) {
  const { item } = row;
  return (
    <>
      <TreeCell row={row} onToggle={onToggle}>
        <span class={item.function === "" ? "name muted" : "name"}>{named(item.function)}</span>
        <span class="id">#{item.id}</span>
        {row.level === 1 && item.parent !== null && <span class="tag" title={`Its caller #${item.parent} has ended`}>caller ended</span>}
        {!row.expanded && row.children > 0 && <span class="tag">+{row.descendants}</span>}
      </TreeCell>
      <span role="gridcell" class="live-request mono" title={item.request_id ?? undefined}>{item.request_id ?? ""}</span>
      {gone
        ? <><span role="gridcell" class="num live-age">–</span><span role="gridcell" class="live-left">ended</span></>
        : <Time key={item.done} invocation={item} />}
      <span role="gridcell" class="live-action">
        {!gone && item.done === null && (
          <button type="button" class="icon-button" tabIndex={-1} aria-label={`Cancel ${named(item.function)} #${item.id}`} title="Cancel"
            onClick={(event) => {
              event.stopPropagation();
              onCancel(item);
            }}><Cross /></button>
        )}
      </span>
    </>
  );
}

/** The age and the remaining time. Both are painted in place, without rendering. */
function Time({ invocation }: { invocation: Invocation }) {
  const { started, deadline, done, cause } = invocation;
  const age = useRef<HTMLSpanElement>(null);
  const bar = useRef<HTMLSpanElement>(null);
  const left = useRef<HTMLSpanElement>(null);

  useLayoutEffect(() => onFrame((now) => {
    write(age.current, remaining(now - started));
    if (deadline === null || done !== null) return;
    const share = Math.min(Math.max((deadline - now) / Math.max(deadline - started, 1), 0), 1);
    bar.current?.style.setProperty("transform", `translateX(${(share * 100 - 100).toFixed(2)}%)`);
    bar.current?.classList.toggle("low", share < 0.2);
    write(left.current, remaining(deadline - now));
  }), [started, deadline, done]);

  return (
    <>
      <span role="gridcell" class="num live-age" ref={age} />
      <span role="gridcell" class="live-left">
        {done !== null
          ? <span class="grace">
              <OutcomeIcon group={words(done) === "canceled" ? "canceled" : "deadline"} />
              <span>grace period · {words(cause ?? done)}</span>
            </span>
          : deadline === null
            ? <span class="muted">no deadline</span>
            : <><span class="bar" aria-hidden="true"><span ref={bar} /></span><span class="bar-text num" ref={left} /></>}
      </span>
    </>
  );
}

function write(element: HTMLElement | null, text: string): void {
  if (element !== null && element.textContent !== text) element.textContent = text;
}
