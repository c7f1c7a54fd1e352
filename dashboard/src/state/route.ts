/** The address of a view: `#/requests/42?span=43`. */

import { signal } from "@preact/signals";

export interface Route {
  page: string;
  /** What follows the page's name, decoded; empty if there is nothing. */
  id: string;
  query: URLSearchParams;
}

export const route = signal<Route>(parse(location.hash));

addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page = "", ...rest] = path.split("/");
  return { page: page || "overview", id: decode(rest.join("/")), query: new URLSearchParams(query) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function href(page: string, id: string | number = "", query: Record<string, string> = {}): string {
  const set = Object.entries(query).filter(([, value]) => value !== "");
  const search = new URLSearchParams(set).toString();
  const path = id === "" ? page : `${page}/${encodeURIComponent(id)}`;
  return `#/${path}${search && `?${search}`}`;
}

/** Changes the address of the current view, without a new entry in the history. */
export function replace(to: string): void {
  history.replaceState(null, "", to);
  route.value = parse(location.hash);
}
