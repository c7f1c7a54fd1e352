import { useEffect, useState } from "preact/hooks";
import { recording as fetchRecording } from "../../api/client";
import type { InvokeResult, Recording } from "../../api/types";
import { duration } from "../../format";
import { href } from "../../state/route";
import { position, root, segments, whole } from "../../state/timeline";
import { blob, contentType, header } from "../../ui/body";
import { OutcomeBadge } from "../../ui/outcome";

interface Props {
  result: InvokeResult | null;
  busy: boolean;
  width: number;
  height: number;
  timeout: number;
}

/** The picture that came back, how complete it is, and what the time was spent on. */
export function Picture({ result, busy, width, height, timeout }: Props) {
  const [url, setUrl] = useState<string | null>(null);
  const isPicture = result !== null && contentType(result.headers).startsWith("image/");
  useEffect(() => {
    if (result === null || !isPicture) return setUrl(null);
    const made = blob(result);
    setUrl(made.url);
    return () => URL.revokeObjectURL(made.url);
  }, [result]);

  const complete = result ? header(result.headers, "x-complete") : "";
  const share = Math.min(Math.max(Number.parseFloat(complete) / 100 || 0, 0), 1);
  return (
    <div class={`picture ${busy ? "busy" : ""}`} aria-busy={busy}>
      <div class="picture-frame">
        {url === null
          ? <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true" />
          : <img src={url} width={width} height={height} alt={`The Mandelbrot set, ${complete || "in part"} computed`} />}
      </div>
      {result === null
        ? <p class="picture-line muted">{busy ? "Drawing …" : "No picture yet."}</p>
        : <>
            <p class="picture-line">
              <strong class="picture-share">{complete || "–"}</strong>
              <span class="muted">of the pixels within {timeout === 0 ? "its time" : duration(timeout * 1_000)}</span>
              <span class="meter" aria-hidden="true"><span style={{ transform: `scaleX(${share})` }} /></span>
            </p>
            <p class="picture-line">
              <OutcomeBadge outcome={result.outcome} cause={result.cause} />
              <span class="num-left">{duration(result.duration_us)}</span>
              {result.request !== null && <a href={href("requests", result.request)}>recording</a>}
            </p>
            {result.message && !isPicture && <p class="message">{result.message}</p>}
            {result.request !== null && <Line id={result.request} />}
          </>}
    </div>
  );
}

/** The phases of the invocation as one bar, with its deadline. */
function Line({ id }: { id: number }) {
  const [recording, setRecording] = useState<Recording | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    fetchRecording(id, abort.signal).then(setRecording, () => setRecording(null));
    return () => abort.abort();
  }, [id]);
  const span = recording && root(recording);
  if (!recording || !span) return null;
  const view = whole(recording);
  const parts = segments(span);
  return (
    <div class="picture-time">
      <span class="visually-hidden">{parts.map((one) => `${one.phase} ${duration(one.end - one.start)}`).join(", ")}</span>
      {parts.map((one) => (
        <i key={one.phase} class={`segment phase-${one.phase} kind-invocation`} title={`${one.phase} ${duration(one.end - one.start)}`} style={{
          left: `${position(view, one.start)}%`,
          width: `${position(view, one.end) - position(view, one.start)}%`,
        }} />
      ))}
      {span.deadline_us !== null && <i class="deadline-line" title={`deadline ${duration(span.deadline_us)}`} style={{ left: `${Math.min(position(view, span.deadline_us), 100)}%` }} />}
    </div>
  );
}
