/** A small line without axes. The number beside it has the value. */

interface Props {
  values: readonly (number | null)[];
  /** How many values fill the width. */
  length: number;
  class?: string;
}

const WIDTH = 100;
const HEIGHT = 22;

export function Sparkline({ values, length, class: name = "" }: Props) {
  const most = Math.max(...values.map((value) => value ?? 0), Number.MIN_VALUE);
  const step = WIDTH / (length - 1);
  const first = length - values.length;
  const y = (value: number) => HEIGHT - 1.5 - (value / most) * (HEIGHT - 4);

  let line = "";
  let area = "";
  let start: number | null = null;
  values.forEach((value, index) => {
    const x = (first + index) * step;
    if (value !== null) {
      line += `${start === null ? "M" : "L"}${x.toFixed(1)} ${y(value).toFixed(1)}`;
      start ??= x;
    }
    if (start !== null && (value === null || index === values.length - 1)) {
      const end = value === null ? x - step : x;
      const run = line.slice(line.lastIndexOf("M"));
      area += `${run}L${end.toFixed(1)} ${HEIGHT}L${start.toFixed(1)} ${HEIGHT}Z`;
      start = null;
    }
  });
  return (
    <svg class={`sparkline ${name}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
      <path class="sparkline-area" d={area} />
      <path class="sparkline-line" d={line} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
