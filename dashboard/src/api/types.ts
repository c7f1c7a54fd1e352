/** What the admin listener sends. Missing values are null. */

/** Bucket of a histogram: the upper bound in microseconds (null: none), and the count. */
export type Bucket = [number | null, number];

export interface FunctionFigures {
  /** Empty: functions that only a handle reaches. */
  name: string;
  in_flight: number;
  /** Totals since the start, by outcome. */
  outcomes: Record<string, number>;
  cpu_seconds: number;
  peak_memory: number;
  request_bytes: number;
  response_bytes: number;
  calls: number;
  fetches: number;
  p50_us: number | null;
  p95_us: number | null;
  p99_us: number | null;
  /** Run times since the previous event. */
  latency: Bucket[];
}

export interface Overview {
  /** Unix time in milliseconds. */
  now: number;
  version: string;
  draining: boolean;
  in_flight: number;
  max_in_flight: number;
  contexts: number;
  connections: number;
  cores: number;
  cpu_seconds: number;
  resident_bytes: number;
  /** Totals since the start, by outcome. */
  rejections: Record<string, number>;
  functions: FunctionFigures[];
}

export interface Invocation {
  id: number;
  parent: number | null;
  function: string;
  request_id: string | null;
  started: number;
  deadline: number | null;
  done: string | null;
  cause: string | null;
}

export interface LiveEvent {
  now: number;
  started: Invocation[];
  changed: Invocation[];
  ended: number[];
  left_out: number;
}

export interface Summary {
  id: number;
  function: string;
  method: string | null;
  path: string | null;
  request_id: string | null;
  trace_id: string | null;
  principal: string | null;
  started: number;
  duration_us: number;
  outcome: string;
  cause: string | null;
  status: number | null;
  /** Whether it, or anything that it started, has failed. */
  is_failed: boolean;
  span_count: number;
}

export type SpanKind = "invocation" | "host_function" | "fetch";

export interface Span {
  /** Negative if it is made up, for contexts that have none. */
  id: number;
  parent: number | null;
  kind: SpanKind;
  name: string;
  start_us: number;
  end_us: number;
  queue_us: number;
  checkout_us: number;
  grace_us: number;
  deadline_us: number | null;
  done_us: number | null;
  done: string | null;
  cause: string | null;
  outcome: string;
  message: string | null;
  status: number | null;
  cpu_us: number;
  peak_memory: number;
  request_bytes: number;
  response_bytes: number;
  trace_id: string | null;
  span_id: string | null;
  /** Which module ran. Only invocations have one. */
  version?: string | null;
}

export interface LogLine {
  at_us: number;
  span: number | null;
  level: string;
  source: string;
  text: string;
}

/** One request as the host recorded it. */
export interface Recording extends Summary {
  spans: Span[];
  logs: LogLine[];
  left_out: number;
}

export interface FunctionInfo {
  name: string;
  kind: "function" | "host_function";
  /** Which module is deployed. Functions of the host have none. */
  version?: string | null;
  /** Null for functions of the host. */
  instances: string | null;
  /** As text, in the order in which they are shown. */
  limits: Record<string, string>;
  calls: string[];
  allow_hosts: string[];
  mounts: string[];
  environment: string[];
  routes: string[];
}

export interface InvokeRequest {
  method: string;
  path: string;
  headers: [string, string][];
  body: string;
  timeout_ms: number | null;
}

export interface InvokeResult {
  request: number | null;
  status: number;
  headers: [string, string][];
  body: string;
  is_base64: boolean;
  truncated: boolean;
  duration_us: number;
  outcome: string;
  cause: string | null;
  message: string | null;
}

export type ListName = "recent" | "slowest" | "failed";
