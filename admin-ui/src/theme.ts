import { createTheme, type MantineColorsTuple } from "@mantine/core";

const teal: MantineColorsTuple = [
  "#effdfa",
  "#d6f7f1",
  "#a9efe3",
  "#79e5d4",
  "#4fd6c3",
  "#2cc0ad",
  "#14a594",
  "#0d8578",
  "#0f6a61",
  "#0f5750",
];

// The last four are what pages, panels and fields are drawn on.
const dark: MantineColorsTuple = [
  "#d5dbe1",
  "#b6bfc8",
  "#939da8",
  "#6b7682",
  "#3a424b",
  "#2f363e",
  "#252b32",
  "#1b1f24",
  "#14171b",
  "#0e1013",
];

export const theme = createTheme({
  primaryColor: "brand",
  primaryShade: 7,
  colors: { brand: teal, dark },
  autoContrast: true,
  defaultRadius: "md",
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace',
  headings: { fontWeight: "650" },
  cursorType: "pointer",
  respectReducedMotion: true,
});
