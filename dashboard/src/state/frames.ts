/** One loop for everything that moves with the time. It runs only while something does. */

import { hostNow } from "./clock";

type Painter = (hostNow: number) => void;

const painters = new Set<Painter>();
const still = matchMedia("(prefers-reduced-motion: reduce)");
let running = false;
let last = 0;

/** Calls `painter` before each frame, or once a second for readers who prefer less motion. */
export function onFrame(painter: Painter): () => void {
  painters.add(painter);
  painter(hostNow());
  if (!running) {
    running = true;
    requestAnimationFrame(frame);
  }
  return () => painters.delete(painter);
}

function frame(time: number): void {
  if (painters.size === 0) {
    running = false;
    return;
  }
  if (!still.matches || time - last >= 1_000) {
    last = time;
    const now = hostNow();
    for (const painter of painters) painter(now);
  }
  requestAnimationFrame(frame);
}
