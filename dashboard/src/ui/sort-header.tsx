interface Props {
  label: string;
  numeric: boolean;
  active: boolean;
  ascending: boolean;
  onSort: () => void;
  class?: string;
}

/** The header of a column that sorts the table. */
export function SortHeader({ label, numeric, active, ascending, onSort, class: name = "" }: Props) {
  const order = ascending ? "ascending" : "descending";
  return (
    <th scope="col" class={`${numeric ? "num" : ""} ${name}`} aria-sort={active ? order : undefined}>
      <button type="button" class="sort" onClick={onSort}>
        {label}<span class="sort-mark" aria-hidden="true">{active ? (ascending ? "↑" : "↓") : ""}</span>
      </button>
    </th>
  );
}
