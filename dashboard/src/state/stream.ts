/** Connects the stream of events to the states of the page. */

import { batch } from "@preact/signals";
import { follow } from "../api/events";
import type { Summary } from "../api/types";
import { observe } from "./clock";
import { live, merge, type LiveState } from "./live";
import { History, overview } from "./overview";

type Listener = (requests: Summary[]) => void;

const listeners = new Set<Listener>();

/** Calls `listener` with what the host records. Returns a function that ends this. */
export function onRecorded(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function start(): void {
  const history = new History();
  let current: LiveState | null = null;
  void follow({
    opened() {
      history.opened();
      current = null;
    },
    overview(event) {
      observe(event.now);
      overview.value = history.next(event);
    },
    live(event) {
      observe(event.now);
      current = merge(current, event);
      live.value = current;
    },
    recorded(requests) {
      batch(() => {
        for (const listener of listeners) listener(requests);
      });
    },
  });
}
