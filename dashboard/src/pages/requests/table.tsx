import type { Summary } from "../../api/types";
import { clock, duration, named } from "../../format";
import { href } from "../../state/route";
import { OutcomeBadge, StatusCode } from "../../ui/outcome";

interface Props {
  list: readonly Summary[];
  onTrace: (trace: string) => void;
}

export function RequestTable({ list, onTrace }: Props) {
  const longest = Math.max(...list.map((one) => one.duration_us), 1);
  return (
    <div class="table-scroll panel" tabIndex={0} role="region" aria-label="Requests, table">
      <table class="table request-table">
        <thead>
          <tr>
            <th scope="col">Ended</th>
            <th scope="col">Function</th>
            <th scope="col" class="col-path">Request</th>
            <th scope="col">Outcome</th>
            <th scope="col" class="num col-status">Status</th>
            <th scope="col" class="num">Duration</th>
            <th scope="col" class="num col-spans">Spans</th>
            <th scope="col" class="col-trace">Trace</th>
          </tr>
        </thead>
        <tbody>{list.map((one) => <Line key={one.id} one={one} longest={longest} onTrace={onTrace} />)}</tbody>
      </table>
    </div>
  );
}

function Line({ one, longest, onTrace }: { one: Summary; longest: number; onTrace: (trace: string) => void }) {
  const [time, milliseconds] = clock(one.started + one.duration_us / 1e3).split(".");
  const link = href("requests", one.id);
  const open = (event: MouseEvent) => {
    // The whole row leads to the request, except where it has a button or selected text.
    const on = event.target as Element;
    if (on.closest("a, button") === null && getSelection()?.isCollapsed !== false) location.hash = link;
  };
  return (
    <tr class="clickable" onClick={open}>
      <td class="num-left faint-text">{time}<span class="milliseconds">.{milliseconds}</span></td>
      <th scope="row"><a href={link}>{named(one.function)}</a></th>
      <td class="col-path mono" title={one.path ?? undefined}>
        {one.method && <span class="method">{one.method}</span>}{one.path}
      </td>
      <td><OutcomeBadge outcome={one.outcome} cause={one.cause} /></td>
      <td class="num col-status"><StatusCode status={one.status} /></td>
      <td class="num duration">
        <span class="duration-bar" aria-hidden="true"><span style={{ transform: `scaleX(${Math.sqrt(one.duration_us / longest)})` }} /></span>
        {duration(one.duration_us)}
      </td>
      <td class="num col-spans">{one.span_count}</td>
      <td class="col-trace">
        {one.trace_id && (
          <button type="button" class="link mono" title={`Only trace ${one.trace_id}`} onClick={() => onTrace(one.trace_id ?? "")}>
            {one.trace_id.slice(0, 8)}
          </button>
        )}
      </td>
    </tr>
  );
}
