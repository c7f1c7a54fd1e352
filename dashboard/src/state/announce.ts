/** What just happened: shown for a moment, and read out. */

import { signal } from "@preact/signals";

const SHOWN = 6_000;

export const announcement = signal("");

let timer = 0;

export function announce(text: string): void {
  announcement.value = text;
  clearTimeout(timer);
  timer = window.setTimeout(() => {
    announcement.value = "";
  }, SHOWN);
}
