import { useState } from "preact/hooks";
import type { Recording } from "../../api/types";
import { duration, named } from "../../format";

interface Props {
  recording: Recording;
  selected: number | null;
  onSelect: (span: number) => void;
}

/** The log lines of the request, in the order of time. */
export function Log({ recording, selected, onSelect }: Props) {
  const [only, setOnly] = useState(false);
  const names = new Map(recording.spans.map((span) => [span.id, named(span.name)]));
  const lines = recording.logs
    .filter((line) => !only || line.span === selected)
    .sort((a, b) => a.at_us - b.at_us);
  return (
    <section class="panel log" aria-labelledby="log-title">
      <div class="panel-head">
        <h2 id="log-title">Log</h2>
        <label class="inline"><input type="checkbox" checked={only} onChange={(event) => setOnly(event.currentTarget.checked)} /> only the selected context</label>
      </div>
      {lines.length === 0
        ? <p class="log-none muted">{recording.logs.length === 0 ? "The request has logged nothing." : "The selected context has logged nothing."}</p>
        : <div class="log-scroll" tabIndex={0} role="region" aria-label="Log lines">
            <table class="log-lines">
              <thead class="visually-hidden"><tr><th>Time</th><th>Level</th><th>Context</th><th>Text</th></tr></thead>
              <tbody>
                {lines.map((line, index) => (
                  <tr key={index} class={line.span === selected ? "of-selected" : ""}>
                    <td class="num">{duration(line.at_us)}</td>
                    <td><span class={`level level-${line.level.toLowerCase()}`}>{line.level}</span></td>
                    <td><SpanButton span={line.span} names={names} onSelect={onSelect} /></td>
                    <td class="mono text">{line.source !== "" && <span class="faint-text">{line.source} </span>}{line.text}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>}
    </section>
  );
}

interface SpanButtonProps {
  span: number | null;
  names: Map<number, string>;
  onSelect: (span: number) => void;
}

/** Selects the context that logged a line. It may be beyond the limits of the recording. */
function SpanButton({ span, names, onSelect }: SpanButtonProps) {
  const name = span === null ? undefined : names.get(span);
  if (span === null || name === undefined) return <span class="faint-text">–</span>;
  return <button type="button" class="link" onClick={() => onSelect(span)}>{name}</button>;
}
