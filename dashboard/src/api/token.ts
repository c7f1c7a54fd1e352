/** The operator's token. It is kept for this tab only. */

import { signal } from "@preact/signals";

const KEY = "hourglass-token";

let token = sessionStorage.getItem(KEY);

/** Whether the host wants a token, or another one than it was shown. */
export const tokenNeeded = signal<"no" | "missing" | "wrong">("no");

let waiting: (() => void)[] = [];

export function bearer(): string | null {
  return token;
}

/** The host has answered 401 to a request with this token. */
export function needToken(shown: string | null): void {
  // Another request may have been sent before the operator entered a token.
  if (shown !== token) return;
  tokenNeeded.value = shown === null ? "missing" : "wrong";
}

/** Takes what the operator has entered, and lets everything continue that waits for it. */
export function enterToken(entered: string): void {
  token = entered;
  sessionStorage.setItem(KEY, entered);
  tokenNeeded.value = "no";
  const resume = waiting;
  waiting = [];
  for (const go of resume) go();
}

export function tokenEntered(): Promise<void> {
  return new Promise((resolve) => waiting.push(resolve));
}
