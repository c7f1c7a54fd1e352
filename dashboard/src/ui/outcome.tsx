import { words } from "../format";
import { group } from "../state/outcomes";
import { OutcomeIcon } from "./icons";

/** An outcome with its cause: `⌛ deadline exceeded`. */
export function OutcomeBadge({ outcome, cause = null }: { outcome: string; cause?: string | null }) {
  // The cause of a deadline that has passed is in most cases that deadline.
  const extra = cause !== null && words(cause) !== words(outcome) ? words(cause) : null;
  return (
    <span class="outcome">
      <OutcomeIcon group={group(outcome)} />
      <span class="outcome-text">
        {words(outcome)}
        {extra && <span class="muted"> · {extra}</span>}
      </span>
    </span>
  );
}

export function StatusCode({ status }: { status: number | null }) {
  if (status === null) return <span class="muted">–</span>;
  return <span class={`status status-${Math.floor(status / 100)}`}>{status}</span>;
}
