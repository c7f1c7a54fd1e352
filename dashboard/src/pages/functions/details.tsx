import type { ComponentChildren } from "preact";
import type { FunctionInfo } from "../../api/types";
import { bytes, count, duration, named, rate, words } from "../../format";
import { worst } from "../../state/outcomes";
import { overview, SPARK_SECONDS } from "../../state/overview";
import { href } from "../../state/route";
import { OutcomeIcon } from "../../ui/icons";
import { Sparkline } from "../../ui/sparkline";
import { Version } from "../../ui/version";

export function FunctionDetails({ info }: { info: FunctionInfo }) {
  return (
    <section class="panel function-details" aria-labelledby="function-name">
      <div class="panel-head">
        <div class="function-title">
          <h2 id="function-name" class="wrap">{named(info.name)}</h2>
          {info.version && <p><span class="muted">Version</span> <Version version={info.version} /></p>}
        </div>
        <a href={href("requests", "", { function: info.name })}>requests</a>
      </div>
      <Figures name={info.name} />
      <div class="function-facts">
        <div>
          <h3>Limits and instances</h3>
          <dl class="pairs">
            {Object.entries(info.limits).map(([name, value]) => <div key={name}><dt>{words(name)}</dt><dd>{value}</dd></div>)}
            {info.instances !== null && <div><dt>instances</dt><dd>{info.instances.replace(/^its instances are /, "")}</dd></div>}
            {info.kind === "host_function" && <div><dt>runs</dt><dd>in the host</dd></div>}
          </dl>
        </div>
        <div>
          <h3>Capabilities</h3>
          <dl class="pairs">
            <List name="calls" items={info.calls} show={(name) => <a href={href("functions", name)}>{name}</a>} />
            <List name="hosts" items={info.allow_hosts} />
            <List name="mounts" items={info.mounts} />
            <List name="environment" items={info.environment} />
            <List name="routes" items={info.routes} />
          </dl>
        </div>
      </div>
    </section>
  );
}

function Figures({ name }: { name: string }) {
  const row = overview.value?.functions.find((one) => one.figures.name === name);
  if (!row) return null;
  const { figures } = row;
  const failures = Object.entries(figures.outcomes).filter(([outcome, total]) => outcome !== "response" && total > 0);
  return (
    <div class="function-figures">
      <dl class="facts">
        <div><dt>Invocations</dt><dd class="with-spark"><span>{rate(row.rate)}/s</span><Sparkline values={row.rates} length={SPARK_SECONDS} /></dd></div>
        <div><dt>In flight</dt><dd>{count(figures.in_flight)}</dd></div>
        <div><dt>p50</dt><dd>{time(row.p50)}</dd></div>
        <div><dt>p95</dt><dd>{time(row.p95)}</dd></div>
        <div><dt>p99</dt><dd>{time(row.p99)}</dd></div>
        <div><dt>Peak memory</dt><dd>{bytes(figures.peak_memory)}</dd></div>
        <div><dt>In all</dt><dd>{count(row.total)}</dd></div>
        <div><dt>Calls, fetches</dt><dd>{count(figures.calls)}, {count(figures.fetches)}</dd></div>
      </dl>
      {failures.length > 0 && (
        <p class="failures">
          <OutcomeIcon group={worst(figures.outcomes)} />
          {failures.map(([outcome, total], index) => (
            <span key={outcome}>{index > 0 && ", "}<a href={href("requests", "", { list: "failed", function: name, outcome })}>{count(total)} {words(outcome)}</a></span>
          ))}
        </p>
      )}
    </div>
  );
}

function time(us: number | null): string {
  return us === null ? "–" : duration(us);
}

interface ListProps {
  name: string;
  items: string[];
  show?: (item: string) => ComponentChildren;
}

function List({ name, items, show = (item) => <code>{item}</code> }: ListProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{items.length === 0 ? <span class="muted">none</span> : <ul class="items">{items.map((item) => <li key={item}>{show(item)}</li>)}</ul>}</dd>
    </div>
  );
}
