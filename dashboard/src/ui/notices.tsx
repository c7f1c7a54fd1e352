import { useEffect, useState } from "preact/hooks";
import { connection, retryNow } from "../api/events";
import { tokenNeeded } from "../api/token";
import { plural } from "../format";
import { overview } from "../state/overview";

/** What concerns every view: no connection, or a host that stops. */
export function Notices() {
  if (tokenNeeded.value !== "no") return null;
  const state = connection.value;
  if (state.state === "waiting") return <Disconnected until={state.until} reason={state.reason} />;
  const last = overview.value?.last;
  if (last?.draining) {
    return (
      <div class="notice notice-warn" role="status">
        <strong>The host is shutting down.</strong>{" "}
        It accepts no more invocations. {plural(last.in_flight, "invocation")} in flight.
      </div>
    );
  }
  return null;
}

function Disconnected({ until, reason }: { until: number; reason: string }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [until]);
  const seconds = Math.max(Math.ceil((until - now) / 1_000), 0);
  return (
    <div class="notice notice-warn">
      <span>
        <strong>Disconnected:</strong> {reason}. {overview.value && "What you see is the last state. "}
        Next attempt in {seconds} s.
      </span>
      <button type="button" class="button small" onClick={retryNow}>Retry now</button>
    </div>
  );
}
