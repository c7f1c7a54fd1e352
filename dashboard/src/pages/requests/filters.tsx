import type { Filter } from "../../api/client";
import type { Summary } from "../../api/types";
import { named, words } from "../../format";
import { overview } from "../../state/overview";
import { Cross } from "../../ui/icons";

interface Props {
  filter: Filter;
  seen: readonly Summary[];
  onChange: (changes: Partial<Filter>) => void;
}

export function Filters({ filter, seen, onChange }: Props) {
  const last = overview.value?.last;
  const functions = new Set(seen.map((one) => one.function));
  const outcomes = new Set(seen.map((one) => one.outcome));
  for (const one of last?.functions ?? []) {
    functions.add(one.name);
    for (const name of Object.keys(one.outcomes)) outcomes.add(name);
  }
  for (const name of Object.keys(last?.rejections ?? {})) outcomes.add(name);
  return (
    <>
      <Choice label="Function" value={filter.function} all="all functions" options={functions} show={named} onChange={(value) => onChange({ function: value })} />
      <Choice label="Outcome" value={filter.outcome} all="all outcomes" options={outcomes} show={words} onChange={(value) => onChange({ outcome: value })} />
      <span class="grow trace-filter">
        <input type="search" placeholder="Trace id" aria-label="Trace id" class="mono" spellcheck={false} value={filter.trace}
          onChange={(event) => onChange({ trace: event.currentTarget.value.trim().toLowerCase() })} />
        {filter.trace !== "" && (
          <button type="button" class="icon-button" aria-label="Clear the trace id" onClick={() => onChange({ trace: "" })}><Cross /></button>
        )}
      </span>
    </>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  all: string;
  options: Set<string>;
  show: (value: string) => string;
  onChange: (value: string) => void;
}

function Choice({ label, value, all, options, show, onChange }: ChoiceProps) {
  const values = [...new Set([...options, value])].filter((one) => one !== "").sort();
  return (
    <select aria-label={label} value={value} class={value === "" ? "" : "set"} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">{all}</option>
      {values.map((one) => <option key={one} value={one}>{show(one)}</option>)}
    </select>
  );
}
