/** The invocations in flight. */

import { signal } from "@preact/signals";
import type { Invocation, LiveEvent } from "../api/types";

export interface LiveState {
  invocations: ReadonlyMap<number, Invocation>;
  /** Invocations that the host has not sent. */
  leftOut: number;
}

export const live = signal<LiveState | null>(null);

/** Merges an event. `previous` is null for the first one of a connection, which is complete. */
export function merge(previous: LiveState | null, event: LiveEvent): LiveState {
  const invocations = new Map(previous?.invocations);
  for (const one of event.started) invocations.set(one.id, one);
  for (const one of event.changed) invocations.set(one.id, one);
  for (const id of event.ended) invocations.delete(id);
  return { invocations, leftOut: event.left_out };
}

/** `id` and all invocations below it. */
export function subtree(state: LiveState, id: number): number[] {
  const found = new Set([id]);
  // Ids grow, and a parent starts before its children.
  const byId = [...state.invocations.values()].sort((a, b) => a.id - b.id);
  for (const one of byId) {
    if (one.parent !== null && found.has(one.parent)) found.add(one.id);
  }
  return [...found];
}
