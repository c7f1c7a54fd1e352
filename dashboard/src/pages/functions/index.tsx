/** The deployed functions: what they may do, and a form that invokes them. */

import { useEffect, useState } from "preact/hooks";
import { functions as fetchFunctions } from "../../api/client";
import { connection } from "../../api/events";
import { tokenNeeded } from "../../api/token";
import type { FunctionInfo } from "../../api/types";
import { named, rate } from "../../format";
import { overview } from "../../state/overview";
import { href } from "../../state/route";
import { Empty, Problem } from "../../ui/empty";
import { FunctionDetails } from "./details";
import { InvokeForm } from "./invoke";

export function FunctionsPage({ name, query }: { name: string; query: URLSearchParams }) {
  const [list, setList] = useState<FunctionInfo[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const isLive = connection.value.state === "live";
  const isOut = tokenNeeded.value !== "no";
  // A function that is deployed or removed changes the names in the overview. A new version does
  // not, so that each view of a function reads the list again.
  const names = overview.value?.functions.map((row) => row.figures.name).join("\n");

  useEffect(() => {
    const abort = new AbortController();
    fetchFunctions(abort.signal).then(
      (found) => {
        setList(found);
        setError(null);
      },
      (problem: unknown) => {
        if (!abort.signal.aborted) setError(problem);
      },
    );
    return () => abort.abort();
  }, [isLive, isOut, names, name]);

  if (list === null || list.length === 0) {
    return (
      <>
        <div class="page-head"><h1>Functions</h1></div>
        {error !== null ? <Problem title="The list is not available" error={error} />
        : list === null ? <Empty title="Loading …" />
        : <div class="panel"><Empty title="No function is deployed.">
            <p>Start the host with a module or a directory:</p>
            <p><code>hourglass up PATH --admin 127.0.0.1:9090</code></p>
          </Empty></div>}
      </>
    );
  }
  const sorted = [...list].sort((a, b) => a.name.localeCompare(b.name));
  const chosen = name === "" ? sorted[0] : sorted.find((one) => one.name === name);
  return (
    <div class="functions">
      <div class="page-head"><h1>Functions</h1></div>
      {error !== null && <Problem title="The list is not up to date" error={error} />}
      <div class="functions-columns">
        <FunctionList functions={sorted} chosen={chosen?.name} />
        {chosen
          ? <div class="function-view" key={chosen.name}>
              <FunctionDetails info={chosen} />
              {chosen.kind === "function" && <InvokeForm info={chosen} path={query.get("path")} />}
            </div>
          : <div class="panel"><Empty title={`No function ${name} is deployed.`}><p><a href="#/functions">Show all functions</a></p></Empty></div>}
      </div>
    </div>
  );
}

function FunctionList({ functions, chosen }: { functions: FunctionInfo[]; chosen: string | undefined }) {
  const rows = new Map(overview.value?.functions.map((row) => [row.figures.name, row]));
  return (
    <nav class="function-list panel" aria-label="Functions">
      <ul>
        {functions.map((one) => (
          <li key={one.name}>
            <a href={href("functions", one.name)} aria-current={one.name === chosen ? "true" : undefined}>
              <span class="name">{named(one.name)}</span>
              {one.kind === "host_function" && <span class="tag">host</span>}
              <span class="num muted">{rate(rows.get(one.name)?.rate ?? 0)}/s</span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
