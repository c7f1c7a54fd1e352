/** The page: header, notices, and the view that the address names. */

import { useEffect, useRef } from "preact/hooks";
import { tokenNeeded } from "./api/token";
import { ExamplePage } from "./pages/example";
import { FunctionsPage } from "./pages/functions";
import { LivePage } from "./pages/live";
import { OverviewPage } from "./pages/overview";
import { RequestPage } from "./pages/request";
import { RequestsPage } from "./pages/requests";
import { announcement } from "./state/announce";
import { route, type Route } from "./state/route";
import { Empty } from "./ui/empty";
import { Header } from "./ui/header";
import { Notices } from "./ui/notices";
import { SignIn } from "./ui/sign-in";

const TITLES: Record<string, string> = {
  overview: "Overview",
  live: "Live",
  requests: "Requests",
  functions: "Functions",
  example: "Example",
};

export function App() {
  const { page, id } = route.value;
  const main = useRef<HTMLElement>(null);
  const view = page === "requests" && id !== "" ? "request" : page;

  useEffect(() => {
    const title = view === "request" ? `Request ${id}` : (TITLES[page] ?? "Not found");
    document.title = `${title} · Hourglass`;
  }, [page, id]);

  const first = useRef(true);
  useEffect(() => {
    // A screen reader goes on at the new view. The first one is read from the top.
    if (!first.current) main.current?.focus();
    first.current = false;
    scrollTo(0, 0);
  }, [view]);

  return (
    <>
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        main.current?.focus();
      }}>Skip to the content</a>
      <Header />
      <Notices />
      <main id="main" ref={main} tabIndex={-1} class={`view view-${view}`}>
        {tokenNeeded.value === "no" ? <View route={route.value} /> : <SignIn />}
      </main>
      <p class={`toast ${announcement.value && "shown"}`} role="status">{announcement.value}</p>
    </>
  );
}

function View({ route: { page, id, query } }: { route: Route }) {
  switch (page) {
    case "overview":
      return <OverviewPage />;
    case "live":
      return <LivePage />;
    case "requests":
      return id === "" ? <RequestsPage query={query} /> : <RequestPage key={id} id={id} query={query} />;
    case "functions":
      return <FunctionsPage name={id} query={query} />;
    case "example":
      return <ExamplePage />;
    default:
      return (
        <>
          <h1 class="visually-hidden">Not found</h1>
          <Empty title="There is no such view."><p><a href="#/">Go to the overview</a></p></Empty>
        </>
      );
  }
}
