import { defineConfig, loadEnv } from "vite";

/** The host embeds the built files from here. They are committed. */
const PAGE = "../runtime/src/http/admin/page";

/** The admin listener that the development server passes requests on to. */
const ADMIN = loadEnv("development", ".", "ADMIN")["ADMIN"] ?? "http://127.0.0.1:9091";

export default defineConfig({
  // Relative addresses, so that the page also works below a proxy's path.
  base: "./",
  build: {
    outDir: PAGE,
    emptyOutDir: true,
    target: "es2022",
    // The first browsers that have light-dark().
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    sourcemap: false,
    modulePreload: { polyfill: false },
    // A data: URL for a font or an image would be inlined; there are none.
    assetsInlineLimit: 0,
    rolldownOptions: {
      output: {
        entryFileNames: "app.js",
        assetFileNames: "app.[ext]",
      },
    },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: {
    proxy: Object.fromEntries(
      ["/events", "/requests", "/functions", "/invocations", "/metrics"].map((path) => [path, ADMIN]),
    ),
  },
});
