/** The list of recorded requests: what the host returned, with what it recorded since then. */

import type { Filter } from "../api/client";
import type { ListName, Summary } from "../api/types";

/** As many as the host returns. */
export const MOST = 200;

/** Merges requests into a list, newest or slowest first. Each is in it once. */
export function mergeRequests(
  list: readonly Summary[],
  added: readonly Summary[],
  filter: Filter,
): Summary[] {
  const byId = new Map(list.map((one) => [one.id, one]));
  for (const one of added) {
    if (matches(one, filter)) byId.set(one.id, one);
  }
  return [...byId.values()].sort(ORDER[filter.list]).slice(0, MOST);
}

export function matches(request: Summary, filter: Filter): boolean {
  return (
    (filter.function === "" || request.function === filter.function) &&
    (filter.outcome === "" || request.outcome === filter.outcome) &&
    (filter.trace === "" || request.trace_id === filter.trace) &&
    (filter.list !== "failed" || request.is_failed)
  );
}

const newest = (a: Summary, b: Summary) =>
  b.started + b.duration_us / 1e3 - (a.started + a.duration_us / 1e3) || b.id - a.id;

const ORDER: Record<ListName, (a: Summary, b: Summary) => number> = {
  recent: newest,
  failed: newest,
  slowest: (a, b) => b.duration_us - a.duration_us || b.id - a.id,
};
