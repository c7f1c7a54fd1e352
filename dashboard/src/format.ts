/** Numbers and times as text. */

const MINUTE = 60_000_000;

/** A duration in microseconds, with three digits: `12.3 ms`. */
export function duration(us: number): string {
  if (us < 0) return `−${duration(-us)}`;
  if (us < 999.5) return `${us < 9.95 && us % 1 !== 0 ? us.toFixed(1) : us.toFixed(0)} µs`;
  if (us < 999_500) return `${digits(us / 1e3)} ms`;
  if (us < MINUTE) return `${digits(us / 1e6)} s`;
  const seconds = Math.floor(us / 1e6);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60, 2)} s`;
  return `${Math.floor(seconds / 3600)} h ${pad(Math.floor(seconds / 60) % 60, 2)} min`;
}

/** A round duration, for an axis: `20 ms`, not `20.0 ms`. */
export function round(us: number): string {
  if (us === 0) return "0";
  const [scale, unit] = us < 1e3 ? [1, "µs"] : us < 1e6 ? [1e3, "ms"] : [1e6, "s"];
  return `${Number((us / scale).toPrecision(4))} ${unit}`;
}

/** A time that runs down, in milliseconds: with fewer digits, so that it stays readable. */
export function remaining(ms: number): string {
  if (ms < 0) return "0 ms";
  if (ms < 1_000) return `${Math.ceil(ms / 10) * 10} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return duration(ms * 1_000);
}

function digits(value: number): string {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, "0");
}

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** A count: `1,234`, `56.7k`, `8.90M`. */
export function count(value: number): string {
  if (value < 9_999.5) return WHOLE.format(value);
  if (value < 999_500) return `${digits(value / 1e3)}k`;
  if (value < 999.5e6) return `${digits(value / 1e6)}M`;
  return `${digits(value / 1e9)}G`;
}

/** A rate per second. */
export function rate(value: number): string {
  if (value === 0) return "0";
  if (value < 0.05) return "<0.1";
  return value < 9.95 ? value.toFixed(1) : count(value);
}

/** A size in bytes. */
export function bytes(value: number): string {
  if (value < 1_024) return `${WHOLE.format(value)} B`;
  if (value < 1_024 ** 2) return `${digits(value / 1_024)} KiB`;
  if (value < 1_024 ** 3) return `${digits(value / 1_024 ** 2)} MiB`;
  return `${digits(value / 1_024 ** 3)} GiB`;
}

/** A share, from 0 to 1. */
export function percent(share: number): string {
  const value = share * 100;
  if (value === 0) return "0 %";
  if (value < 0.1) return "<0.1 %";
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** The time of day of a Unix time in milliseconds: `14:03:22.481`. */
export function clock(unix: number): string {
  const date = new Date(unix);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => pad(n, 2));
  return `${parts.join(":")}.${pad(date.getMilliseconds(), 3)}`;
}

/** A name of the API for readers: `deadline_exceeded` is `deadline exceeded`. */
export function words(name: string): string {
  return name.replaceAll(/[_-]/g, " ");
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** The name of a function, which is empty if only a handle reaches it. */
export function named(name: string): string {
  return name === "" ? "(unnamed)" : name;
}
