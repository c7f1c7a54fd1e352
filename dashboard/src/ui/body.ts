/** Bodies of responses as files that the page can show. */

import type { InvokeResult } from "../api/types";

export interface Blobbed {
  url: string;
  size: number;
}

export function header(headers: readonly [string, string][], name: string): string {
  return headers.find(([one]) => one.toLowerCase() === name)?.[1] ?? "";
}

/** The media type in lower case, without parameters; empty if there is none. */
export function contentType(headers: readonly [string, string][]): string {
  return (header(headers, "content-type").split(";")[0] ?? "").trim().toLowerCase();
}

/** The caller revokes the URL. */
export function blob(result: InvokeResult): Blobbed {
  const data: BlobPart = result.is_base64
    ? Uint8Array.from(atob(result.body), (char) => char.charCodeAt(0))
    : result.body;
  const made = new Blob([data], { type: contentType(result.headers) });
  return { url: URL.createObjectURL(made), size: made.size };
}
