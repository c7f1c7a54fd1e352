import type { ComponentChildren } from "preact";
import type { Recording, Span } from "../../api/types";
import { bytes, duration, named, percent, words } from "../../format";
import { href } from "../../state/route";
import { segments } from "../../state/timeline";
import { OutcomeBadge, StatusCode } from "../../ui/outcome";
import { Version } from "../../ui/version";

const KINDS: Record<Span["kind"], string> = {
  invocation: "Invocation",
  host_function: "Host function",
  fetch: "Fetch",
};

/** Everything about one context of the tree. */
export function Details({ span, recording }: { span: Span; recording: Recording }) {
  const whole = span.end_us - span.start_us;
  const parent = recording.spans.find((one) => one.id === span.parent);
  const run = whole - span.queue_us - span.checkout_us;
  return (
    <aside class="details panel" aria-label={`Details of ${named(span.name)}`}>
      <p class="eyebrow">{KINDS[span.kind]}{parent && <> below {named(parent.name)}</>}</p>
      <h2 class={span.kind === "fetch" ? "mono wrap" : "wrap"}>
        {span.kind === "invocation" && span.name !== "" ? <a href={href("functions", span.name)}>{span.name}</a> : named(span.name)}
      </h2>
      <p class="details-outcome">
        <OutcomeBadge outcome={span.outcome} cause={span.cause} />
        {span.status !== null && <StatusCode status={span.status} />}
      </p>
      {span.message && <p class="message">{span.message}</p>}
      <table class="phases">
        <caption class="visually-hidden">Phases</caption>
        <tbody>
          {segments(span).map((one) => (
            <tr key={one.phase}>
              <th scope="row"><span class={`key-swatch span-track kind-${span.kind}`} aria-hidden="true"><i class={`segment phase-${one.phase}`} /></span>{one.phase === "grace" ? "grace period" : one.phase}</th>
              <td class="num">{duration(one.end - one.start)}</td>
              <td class="num muted">{percent((one.end - one.start) / Math.max(whole, 1e-9))}</td>
            </tr>
          ))}
        </tbody>
        <tfoot><tr><th scope="row">in all</th><td class="num">{duration(whole)}</td><td /></tr></tfoot>
      </table>
      <dl class="pairs">
        <Pair name="Starts at">{duration(span.start_us)}</Pair>
        <Pair name="Ends at">{duration(span.end_us)}</Pair>
        <Pair name="Deadline">{span.deadline_us === null ? "none" : <>{duration(span.deadline_us)} <span class="muted">{margin(span)}</span></>}</Pair>
        {span.done !== null && (
          <Pair name="Done">
            {words(span.done)}{span.done_us !== null && <> at {duration(span.done_us)}</>}
            {span.cause && <><br /><span class="muted">cause: {words(span.cause)}</span></>}
          </Pair>
        )}
        {span.kind !== "fetch" && <>
          <Pair name="Processor">{duration(span.cpu_us)}{run > 0 && <span class="muted"> {percent(Math.min(span.cpu_us / run, 1))} of the run</span>}</Pair>
          <Pair name="Peak memory">{span.peak_memory === 0 ? "–" : bytes(span.peak_memory)}</Pair>
        </>}
        <Pair name="Request body">{bytes(span.request_bytes)}</Pair>
        <Pair name="Response body">{bytes(span.response_bytes)}</Pair>
        {span.version && <Pair name="Version"><Version version={span.version} /></Pair>}
        {span.span_id && <Pair name="Span id"><span class="mono">{span.span_id}</span></Pair>}
      </dl>
    </aside>
  );
}

function margin(span: Span): string {
  const left = (span.deadline_us ?? 0) - span.end_us;
  return left >= 0 ? `${duration(left)} left at the end` : `exceeded by ${duration(-left)}`;
}

function Pair({ name, children }: { name: string; children: ComponentChildren }) {
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}
