/** Which module a function has. A click selects it, so that it can be copied. */
export function Version({ version }: { version: string }) {
  return <span class="mono module-version" title="The first 12 digits of the BLAKE3 hash of its module">{version}</span>;
}
