import { connection } from "../api/events";
import { tokenNeeded } from "../api/token";
import { count } from "../format";
import { overview } from "../state/overview";
import { route } from "../state/route";
import { theme, type Theme } from "../state/theme";
import { Logo, ThemeIcon } from "./icons";

const PAGES = [
  ["overview", "#/", "Overview"],
  ["live", "#/live", "Live"],
  ["requests", "#/requests", "Requests"],
  ["functions", "#/functions", "Functions"],
  ["example", "#/example", "Example"],
] as const;

export function Header() {
  const { page } = route.value;
  return (
    <header class="header">
      <a class="brand" href="#/"><Logo /><span>Hourglass</span></a>
      <nav class="nav" aria-label="Views">
        {PAGES.map(([name, href, label]) => (
          <a key={name} href={href} aria-current={page === name ? "page" : undefined}>
            {label}{name === "live" && <InFlight />}
          </a>
        ))}
      </nav>
      <div class="header-end">
        <ConnectionState />
        <ThemeSwitch />
      </div>
    </header>
  );
}

function InFlight() {
  const state = overview.value;
  if (state === null) return null;
  return <span class="nav-count" aria-label={`, ${state.last.in_flight} in flight`}>{count(state.last.in_flight)}</span>;
}

function ConnectionState() {
  const { state } = connection.value;
  const last = overview.value?.last;
  const [look, text] =
    tokenNeeded.value !== "no" ? ["off", "Signed out"]
    : state === "waiting" ? ["off", "Disconnected"]
    : state === "connecting" ? ["on", "Connecting"]
    : last?.draining ? ["draining", "Draining"]
    : ["live", "Live"];
  return (
    <span class={`connection connection-${look}`}>
      <span class="connection-dot" aria-hidden="true" />
      <span role="status">{text}</span>
      {last && <span class="version muted">v{last.version}</span>}
    </span>
  );
}

const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const NAMES: Record<Theme, string> = { auto: "as the system", light: "light", dark: "dark" };

function ThemeSwitch() {
  const current = theme.value;
  const label = `Colors: ${NAMES[current]}. Change to ${NAMES[NEXT[current]]}`;
  return (
    <button type="button" class="icon-button" title={label} aria-label={label} onClick={() => {
      theme.value = NEXT[current];
    }}>
      <ThemeIcon theme={current} />
    </button>
  );
}
