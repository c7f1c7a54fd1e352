import { connection } from "../../api/events";
import { bytes, count, duration, percent, plural, rate, round } from "../../format";
import { GROUP_LABELS, GROUPS } from "../../state/outcomes";
import { overview, type OverviewState } from "../../state/overview";
import { Chart, type Series } from "../../ui/chart";
import { Empty } from "../../ui/empty";
import { FunctionTable } from "./functions";
import { Tiles } from "./tiles";

export function OverviewPage() {
  const state = overview.value;
  const stale = connection.value.state === "waiting";
  return (
    <div class={`overview ${stale ? "stale" : ""}`}>
      <h1 class="visually-hidden">Overview</h1>
      {state === null
        ? <Empty title={stale ? "No connection to the host yet." : "Connecting to the host …"} />
        : <>
            <Tiles state={state} />
            <Charts state={state} />
            <FunctionTable functions={state.functions} />
            <Host state={state} />
          </>}
    </div>
  );
}

function Charts({ state: { samples, last } }: { state: OverviewState }) {
  const times = samples.map((one) => one.at);
  const outcomes = GROUPS.filter(
    (name) => name === "response" || samples.some((one) => one.groups[name] > 0),
  ).map((name): Series => ({
    label: GROUP_LABELS[name],
    color: `group-${name}`,
    fill: true,
    values: samples.map((one) => one.groups[name]),
  }));
  // Failures are at the bottom, where few of them are visible.
  outcomes.reverse();
  outcomes.sort((a, b) => Number(b.label === "response") - Number(a.label === "response"));
  return (
    <div class="charts">
      <Chart title="Invocations per second" times={times} stacked format={rate} atLeast={5} series={outcomes} />
      <Chart title="Run time" times={times} logarithmic format={duration} axis={round} series={[
        { label: "p50", color: "line-1", values: samples.map((one) => one.p50) },
        { label: "p95", color: "line-2", values: samples.map((one) => one.p95), dash: [6, 3] },
        { label: "p99", color: "line-3", values: samples.map((one) => one.p99), dash: [2, 3] },
      ]} />
      <Chart title="In flight" times={times} format={count} atLeast={10} series={[
        { label: `of ${count(last.max_in_flight)}`, color: "line-1", fill: true, values: samples.map((one) => one.inFlight) },
      ]} />
      <Chart title="Processor" times={times} format={(value) => percent(value)} atLeast={0.1} series={[
        { label: `of ${plural(last.cores, "core")}`, color: "line-2", fill: true, values: samples.map((one) => one.cpu / Math.max(last.cores, 1)) },
      ]} />
      <Chart title="Memory" times={times} binary format={bytes} atLeast={2 ** 20} series={[
        { label: "resident", color: "line-3", fill: true, values: samples.map((one) => one.resident) },
      ]} />
    </div>
  );
}

function Host({ state: { last } }: { state: OverviewState }) {
  const rejected = Object.entries(last.rejections).filter(([, total]) => total > 0);
  return (
    <dl class="host-facts">
      <div><dt>Live contexts</dt><dd>{count(last.contexts)}</dd></div>
      <div><dt>Connections</dt><dd>{count(last.connections)}</dd></div>
      <div><dt>Processor time</dt><dd>{duration(last.cpu_seconds * 1e6)}</dd></div>
      <div><dt>Rejected since the start</dt><dd>{rejected.length === 0 ? "0" : rejected.map(([name, total]) => `${count(total)} ${name}`).join(", ")}</dd></div>
    </dl>
  );
}
