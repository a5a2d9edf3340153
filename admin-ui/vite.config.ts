import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` shows the pages of a gateway that runs beside it.
const GATEWAY = "http://127.0.0.1:8080";

export default defineConfig({
  base: "/admin/",
  plugins: [react()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // a data: address would need a hole in the content security policy
    modulePreload: { polyfill: false }, // the same: it is an inline script
    cssCodeSplit: true,
    manifest: true,
    reportCompressedSize: false,
  },
  server: { proxy: { "/api": GATEWAY, "/v1": GATEWAY, "/metrics": GATEWAY } },
  test: { environment: "happy-dom", globals: false },
});
