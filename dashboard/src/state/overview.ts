/** Rates and percentiles over time, from the host's totals. Memory is bounded by `SECONDS`. */

import { signal } from "@preact/signals";
import type { Bucket, FunctionFigures, Overview } from "../api/types";
import { group, GROUPS, type Group } from "./outcomes";
import { add, percentile, type Histogram } from "./percentile";

/** How far the charts go back, and how far the sparklines do. */
export const SECONDS = 300;
export const SPARK_SECONDS = 60;
/** Percentiles in tiles and rows are those of the last seconds: one second alone is noisy. */
const WINDOW = 10;

/** One second of the whole host. */
export interface Sample {
  /** Unix time in seconds. */
  at: number;
  groups: Record<Group, number>;
  requests: number;
  failures: number;
  rejections: number;
  inFlight: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  /** Cores in use. */
  cpu: number;
  resident: number;
}

export interface Percentiles {
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

/** One function, with its last minute. */
export interface FunctionRow extends Percentiles {
  figures: FunctionFigures;
  total: number;
  rate: number;
  failureShare: number;
  failureTotal: number;
  cpu: number;
  rates: (number | null)[];
  p95s: (number | null)[];
}

export interface OverviewState {
  last: Overview;
  samples: readonly Sample[];
  recent: Percentiles;
  functions: readonly FunctionRow[];
}

export const overview = signal<OverviewState | null>(null);

/** Turns events into states. Separate from the signal, so that a test can use it alone. */
export class History {
  #previous: Overview | null = null;
  #samples: Sample[] = [];
  #latency: Bucket[][] = [];
  #functions = new Map<string, FunctionHistory>();

  /** A new connection: the pause before it is a gap, and the host may be another process. */
  opened(): void {
    this.#previous = null;
    this.#latency = [];
    for (const one of this.#functions.values()) one.opened();
  }

  next(event: Overview): OverviewState {
    const before = this.#previous;
    this.#previous = event;
    const seconds = before === null ? 0 : (event.now - before.now) / 1_000;

    const known = new Map(before?.functions.map((one) => [one.name, one]));
    const functions = event.functions.map((figures) => {
      const history = this.#functions.get(figures.name) ?? new FunctionHistory();
      this.#functions.set(figures.name, history);
      const previous = before === null ? null : (known.get(figures.name) ?? NOTHING);
      return history.next(figures, previous, seconds);
    });
    for (const name of this.#functions.keys()) {
      if (!event.functions.some((one) => one.name === name)) this.#functions.delete(name);
    }

    const buckets = event.functions.flatMap((one) => one.latency);
    push(this.#latency, buckets, WINDOW);
    if (before !== null && seconds > 0) {
      push(this.#samples, sample(event, before, buckets, seconds), SECONDS);
    }
    return {
      last: event,
      samples: [...this.#samples],
      recent: percentiles(this.#latency.flat()),
      functions,
    };
  }
}

class FunctionHistory {
  #latency: Bucket[][] = [];
  #rates: (number | null)[] = [];
  #p95s: (number | null)[] = [];
  #counts: [all: number, failed: number, seconds: number][] = [];

  opened(): void {
    this.#latency = [];
    this.#counts = [];
  }

  next(figures: FunctionFigures, before: FunctionFigures | null, seconds: number): FunctionRow {
    push(this.#latency, figures.latency, WINDOW);
    const groups = byGroup(figures.outcomes);
    const total = sum(groups);
    let cpu = 0;
    if (before !== null && seconds > 0) {
      const delta = difference(figures.outcomes, before.outcomes);
      const ended = sum(delta);
      push(this.#counts, [ended, ended - delta.response, seconds], WINDOW);
      push(this.#rates, ended / seconds, SPARK_SECONDS);
      push(this.#p95s, figures.p95_us, SPARK_SECONDS);
      cpu = increase(figures.cpu_seconds, before.cpu_seconds) / seconds;
    }
    const [all, failed] = this.#counts.reduce(([a, f], [x, y]) => [a + x, f + y], [0, 0]);
    return {
      figures,
      total,
      rate: this.#rates.at(-1) ?? 0,
      failureShare: all === 0 ? 0 : failed / all,
      failureTotal: total - groups.response,
      cpu,
      rates: [...this.#rates],
      p95s: [...this.#p95s],
      ...percentiles(this.#latency.flat()),
    };
  }
}

const NOTHING: FunctionFigures = {
  name: "", in_flight: 0, outcomes: {}, cpu_seconds: 0, peak_memory: 0, request_bytes: 0,
  response_bytes: 0, calls: 0, fetches: 0, p50_us: null, p95_us: null, p99_us: null, latency: [],
};

function sample(event: Overview, before: Overview, buckets: Bucket[], seconds: number): Sample {
  const known = new Map(before.functions.map((one) => [one.name, one]));
  const groups = byGroup({});
  for (const one of event.functions) {
    const delta = difference(one.outcomes, known.get(one.name)?.outcomes ?? {});
    for (const name of GROUPS) groups[name] += delta[name] / seconds;
  }
  const rejections = sum(difference(event.rejections, before.rejections)) / seconds;
  groups.refused += rejections;
  const requests = sum(groups);
  return {
    at: event.now / 1_000,
    groups,
    requests,
    failures: requests - groups.response,
    rejections,
    inFlight: event.in_flight,
    ...percentiles(buckets),
    cpu: increase(event.cpu_seconds, before.cpu_seconds) / seconds,
    resident: event.resident_bytes,
  };
}

function percentiles(buckets: readonly Bucket[]): Percentiles {
  const histogram: Histogram = new Map();
  add(histogram, buckets);
  return {
    p50: percentile(histogram, 0.5),
    p95: percentile(histogram, 0.95),
    p99: percentile(histogram, 0.99),
  };
}

/** The increase of a total. After a restart it begins at zero again. */
function increase(now: number, before: number): number {
  return now >= before ? now - before : now;
}

function difference(
  now: Record<string, number>,
  before: Record<string, number>,
): Record<Group, number> {
  const deltas: Record<string, number> = {};
  for (const [name, value] of Object.entries(now)) deltas[name] = increase(value, before[name] ?? 0);
  return byGroup(deltas);
}

function byGroup(outcomes: Record<string, number>): Record<Group, number> {
  const groups = { response: 0, deadline: 0, canceled: 0, fault: 0, refused: 0, host: 0 };
  for (const [name, value] of Object.entries(outcomes)) groups[group(name)] += value;
  return groups;
}

function sum(groups: Record<Group, number>): number {
  return GROUPS.reduce((total, name) => total + groups[name], 0);
}

function push<T>(list: T[], item: T, most: number): void {
  list.push(item);
  if (list.length > most) list.splice(0, list.length - most);
}
