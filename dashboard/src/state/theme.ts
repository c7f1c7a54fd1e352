/** Light or dark: as the system says, or as the reader chose. */

import { effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const KEY = "hourglass-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

const stored = localStorage.getItem(KEY);
export const theme = signal<Theme>(stored === "light" || stored === "dark" ? stored : "auto");
/** Counts changes of the colors, for what is painted on a canvas. */
export const themeChanges = signal(0);

effect(() => {
  const chosen = theme.value;
  if (chosen === "auto") {
    localStorage.removeItem(KEY);
    delete document.documentElement.dataset["theme"];
  } else {
    localStorage.setItem(KEY, chosen);
    document.documentElement.dataset["theme"] = chosen;
  }
  themeChanges.value = themeChanges.peek() + 1;
});

system.addEventListener("change", () => {
  themeChanges.value += 1;
});

/** The present value of a color of the style sheet, such as `var(--text)`. */
export function color(expression: string): string {
  const probe = document.createElement("i");
  probe.style.color = expression;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
