import { useState } from "preact/hooks";
import { ApiError, cancel } from "../../api/client";
import type { Invocation } from "../../api/types";
import { named, plural } from "../../format";
import { announce } from "../../state/announce";
import { Dialog } from "../../ui/dialog";
import { Problem } from "../../ui/empty";

interface Props {
  invocation: Invocation;
  /** How many invocations are below it. */
  below: number;
  onClose: () => void;
}

/** Asks before it cancels an invocation with all below it. */
export function CancelDialog({ invocation, below, onClose }: Props) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const name = `${named(invocation.function)} #${invocation.id}`;

  const confirm = async () => {
    setBusy(true);
    setError(null);
    try {
      announce(`Canceled ${plural(await cancel(invocation.id), "invocation")}.`);
      onClose();
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 404) {
        announce(`${name} had already ended.`);
        onClose();
      } else {
        setError(problem);
        setBusy(false);
      }
    }
  };

  return (
    <Dialog title={`Cancel ${name}?`} onClose={onClose}>
      <p>
        {below > 0
          ? <>It ends within its grace period, and so {below === 1 ? "does the invocation" : `do the ${below} invocations`} that it called.</>
          : "It ends within its grace period."}
        {" "}The cause is <code>operator</code>.
      </p>
      {error !== null && <Problem title="It was not canceled" error={error} />}
      <div class="dialog-buttons">
        <button type="button" class="button" onClick={onClose}>Keep running</button>
        <button type="button" class="button danger solid" disabled={busy} onClick={() => void confirm()}>
          {below > 0 ? `Cancel ${below + 1} invocations` : "Cancel invocation"}
        </button>
      </div>
    </Dialog>
  );
}
