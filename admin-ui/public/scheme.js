// Before the first paint: the theme that was chosen here last, else the system's.
(() => {
  const chosen = localStorage.getItem("mantine-color-scheme-value");
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
