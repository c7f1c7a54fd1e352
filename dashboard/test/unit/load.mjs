/** Loads modules of the page in Node. */

import { fileURLToPath } from "node:url";
import { after } from "node:test";
import { createServer } from "vite";

const vite = await createServer({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  server: { middlewareMode: true, watch: null, ws: false },
  appType: "custom",
  logLevel: "error",
  optimizeDeps: { noDiscovery: true },
});
after(() => vite.close());

export const load = (path) => vite.ssrLoadModule(path);
