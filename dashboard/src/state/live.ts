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
  const children = new Map<number, number[]>();
  for (const one of state.invocations.values()) {
    if (one.parent !== null) children.set(one.parent, [...(children.get(one.parent) ?? []), one.id]);
  }
  const found = new Set([id]);
  // A set is iterated over in the order of insertion, with what is added meanwhile.
  for (const parent of found) {
    for (const child of children.get(parent) ?? []) found.add(child);
  }
  return [...found];
}
