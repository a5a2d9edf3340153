import { ActionIcon, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import type { MouseEvent } from "react";
import { flushSync } from "react-dom";
import { MoonIcon, SunIcon } from "./icons";

const REVEAL_MS = 420;

/** Switches between light and dark; the new one grows as a circle out of the button. */
export function ThemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const next = scheme === "dark" ? "light" : "dark";
  const label = `Switch to ${next}`;

  function toggle(event: MouseEvent<HTMLButtonElement>) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (still || !document.startViewTransition) {
      setColorScheme(next);
      return;
    }
    const box = event.currentTarget.getBoundingClientRect();
    const x = box.left + box.width / 2;
    const y = box.top + box.height / 2;
    const radius = Math.hypot(Math.max(x, innerWidth - x), Math.max(y, innerHeight - y));
    const transition = document.startViewTransition(() => flushSync(() => setColorScheme(next)));
    void transition.ready.then(() => {
      const at = `at ${x}px ${y}px`;
      document.documentElement.animate(
        { clipPath: [`circle(0 ${at})`, `circle(${radius}px ${at})`] },
        {
          duration: REVEAL_MS,
          easing: "ease-in-out",
          pseudoElement: "::view-transition-new(root)",
        },
      );
    });
  }

  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label={label} onClick={toggle}>
        {scheme === "dark" ? <SunIcon /> : <MoonIcon />}
      </ActionIcon>
    </Tooltip>
  );
}
