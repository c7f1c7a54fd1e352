/** Requests to the admin listener. */

import type {
  FunctionInfo, InvokeRequest, InvokeResult, ListName, Recording, Summary,
} from "./types";
import { bearer, needToken } from "./token";

/** An answer that is not 2xx. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** Sends a request. The path is relative to the page's. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  const sent = bearer();
  const headers = new Headers(init.headers);
  if (sent !== null) headers.set("authorization", `Bearer ${sent}`);
  const response = await fetch(path, { ...init, headers, cache: "no-store" });
  if (response.status === 401) needToken(sent);
  if (!response.ok) throw await problem(response);
  return response;
}

async function problem(response: Response): Promise<ApiError> {
  const fallback = response.statusText || `status ${response.status}`;
  try {
    const { title, detail } = (await response.json()) as { title?: string; detail?: string };
    return new ApiError(response.status, title ?? fallback, detail ?? title ?? fallback);
  } catch {
    return new ApiError(response.status, fallback, fallback);
  }
}

async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return (await (await send(path, init)).json()) as T;
}

export interface Filter {
  list: ListName;
  function: string;
  outcome: string;
  trace: string;
}

export async function requests(filter: Filter, signal: AbortSignal): Promise<Summary[]> {
  const names = ["list", "function", "outcome", "trace"] as const;
  const set = names.filter((name) => filter[name] !== "");
  const query = set.map((name) => `${name}=${encodeURIComponent(filter[name])}`).join("&");
  return (await json<{ requests: Summary[] }>(`requests?${query}`, { signal })).requests;
}

export function recording(id: number, signal: AbortSignal): Promise<Recording> {
  return json<Recording>(`requests/${id}`, { signal });
}

export async function functions(signal: AbortSignal): Promise<FunctionInfo[]> {
  return (await json<{ functions: FunctionInfo[] }>("functions", { signal })).functions;
}

export function invoke(name: string, request: InvokeRequest): Promise<InvokeResult> {
  return json<InvokeResult>(`functions/${encodeURIComponent(name)}/invoke`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
}

export async function cancel(id: number): Promise<number> {
  return (await json<{ canceled: number }>(`invocations/${id}`, { method: "DELETE" })).canceled;
}
