/** The host's clock. The browser's may differ, or run on another machine. */

/** The host's Unix time minus the browser's, in milliseconds. */
let offset = 0;
let known = false;

/** Takes a time that the host has sent. The one that traveled the shortest time is the best. */
export function observe(now: number): void {
  const measured = now - Date.now();
  // A correction of seconds means that one of the clocks was set.
  if (!known || measured > offset || offset - measured > 2_000) offset = measured;
  known = true;
}

export function hostNow(): number {
  return Date.now() + offset;
}
