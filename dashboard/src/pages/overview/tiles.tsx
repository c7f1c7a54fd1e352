import type { ComponentChildren } from "preact";
import { bytes, count, duration, percent, rate } from "../../format";
import type { OverviewState } from "../../state/overview";

export function Tiles({ state: { last, samples, recent } }: { state: OverviewState }) {
  const now = samples.at(-1);
  const share = last.in_flight / Math.max(last.max_in_flight, 1);
  const cores = Math.max(last.cores, 1);
  return (
    <dl class="tiles">
      <Tile label="Invocations" unit="/s" value={now ? rate(now.requests) : "–"}>
        {now && now.requests > 0 ? `${percent(now.failures / now.requests)} failed` : "none now"}
      </Tile>
      <div class="tile tile-times panel">
        <dt>Run time</dt>
        <dd>
          <span class="tile-values">
            {(["p50", "p95", "p99"] as const).map((name) => (
              <span key={name}><span class="tile-name">{name}</span> <Value text={time(recent[name])} /></span>
            ))}
          </span>
          <span class="tile-note">last 10 seconds</span>
        </dd>
      </div>
      <Tile label="In flight" value={count(last.in_flight)} meter={share}>
        limit {count(last.max_in_flight)}
      </Tile>
      <Tile label="Rejected" unit="/s" value={now ? rate(now.rejections) : "–"}>
        {count(Object.values(last.rejections).reduce((a, b) => a + b, 0))} since the start
      </Tile>
      <Tile label="Processor" value={now ? percent(now.cpu / cores) : "–"} meter={(now?.cpu ?? 0) / cores}>
        {now ? `${now.cpu.toFixed(2)} of ${last.cores} cores` : "–"}
      </Tile>
      <Tile label="Memory" value={bytes(last.resident_bytes)}>resident</Tile>
    </dl>
  );
}

interface TileProps {
  label: string;
  value: string;
  unit?: string;
  /** From 0 to 1. */
  meter?: number;
  children: ComponentChildren;
}

function Tile({ label, value, unit, meter, children }: TileProps) {
  const share = Math.min(Math.max(meter ?? 0, 0), 1);
  return (
    <div class="tile panel">
      <dt>{label}</dt>
      <dd>
        <Value text={value} unit={unit} />
        <span class="tile-note">{children}</span>
        {meter !== undefined && (
          <span class={`meter ${share > 0.85 ? "meter-high" : ""}`} aria-hidden="true">
            <span style={{ transform: `scaleX(${share})` }} />
          </span>
        )}
      </dd>
    </div>
  );
}

/** A number, with its unit in small type. */
function Value({ text, unit }: { text: string; unit?: string | undefined }) {
  const [, number = text, suffix = ""] = /^(<?[\d.,]+[kMG]?)\s*(.*)$/.exec(text) ?? [];
  return <span class="tile-value">{number}<span class="tile-unit">{unit ?? suffix}</span></span>;
}

function time(us: number | null): string {
  return us === null ? "–" : duration(us);
}
