import { Paper, Text } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./Stat.module.css";

/** One number that is looked at from afar. */
export function Stat({
  label,
  value,
  hint,
  tone,
}: {
  label: string;
  value: ReactNode;
  hint?: ReactNode;
  tone?: "good" | "warn" | "bad";
}) {
  return (
    <Paper withBorder className={classes.stat} data-tone={tone}>
      <Text size="xs" c="dimmed" fw={500}>
        {label}
      </Text>
      <Text component="div" className={classes.value}>
        {value}
      </Text>
      <Text component="div" size="xs" c="dimmed" className={classes.hint}>
        {hint}
      </Text>
    </Paper>
  );
}
