/** A chart over the last minutes, by uPlot. */

import { useComputed } from "@preact/signals";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { SECONDS } from "../state/overview";
import { color, themeChanges } from "../state/theme";

export interface Series {
  label: string;
  /** The name of a color of the style sheet. */
  color: string;
  values: readonly (number | null)[];
  /** The area below the line is filled. */
  fill?: boolean;
  dash?: number[];
}

interface Props {
  title: string;
  /** In Unix seconds. */
  times: readonly number[];
  series: Series[];
  format: (value: number) => string;
  /** The numbers of the axis, if they are shorter. */
  axis?: (value: number) => string;
  /** Each series is added to those before it. */
  stacked?: boolean;
  logarithmic?: boolean;
  /** The axis has steps that are powers of two, for sizes in bytes. */
  binary?: boolean;
  /** The smallest range of the axis, from zero. */
  atLeast?: number;
}

const HEIGHT = 150;
/** The shortest time that an axis shows, in seconds. */
const SHORTEST = 60;
const POWERS = Array.from({ length: 45 }, (_, power) => 2 ** power);

export function Chart(props: Props) {
  const { title, times, series, format } = props;
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);
  const changes = useComputed(() => themeChanges.value).value;
  const label = useId();
  const shape = series.map((one) => one.label + one.color).join();

  const data = useMemo(() => aligned(props), [times, series]);
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const chart = new uPlot(options(props, element.clientWidth, setHovered), latest.current, element);
    plot.current = chart;
    const observer = new ResizeObserver(() => {
      chart.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [changes, shape]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  const at = hovered !== null && hovered < times.length ? hovered : times.length - 1;
  const value = (one: Series) => {
    const found = one.values[at];
    return found == null ? "–" : format(found);
  };
  return (
    <figure class="chart panel" aria-labelledby={label}>
      <figcaption class="chart-head">
        <h2 id={label}>{title}</h2>
        <ul class="legend">
          {series.map((one) => (
            <li key={one.label}>
              <Swatch series={one} />
              <span class="legend-label">{one.label}</span> <span class="legend-value">{value(one)}</span>
            </li>
          ))}
        </ul>
      </figcaption>
      <div class="chart-plot" ref={holder} aria-hidden="true" />
    </figure>
  );
}

function Swatch({ series }: { series: Series }) {
  return (
    <svg class="swatch" viewBox="0 0 14 10" width="14" height="10" aria-hidden="true" focusable="false">
      {series.fill
        ? <rect x="1" y="1" width="12" height="8" rx="1.5" fill={filled(series.color)} stroke={`var(--${series.color})`} stroke-width="1.25" />
        : <line x1="0" x2="14" y1="5" y2="5" stroke={`var(--${series.color})`} stroke-width="2.5" stroke-dasharray={series.dash?.map((n) => n / 1.5).join(" ")} />}
    </svg>
  );
}

/** The values as uPlot takes them. Stacked ones are sums; the last is at the bottom of the pile. */
function aligned({ times, series, stacked }: Props): uPlot.AlignedData {
  const columns = series.map((one) => [...one.values]);
  if (stacked) {
    for (let i = columns.length - 2; i >= 0; i--) {
      columns[i] = (columns[i] ?? []).map((value, at) => (value ?? 0) + (columns[i + 1]?.[at] ?? 0));
    }
  }
  return [[...times], ...columns];
}

function options(props: Props, width: number, onHover: (index: number | null) => void): uPlot.Options {
  const { series, format, axis = format, logarithmic, binary, atLeast = 0 } = props;
  const line = color("var(--grid)");
  const text = color("var(--muted)");
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const y: uPlot.Scale = logarithmic
    ? { distr: 3, range: (_, low, high) => decades(low, high) }
    : { range: (_, __, high) => [0, Math.max((high ?? 0) * 1.1, atLeast, 1e-9)] };
  return {
    width,
    height: HEIGHT,
    padding: [8, 6, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: "overview", setSeries: false },
      drag: { x: false, y: false },
      points: { size: 6 },
      y: false,
    },
    hooks: { setCursor: [(chart) => onHover(chart.cursor.idx ?? null)] },
    scales: {
      x: { range: (_, low, high) => [high - spanned(high - low), high] },
      y,
    },
    axes: [
      {
        stroke: text, font, size: 24, gap: 3,
        grid: { show: false },
        ticks: { stroke: line, size: 4, width: 1 },
        space: 70,
        values: ({ scales }, marks) => marks.map((mark) => (isCut(scales["x"], mark) ? "" : time(mark))),
      },
      {
        stroke: text, font, size: 58, gap: 4,
        grid: { stroke: line, width: 1, ...(logarithmic ? { filter: onlyDecades } : {}) },
        ticks: { show: false },
        space: 30,
        values: (_, marks) => marks.map((mark) => (mark == null ? "" : axis(mark))),
        ...(logarithmic ? { filter: onlyDecades } : {}),
        ...(binary ? { incrs: POWERS } : {}),
      },
    ],
    series: [
      {},
      ...series.map((one): uPlot.Series => ({
        label: one.label,
        stroke: color(`var(--${one.color})`),
        width: one.fill ? 1.25 : 1.75,
        points: { show: false },
        ...(one.fill ? { fill: color(filled(one.color)) } : {}),
        ...(one.dash ? { dash: one.dash } : {}),
      })),
    ],
  };
}

/** The width of the axis in seconds. It grows with the history, up to its bound. */
function spanned(seconds: number): number {
  return Math.min(Math.max(seconds, SHORTEST), SECONDS - 1);
}

/** An area is paler than its line, and opaque: areas of a stack lie over one another. */
function filled(name: string): string {
  return `color-mix(in srgb, var(--${name}) 40%, var(--surface))`;
}

/** Whether the text at a mark would reach beyond the end of the axis. */
function isCut(scale: uPlot.Scale | undefined, mark: number): boolean {
  const [low, high] = [scale?.min ?? 0, scale?.max ?? 0];
  return high - mark < (high - low) * 0.07;
}

function decades(low: number | null, high: number | null): uPlot.Range.MinMax {
  const down = 10 ** Math.floor(Math.log10(Math.max(low ?? 10, 1)));
  const up = 10 ** Math.ceil(Math.log10(Math.max(high ?? 1_000, 10)));
  return [down, Math.max(up, down * 10)];
}

function onlyDecades(_: uPlot, marks: number[]): (number | null)[] {
  return marks.map((mark) => (isDecade(mark) ? mark : null));
}

function isDecade(value: number): boolean {
  return Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;
}

function time(unix: number): string {
  const date = new Date(unix * 1_000);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}${date.getSeconds() ? `:${two(date.getSeconds())}` : ""}`;
}
