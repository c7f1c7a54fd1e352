/** The context tree of a request along the time. */

import { useMemo, useState } from "preact/hooks";
import type { LogLine, Recording, Span } from "../api/types";
import { duration, named, round, words } from "../format";
import { group } from "../state/outcomes";
import { around, position, root, segments, ticks, whole, type View } from "../state/timeline";
import { treeRows, type Row } from "../state/tree";
import { OutcomeIcon } from "./icons";
import { TreeCell } from "./tree-cell";
import { TreeGrid } from "./treegrid";

interface Props {
  name: string;
  recording: Recording;
  selected: number | null;
  onSelect: (id: number) => void;
}

export function Waterfall({ name, recording, selected, onSelect }: Props) {
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(new Set());
  const [zoomed, setZoomed] = useState<Span | null>(null);
  const view = zoomed === null ? whole(recording) : around(zoomed);
  const marks = ticks(view, 6);
  const top = root(recording);
  const deadline = top?.deadline_us ?? null;

  const rows = useMemo(() => treeRows(recording.spans, {
    compare: (a, b) => a.start_us - b.start_us || a.id - b.id,
    collapsed,
  }), [recording, collapsed]);
  const logs = useMemo(() => bySpan(recording.logs), [recording]);
  const toggle = (id: number) => {
    const next = new Set(collapsed);
    if (!next.delete(id)) next.add(id);
    setCollapsed(next);
  };
  const chosen = recording.spans.find((span) => span.id === selected);

  return (
    <div class="waterfall-frame">
      <div class="waterfall-tools">
        <Legend recording={recording} />
        <span class="zoom">
          <button type="button" class="button small" disabled={!chosen || chosen === zoomed} onClick={() => setZoomed(chosen ?? null)}>Zoom to selected</button>
          <button type="button" class="button small" disabled={zoomed === null} onClick={() => setZoomed(null)}>Show all</button>
        </span>
      </div>
      <TreeGrid
        name={name} label="Context tree as a waterfall" rows={rows} rowHeight={28}
        active={selected} onActive={onSelect} onToggle={toggle}
        onKey={(event, row) => {
          if (event.key === "z" || event.key === "Enter") setZoomed(zoomed === row.item ? null : row.item);
          if (event.key === "0") setZoomed(null);
        }}
        header={
          <div role="row" class="treegrid-row waterfall-row">
            <span role="columnheader">Context</span>
            <span role="columnheader" class="time axis">
              <span class="visually-hidden">Time</span>
              {marks.filter((at) => position(view, at) < 93).map((at) => <span key={at} class="tick-label num" aria-hidden="true" style={{ left: `${position(view, at)}%` }}>{round(at)}</span>)}
              {deadline !== null && inView(view, deadline) && (
                <span class={`deadline-label ${position(view, deadline) > 60 ? "before" : ""}`} aria-hidden="true" style={{ left: `${position(view, deadline)}%` }}>deadline {duration(deadline)}</span>
              )}
            </span>
            <span role="columnheader" class="num waterfall-duration">Duration</span>
          </div>
        }
        cells={(row) => (
          <Cells row={row} view={view} marks={marks} deadline={deadline} logs={logs.get(row.item.id)} onToggle={toggle} />
        )}
      />
    </div>
  );
}

interface CellsProps {
  row: Row<Span>;
  view: View;
  marks: number[];
  deadline: number | null;
  logs: LogLine[] | undefined;
  onToggle: (id: number) => void;
}

function Cells({ row, view, marks, deadline, logs, onToggle }: CellsProps) {
  const { item } = row;
  const at = (us: number) => ({ left: `${position(view, us)}%` });
  const between = (start: number, end: number) => ({
    left: `${position(view, start)}%`,
    width: `${position(view, end) - position(view, start)}%`,
  });
  const failed = group(item.outcome) !== "response";
  const own = item.deadline_us;
  return (
    <>
      <TreeCell row={row} onToggle={onToggle}>
        {failed && <OutcomeIcon group={group(item.outcome)} />}
        <span class={item.kind === "fetch" ? "name mono" : "name"} title={named(item.name)}>{named(item.name)}</span>
        {item.kind === "host_function" && <span class="tag">host function</span>}
        {!row.expanded && row.children > 0 && <span class="tag">+{row.descendants}</span>}
      </TreeCell>
      <span role="gridcell" class="time">
        <span class="visually-hidden">{spoken(item)}</span>
        {marks.map((mark) => <i key={mark} class="grid-line" style={at(mark)} />)}
        {deadline !== null && inView(view, deadline) && <i class="deadline-line" style={at(deadline)} />}
        {own !== null && own !== deadline && inView(view, own) && <i class="own-deadline" title={`deadline of ${named(item.name)}: ${duration(own)}`} style={at(own)} />}
        <i class={`span-track kind-${item.kind}`} style={between(item.start_us, item.end_us)}>
          {segments(item).map((one) => {
            const whole = item.end_us - item.start_us || 1;
            return <i key={one.phase} class={`segment phase-${one.phase}`} title={`${one.phase} ${duration(one.end - one.start)}`} style={{
              left: `${((one.start - item.start_us) / whole) * 100}%`,
              width: `${((one.end - one.start) / whole) * 100}%`,
            }} />;
          })}
        </i>
        {item.done_us !== null && inView(view, item.done_us) && (
          <i class="done-mark" style={at(item.done_us)} title={`${words(item.done ?? "done")} at ${duration(item.done_us)}`} />
        )}
        {item.done !== null && position(view, item.end_us) < 72 && (
          <span class="done-text" style={at(item.end_us)}>{words(item.cause ?? item.done)}</span>
        )}
        {logs?.map((line, index) => inView(view, line.at_us) && (
          <i key={index} class={`log-mark level-${line.level.toLowerCase()}`} style={at(line.at_us)} title={line.text} />
        ))}
      </span>
      <span role="gridcell" class="num waterfall-duration">{duration(item.end_us - item.start_us)}</span>
    </>
  );
}

/** What is drawn, in words. */
function spoken(span: Span): string {
  const phases = segments(span).map((one) => `${one.phase} ${duration(one.end - one.start)}`);
  const done = span.done === null || span.done_us === null ? [] : [`${words(span.done)} at ${duration(span.done_us)}, cause ${words(span.cause ?? "unknown")}`];
  return [`starts at ${duration(span.start_us)}`, ...phases, ...done, words(span.outcome)].join(", ");
}

function Legend({ recording }: { recording: Recording }) {
  const phases = new Set(recording.spans.flatMap(segments).map((one) => one.phase));
  const deadline = root(recording)?.deadline_us;
  const has = (kind: Span["kind"]) => recording.spans.some((span) => span.kind === kind);
  return (
    <ul class="waterfall-legend" aria-label="Legend">
      {phases.has("queue") && <Key look="phase-queue" text="queue" />}
      {phases.has("checkout") && <Key look="phase-checkout" text="checkout" />}
      <Key look="phase-run" text="run" />
      {has("host_function") && <Key look="phase-run" kind="host_function" text="host function" />}
      {has("fetch") && <Key look="phase-run" kind="fetch" text="fetch" />}
      {phases.has("grace") && <Key look="phase-grace" text="grace period" />}
      {deadline != null && <li><span class="key-line" aria-hidden="true" />deadline {duration(deadline)}</li>}
    </ul>
  );
}

function Key({ look, kind = "invocation", text }: { look: string; kind?: Span["kind"]; text: string }) {
  return <li><span class={`key-swatch span-track kind-${kind}`} aria-hidden="true"><i class={`segment ${look}`} /></span>{text}</li>;
}

function bySpan(logs: readonly LogLine[]): Map<number | null, LogLine[]> {
  const found = new Map<number | null, LogLine[]>();
  for (const line of logs) {
    const list = found.get(line.span);
    if (list) list.push(line);
    else found.set(line.span, [line]);
  }
  return found;
}

function inView(view: View, at: number): boolean {
  return at >= view.start && at <= view.end;
}
