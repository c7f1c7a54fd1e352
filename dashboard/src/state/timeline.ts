/** Where the parts of a span are on the time axis. */

import type { Recording, Span } from "../api/types";

export type Phase = "queue" | "checkout" | "run" | "grace";

export interface Segment {
  phase: Phase;
  start: number;
  end: number;
}

/** A part of the time axis, in microseconds from the start of the request. */
export interface View {
  start: number;
  end: number;
}

/** The phases of a span in order, without those that took no time. */
export function segments(span: Span): Segment[] {
  const { start_us: start, end_us: end } = span;
  const inside = (at: number) => Math.min(Math.max(at, start), end);
  const queued = inside(start + span.queue_us);
  const ready = inside(queued + span.checkout_us);
  const done = Math.max(inside(end - span.grace_us), ready);
  const all: Segment[] = [
    { phase: "queue", start, end: queued },
    { phase: "checkout", start: queued, end: ready },
    { phase: "run", start: ready, end: done },
    { phase: "grace", start: done, end },
  ];
  return all.filter((one) => one.end > one.start);
}

export function root(recording: Recording): Span | undefined {
  const ids = new Set(recording.spans.map((span) => span.id));
  return recording.spans.find((span) => span.parent === null || !ids.has(span.parent));
}

/** The whole request, and its deadline if that is not far away. */
export function whole(recording: Recording): View {
  const end = recording.spans.reduce((most, span) => Math.max(most, span.end_us), 0) || recording.duration_us || 1;
  const deadline = root(recording)?.deadline_us ?? 0;
  return { start: 0, end: (deadline <= end * 2 ? Math.max(end, deadline) : end) * 1.02 };
}

/** A span with some time around it. */
export function around(span: Span): View {
  const margin = Math.max((span.end_us - span.start_us) * 0.08, 0.5);
  return { start: Math.max(span.start_us - margin, 0), end: span.end_us + margin };
}

/** Round times for the axis: steps of 1, 2 or 5 times a power of ten. */
export function ticks(view: View, most: number): number[] {
  const raw = (view.end - view.start) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((one) => one >= raw) ?? power * 10;
  const found = [];
  for (let i = Math.ceil(view.start / step); i * step <= view.end; i++) found.push(i * step);
  return found;
}

/** A position as a percentage of the view. */
export function position(view: View, at: number): number {
  return ((at - view.start) / (view.end - view.start)) * 100;
}
