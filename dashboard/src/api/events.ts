/** The stream of events: connects, watches for silence, and connects again. */

import { signal } from "@preact/signals";
import { ApiError, send } from "./client";
import { parser } from "./sse";
import { tokenEntered, tokenNeeded } from "./token";
import type { LiveEvent, Overview, Summary } from "./types";

/** The first wait before another attempt, and the longest, in milliseconds. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** The host sends an event each second. After this time without one the connection counts as dead. */
const SILENCE = 8_000;

export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "waiting"; until: number; reason: string };

export const connection = signal<Connection>({ state: "connecting" });

export interface Sink {
  /** A new connection: what follows is complete. */
  opened(): void;
  overview(event: Overview): void;
  live(event: LiveEvent): void;
  recorded(requests: Summary[]): void;
}

let wake = () => {};

/** Ends a wait between two attempts. */
export function retryNow(): void {
  wake();
}

/** Connects, for as long as the page is open. */
export async function follow(sink: Sink): Promise<never> {
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) retryNow();
  });
  let wait = FIRST_WAIT;
  for (;;) {
    const reason = await stream(sink, () => {
      wait = FIRST_WAIT;
    });
    if (tokenNeeded.value !== "no") {
      await tokenEntered();
      continue;
    }
    // Pages that lost the same host do not return at the same moment.
    const time = wait * (0.75 + Math.random() / 2);
    connection.value = { state: "waiting", until: Date.now() + time, reason };
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, time);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    wait = Math.min(wait * 2, LONGEST_WAIT);
    connection.value = { state: "connecting" };
  }
}

/** Reads one stream to its end. Returns why it ended. */
async function stream(sink: Sink, onLive: () => void): Promise<string> {
  const abort = new AbortController();
  let silence = setTimeout(() => abort.abort(), SILENCE);
  try {
    const response = await send("events", {
      headers: { accept: "text/event-stream" },
      signal: abort.signal,
    });
    if (response.body === null) return "the host sent nothing";
    sink.opened();
    const parse = parser((name, data) => {
      dispatch(sink, name, data);
      if (connection.value.state !== "live") connection.value = { state: "live" };
      onLive();
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "the host closed the connection";
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), SILENCE);
      parse(value);
    }
  } catch (error) {
    if (abort.signal.aborted) return "the host sent nothing for some seconds";
    if (error instanceof ApiError) {
      return error.status === 503 ? "too many dashboards are open" : error.message;
    }
    if (error instanceof SyntaxError) return "the host sent an event that is not valid";
    return "the host is not reachable";
  } finally {
    clearTimeout(silence);
    abort.abort();
  }
}

function dispatch(sink: Sink, name: string, data: string): void {
  switch (name) {
    case "overview":
      return sink.overview(JSON.parse(data) as Overview);
    case "live":
      return sink.live(JSON.parse(data) as LiveEvent);
    case "recorded":
      return sink.recorded((JSON.parse(data) as { requests: Summary[] }).requests);
  }
}
