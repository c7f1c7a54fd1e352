/** One recorded request: facts, waterfall, details of the selected context, log. */

import { useEffect, useState } from "preact/hooks";
import { ApiError, recording as fetchRecording } from "../../api/client";
import { tokenNeeded } from "../../api/token";
import type { Recording } from "../../api/types";
import { clock, duration, named } from "../../format";
import { announce } from "../../state/announce";
import { href, replace } from "../../state/route";
import { root } from "../../state/timeline";
import { Empty, Problem } from "../../ui/empty";
import { LinkIcon } from "../../ui/icons";
import { OutcomeBadge, StatusCode } from "../../ui/outcome";
import { Waterfall } from "../../ui/waterfall";
import { Details } from "./details";
import { Log } from "./log";

interface Props {
  id: string;
  query: URLSearchParams;
}

export function RequestPage({ id, query }: Props) {
  const number = Number(id);
  const [recording, setRecording] = useState<Recording | null>(null);
  const [error, setError] = useState<unknown>(null);
  const isOut = tokenNeeded.value !== "no";

  useEffect(() => {
    const abort = new AbortController();
    fetchRecording(number, abort.signal).then(setRecording, (problem: unknown) => {
      if (!abort.signal.aborted) setError(problem);
    });
    return () => abort.abort();
  }, [number, isOut]);

  if (error instanceof ApiError && error.status === 404) {
    return (
      <>
        <h1 class="visually-hidden">Request {id}</h1>
        <Empty title={`Request ${id} is not kept any more.`}>
          <p>The host keeps a bounded number of requests: the latest, the slowest and the failed ones.</p>
          <p><a href="#/requests">Go to the requests</a></p>
        </Empty>
      </>
    );
  }
  if (recording === null) {
    return (
      <>
        <h1 class="visually-hidden">Request {id}</h1>
        {error === null ? <Empty title="Loading …" /> : <Problem title="The request is not available" error={error} />}
      </>
    );
  }
  const asked = Number(query.get("span"));
  const selected = recording.spans.find((span) => span.id === asked) ?? root(recording);
  const select = (span: number) => replace(href("requests", id, { span: String(span) }));
  return (
    <div class="request">
      <Head recording={recording} />
      {recording.left_out > 0 && (
        <div class="notice">The recording is not complete: {recording.left_out} contexts and log lines are beyond its limits.</div>
      )}
      <div class="request-columns">
        <div class="request-main">
          <section class="panel" aria-label="Waterfall">
            <Waterfall name="waterfall" recording={recording} selected={selected?.id ?? null} onSelect={select} />
          </section>
          <Log recording={recording} selected={selected?.id ?? null} onSelect={select} />
        </div>
        {selected && <Details span={selected} recording={recording} />}
      </div>
    </div>
  );
}

function Head({ recording }: { recording: Recording }) {
  const copy = () => {
    navigator.clipboard.writeText(location.href).then(
      () => announce("Copied the link."),
      () => announce("The browser did not allow to copy the link."),
    );
  };
  return (
    <div class="request-head">
      <p class="crumbs"><a href="#/requests">Requests</a> <span aria-hidden="true">/</span> {recording.id}</p>
      <h1>
        <a href={href("functions", recording.function)}>{named(recording.function)}</a>
        {recording.path && <span class="mono path"><span class="method">{recording.method}</span>{recording.path}</span>}
        {"clipboard" in navigator && <button type="button" class="icon-button" aria-label="Copy a link to this view" title="Copy a link to this view" onClick={copy}><LinkIcon /></button>}
      </h1>
      <dl class="facts">
        <div><dt>Outcome</dt><dd><OutcomeBadge outcome={recording.outcome} cause={recording.cause} /></dd></div>
        <div><dt>Status</dt><dd><StatusCode status={recording.status} /></dd></div>
        <div><dt>Duration</dt><dd class="num-left">{duration(recording.duration_us)}</dd></div>
        <div><dt>Started</dt><dd class="num-left"><time dateTime={new Date(recording.started).toISOString()}>{clock(recording.started)}</time></dd></div>
        {recording.request_id && <div><dt>Request id</dt><dd class="mono">{recording.request_id}</dd></div>}
        {recording.trace_id && <div><dt>Trace</dt><dd class="mono"><a href={href("requests", "", { trace: recording.trace_id })}>{recording.trace_id}</a></dd></div>}
        {recording.principal && <div><dt>Principal</dt><dd>{recording.principal}</dd></div>}
      </dl>
    </div>
  );
}
