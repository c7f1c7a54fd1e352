import { useEffect, useMemo, useState } from "preact/hooks";
import { recording as fetchRecording } from "../../api/client";
import type { InvokeResult, Recording } from "../../api/types";
import { bytes as size, duration } from "../../format";
import { href } from "../../state/route";
import { root } from "../../state/timeline";
import { blob, type Blobbed, contentType } from "../../ui/body";
import { OutcomeBadge, StatusCode } from "../../ui/outcome";
import { Waterfall } from "../../ui/waterfall";

/** The response to an invocation by hand, with its waterfall. */
export function InvokeResponse({ result }: { result: InvokeResult }) {
  return (
    <section class="panel response" aria-labelledby="response-title">
      <div class="panel-head">
        <h2 id="response-title">Response</h2>
        {result.request !== null && <a href={href("requests", result.request)}>Open the recording</a>}
      </div>
      <p class="response-line" role="status">
        <StatusCode status={result.status} />
        <OutcomeBadge outcome={result.outcome} cause={result.cause} />
        <span class="num-left">{duration(result.duration_us)}</span>
      </p>
      {result.message && <p class="message">{result.message}</p>}
      <details class="response-headers">
        <summary>{result.headers.length} headers</summary>
        <dl class="pairs mono">{result.headers.map(([name, value], index) => <div key={index}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      </details>
      <Body result={result} />
      {result.truncated && <p class="muted">The body is longer. The host has sent its beginning.</p>}
      {result.request !== null && <Recorded id={result.request} />}
    </section>
  );
}

function Body({ result }: { result: InvokeResult }) {
  const type = contentType(result.headers);
  const [file, setFile] = useState<Blobbed | null>(null);
  useEffect(() => {
    if (!result.is_base64 && !type.startsWith("image/")) return setFile(null);
    const made = blob(result);
    setFile(made);
    return () => URL.revokeObjectURL(made.url);
  }, [result]);

  const text = useMemo(() => (type.includes("json") ? pretty(result.body) : result.body), [result]);
  if (file !== null) {
    return type.startsWith("image/")
      ? <img class="response-image" src={file.url} alt="The picture in the response" />
      : <p>{size(file.size)} of <code>{type || "unknown type"}</code>. <a href={file.url} download="response">Save</a></p>;
  }
  if (result.is_base64) return null;
  if (text === "") return <p class="muted">The body is empty.</p>;
  return <pre class="response-body" tabIndex={0} role="region" aria-label="Body">{text}</pre>;
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

function Recorded({ id }: { id: number }) {
  const [recording, setRecording] = useState<Recording | null>(null);
  const [selected, setSelected] = useState<number | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    setRecording(null);
    // Without a recording there is the response.
    fetchRecording(id, abort.signal).then(setRecording, () => {});
    return () => abort.abort();
  }, [id]);
  if (recording === null) return null;
  return <Waterfall name="invoked" recording={recording} selected={selected ?? root(recording)?.id ?? null} onSelect={setSelected} />;
}
