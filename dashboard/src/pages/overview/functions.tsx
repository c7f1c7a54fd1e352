import { useState } from "preact/hooks";
import { bytes, count, duration, named, percent, rate } from "../../format";
import { href } from "../../state/route";
import { worst } from "../../state/outcomes";
import { SPARK_SECONDS, type FunctionRow } from "../../state/overview";
import { Empty } from "../../ui/empty";
import { OutcomeIcon } from "../../ui/icons";
import { SortHeader } from "../../ui/sort-header";
import { Sparkline } from "../../ui/sparkline";

type Column = "name" | "in_flight" | "rate" | "failures" | "p50" | "p95" | "p99" | "cpu" | "memory";

const VALUES: Record<Column, (row: FunctionRow) => number | string> = {
  name: (row) => row.figures.name,
  in_flight: (row) => row.figures.in_flight,
  rate: (row) => row.total,
  failures: (row) => row.failureTotal,
  p50: (row) => row.p50 ?? -1,
  p95: (row) => row.p95 ?? -1,
  p99: (row) => row.p99 ?? -1,
  cpu: (row) => row.cpu,
  memory: (row) => row.figures.peak_memory,
};

/** One row for each function, with the last minute as small lines. */
export function FunctionTable({ functions }: { functions: readonly FunctionRow[] }) {
  const [sort, setSort] = useState<Column>("name");
  const value = VALUES[sort];
  const rows = [...functions].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    // Functions without a name come last.
    const order = typeof x === "string" ? Number(x === "") - Number(y === "") || x.localeCompare(String(y)) : Number(y) - x;
    return order || a.figures.name.localeCompare(b.figures.name);
  });
  const header = (column: Column, label: string, numeric = true) => (
    <SortHeader label={label} numeric={numeric} active={sort === column} ascending={column === "name"} onSort={() => setSort(column)} class={`col-${column}`} />
  );
  if (functions.length === 0) {
    return (
      <section class="panel" aria-label="Functions">
        <Empty title="No function is deployed.">
          <p>Start the host with a module or a directory: <code>hourglass up PATH --admin 127.0.0.1:9090</code></p>
        </Empty>
      </section>
    );
  }
  return (
    <section class="panel" aria-labelledby="functions-title">
      <div class="panel-head"><h2 id="functions-title">Functions</h2><span class="muted">last minute</span></div>
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Functions, table">
        <table class="table function-table">
          <thead>
            <tr>
              {header("name", "Function", false)}
              {header("in_flight", "In flight")}
              {header("rate", "Per second")}
              {header("failures", "Failed")}
              {header("p50", "p50")}
              {header("p95", "p95")}
              {header("p99", "p99")}
              {header("cpu", "CPU")}
              {header("memory", "Peak memory")}
            </tr>
          </thead>
          <tbody>{rows.map((row) => <FunctionLine key={row.figures.name} row={row} />)}</tbody>
        </table>
      </div>
    </section>
  );
}

function FunctionLine({ row }: { row: FunctionRow }) {
  const { figures } = row;
  const time = (us: number | null) => (us === null ? <span class="faint">–</span> : duration(us));
  return (
    <tr>
      <th scope="row" class="col-name">
        {figures.name === ""
          ? <span class="muted" title="Functions that only a handle reaches">{named("")}</span>
          : <a href={href("functions", figures.name)}>{figures.name}</a>}
      </th>
      <td class="num col-in_flight">{figures.in_flight === 0 ? <span class="faint">0</span> : count(figures.in_flight)}</td>
      <td class="num col-rate with-spark">
        <Sparkline values={row.rates} length={SPARK_SECONDS} />
        <span>{rate(row.rate)}</span>
      </td>
      <td class="num col-failures">
        {row.failureTotal === 0
          ? <span class="faint">0</span>
          : <a href={href("requests", "", { list: "failed", function: figures.name })} title={`${count(row.failureTotal)} of ${count(row.total)} since the start: ${outcomes(row)}`}>
              {row.failureShare > 0 && <><OutcomeIcon group={worst(figures.outcomes)} /><span class="visually-hidden">now {percent(row.failureShare)}, in all </span></>}
              {count(row.failureTotal)}
            </a>}
      </td>
      <td class="num col-p50">{time(row.p50)}</td>
      <td class="num col-p95 with-spark">
        <Sparkline values={row.p95s} length={SPARK_SECONDS} class="spark-time" />
        <span>{time(row.p95)}</span>
      </td>
      <td class="num col-p99">{time(row.p99)}</td>
      <td class="num col-cpu">{row.cpu < 0.0005 ? <span class="faint">0 %</span> : percent(row.cpu)}</td>
      <td class="num col-memory">{figures.peak_memory === 0 ? <span class="faint">–</span> : bytes(figures.peak_memory)}</td>
    </tr>
  );
}

function outcomes(row: FunctionRow): string {
  return Object.entries(row.figures.outcomes)
    .filter(([name, total]) => name !== "response" && total > 0)
    .map(([name, total]) => `${count(total)} ${name}`)
    .join(", ");
}
