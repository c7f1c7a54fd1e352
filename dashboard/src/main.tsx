import { render } from "preact";
import { App } from "./app";
import { start } from "./state/stream";
import "./style/base.css";
import "./style/shell.css";
import "./style/controls.css";
import "./style/overview.css";
import "./style/tree.css";
import "./style/waterfall.css";
import "./style/pages.css";

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  render(<App />, root);
  start();
}
