/** Recent, slowest and failed requests. The address has the filters. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Filter, requests } from "../../api/client";
import { connection } from "../../api/events";
import { tokenNeeded } from "../../api/token";
import type { ListName, Summary } from "../../api/types";
import { plural } from "../../format";
import { overview } from "../../state/overview";
import { matches, mergeRequests } from "../../state/recorded";
import { href, replace } from "../../state/route";
import { onRecorded } from "../../state/stream";
import { Empty, Problem } from "../../ui/empty";
import { Pause, Play } from "../../ui/icons";
import { Filters } from "./filters";
import { RequestTable } from "./table";

const LISTS: [ListName, string][] = [
  ["recent", "Recent"],
  ["slowest", "Slowest"],
  ["failed", "Failed"],
];

export function RequestsPage({ query }: { query: URLSearchParams }) {
  const filter = fromQuery(query);
  const key = JSON.stringify(filter);
  const [held, setHeld] = useState(false);
  const { list, newer, error } = useRequests(filter, key, held);

  const change = (changes: Partial<Filter>) => {
    const { list: name, ...rest } = { ...filter, ...changes };
    replace(href("requests", "", { list: name === "recent" ? "" : name, ...rest }));
  };
  return (
    <div class="requests">
      <div class="page-head"><h1>Requests</h1></div>
      <div class="toolbar">
        <div class="segments" role="group" aria-label="List">
          {LISTS.map(([name, label]) => (
            <button key={name} type="button" aria-pressed={filter.list === name} onClick={() => change({ list: name })}>{label}</button>
          ))}
        </div>
        <Filters filter={filter} seen={list ?? []} onChange={change} />
        <button type="button" class="button" aria-pressed={held} onClick={() => setHeld(!held)}>
          {held ? <><Play />Resume{newer > 0 && ` · ${newer} new`}</> : <><Pause />Hold</>}
        </button>
      </div>
      {error !== null && <Problem title="The list is not available" error={error} />}
      {list === null
        ? error === null && <div class="panel"><Empty title="Loading …" /></div>
        : list.length === 0 ? <div class="panel"><Nothing filter={filter} onClear={() => change({ function: "", outcome: "", trace: "" })} /></div>
        : <RequestTable list={list} onTrace={(trace) => change({ trace })} />}
      {list !== null && list.length > 0 && (
        <p class="hint muted">{plural(list.length, "request")}. Successful requests are recorded while this page is open, failed ones always.</p>
      )}
    </div>
  );
}

function fromQuery(query: URLSearchParams): Filter {
  const list = query.get("list");
  return {
    list: list === "slowest" || list === "failed" ? list : "recent",
    function: query.get("function") ?? "",
    outcome: query.get("outcome") ?? "",
    trace: query.get("trace") ?? "",
  };
}

/** The list that the host returns, kept up to date by events. */
function useRequests(filter: Filter, key: string, held: boolean) {
  const [list, setList] = useState<Summary[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [newer, setNewer] = useState(0);
  const buffer = useRef<Summary[]>([]);
  const isHeld = useRef(held);
  isHeld.current = held;
  const isLive = connection.value.state === "live";
  const isOut = tokenNeeded.value !== "no";

  useEffect(() => {
    const abort = new AbortController();
    let early: Summary[] | null = [];
    buffer.current = [];
    setNewer(0);
    const end = onRecorded((added) => {
      const wanted = added.filter((one) => matches(one, filter));
      if (wanted.length === 0) return;
      if (early !== null) {
        early.push(...wanted);
      } else if (isHeld.current) {
        buffer.current = mergeRequests(buffer.current, wanted, filter);
        setNewer((count) => count + wanted.length);
      } else {
        setList((old) => mergeRequests(old ?? [], wanted, filter));
      }
    });
    requests(filter, abort.signal).then(
      (found) => {
        setList(mergeRequests(found, early ?? [], filter));
        early = null;
        setError(null);
      },
      (problem: unknown) => {
        if (!abort.signal.aborted) setError(problem);
      },
    );
    return () => {
      abort.abort();
      end();
    };
  }, [key, isLive, isOut]);

  useEffect(() => {
    if (held) return;
    const added = buffer.current;
    buffer.current = [];
    setNewer(0);
    if (added.length > 0) setList((old) => mergeRequests(old ?? [], added, filter));
  }, [held]);

  return { list, newer, error };
}

function Nothing({ filter, onClear }: { filter: Filter; onClear: () => void }) {
  if (filter.function !== "" || filter.outcome !== "" || filter.trace !== "") {
    return (
      <Empty title="No recorded request matches.">
        <p><button type="button" class="button" onClick={onClear}>Clear the filters</button></p>
      </Empty>
    );
  }
  if (filter.list === "failed") return <Empty title="No request has failed." />;
  const name = overview.value?.functions.find((one) => one.figures.name !== "")?.figures.name;
  return (
    <Empty title="Nothing is recorded yet.">
      <p>
        Successful requests are recorded while this page is open. Send one
        {name ? <>, or <a href={href("functions", name)}>invoke {name}</a> here.</> : <>: see <a href="#/functions">Functions</a>.</>}
      </p>
    </Empty>
  );
}
