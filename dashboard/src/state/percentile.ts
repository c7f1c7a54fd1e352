/** Percentiles of histograms whose bounds double. */

import type { Bucket } from "../api/types";

/** Counts by upper bound. `Infinity` is the last bucket. */
export type Histogram = Map<number, number>;

export function add(histogram: Histogram, buckets: readonly Bucket[]): void {
  for (const [bound, count] of buckets) {
    const upper = bound ?? Infinity;
    histogram.set(upper, (histogram.get(upper) ?? 0) + count);
  }
}

/** The value that this share of the observations does not exceed, or null if there are none. */
export function percentile(histogram: Histogram, share: number): number | null {
  const bounds = [...histogram].filter(([, count]) => count > 0).sort((a, b) => a[0] - b[0]);
  const total = bounds.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return null;
  let rank = share * total;
  let last = 0;
  for (const [upper, count] of bounds) {
    // The last bucket has no upper bound: its lower one is all that is known.
    if (upper === Infinity) return last;
    // Within a bucket, observations count as evenly spread, as on the host.
    if (rank <= count) return (upper / 2) * (1 + Math.max(rank / count, 0));
    rank -= count;
    last = upper;
  }
  return last;
}
