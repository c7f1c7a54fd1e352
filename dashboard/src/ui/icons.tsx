/** Icons of 16 by 16 pixels. They are decoration: text beside them has the meaning. */

import type { ComponentChildren } from "preact";
import type { Group } from "../state/outcomes";

function Icon({ children, class: name = "" }: { children: ComponentChildren; class?: string }) {
  return (
    <svg class={`icon ${name}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

const STROKE = { fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round", "stroke-linejoin": "round" } as const;

/** One shape for each group of outcomes, so that color is not needed to tell them apart. */
export function OutcomeIcon({ group }: { group: Group }) {
  return <Icon class={`group-${group}`}>{SHAPES[group]}</Icon>;
}

const SHAPES: Record<Group, ComponentChildren> = {
  response: (
    <>
      <circle cx="8" cy="8" r="6.5" fill="currentColor" />
      <path d="M5 8.200 7.200 10.400 11 6" fill="none" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" />
    </>
  ),
  deadline: <path d="M3.500 1.500h9v2.300c0 1.700-1.100 2.900-2.700 3.900v.6c1.600 1 2.700 2.200 2.700 3.900v2.300h-9v-2.300c0-1.700 1.100-2.900 2.700-3.900v-.6C4.600 6.700 3.500 5.500 3.500 3.800z" fill="currentColor" />,
  canceled: (
    <>
      <circle cx="8" cy="8" r="5.700" {...STROKE} stroke-width="2" />
      <path d="M4.200 11.800 11.800 4.200" {...STROKE} stroke-width="2" />
    </>
  ),
  fault: (
    <>
      <path d="M5 1.500h6L14.500 5v6L11 14.500H5L1.500 11V5z" fill="currentColor" />
      <path d="m5.700 5.700 4.600 4.600m0-4.600-4.600 4.600" fill="none" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round" />
    </>
  ),
  refused: (
    <>
      <rect x="1.800" y="1.800" width="12.400" height="12.400" rx="2.500" fill="currentColor" />
      <path d="M5 8h6" fill="none" stroke="var(--surface)" stroke-width="2" stroke-linecap="round" />
    </>
  ),
  host: (
    <>
      <path d="M8 1.200 15.200 14H.8z" fill="currentColor" />
      <path d="M8 6v3.600M8 11.800v.1" fill="none" stroke="var(--surface)" stroke-width="1.700" stroke-linecap="round" />
    </>
  ),
};

export function Chevron({ open }: { open: boolean }) {
  return <Icon class={open ? "chevron open" : "chevron"}><path d="m6 3.500 4.500 4.500L6 12.500" {...STROKE} /></Icon>;
}

export function Cross() {
  return <Icon><path d="m4 4 8 8m0-8-8 8" {...STROKE} /></Icon>;
}

export function Pause() {
  return <Icon><path d="M5.500 3.500v9m5-9v9" {...STROKE} stroke-width={2.2} /></Icon>;
}

export function Play() {
  return <Icon><path d="M5 3.200v9.600L12.800 8z" fill="currentColor" /></Icon>;
}

export function LinkIcon() {
  return <Icon><path d="M6.800 9.200a2.600 2.600 0 0 0 3.700 0l2.200-2.200A2.600 2.600 0 0 0 9 3.300l-.9.9m1.100 2.600a2.600 2.600 0 0 0-3.700 0L3.300 9A2.600 2.600 0 0 0 7 12.700l.9-.9" {...STROKE} stroke-width={1.4} /></Icon>;
}

export function ThemeIcon({ theme }: { theme: "auto" | "light" | "dark" }) {
  if (theme === "light") {
    return <Icon><circle cx="8" cy="8" r="3" fill="currentColor" /><path d="M8 1v1.800M8 13.200V15M1 8h1.800M13.200 8H15M3 3l1.300 1.300M11.700 11.700 13 13M13 3l-1.300 1.300M4.300 11.700 3 13" {...STROKE} /></Icon>;
  }
  if (theme === "dark") return <Icon><path d="M13.500 9.800A6 6 0 0 1 6.200 2.500a6 6 0 1 0 7.300 7.300z" fill="currentColor" /></Icon>;
  return <Icon><circle cx="8" cy="8" r="6" {...STROKE} /><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" /></Icon>;
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">
      <path d="M4.500 2h11M4.500 18h11" stroke="currentColor" stroke-width="2" stroke-linecap="round" />
      <path d="M6 2.500v2C6 6.900 9 8 9 10s-3 3.100-3 5.500v2h8v-2C14 13.100 11 12 11 10s3-3.100 3-5.500v-2" fill="none" stroke="currentColor" stroke-width="1.500" />
      <path d="M7.600 5.500h4.800C11.800 7 10.600 7.800 10 9c-.6-1.200-1.800-2-2.400-3.500zM10 12.500c1 .9 2.300 1.800 2.600 3.700H7.400c.3-1.900 1.600-2.800 2.600-3.700z" fill="var(--sand)" />
    </svg>
  );
}
