import { Group, Paper, Text } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./Panel.module.css";

/** A part of a page with a name of its own. */
export function Panel({
  title,
  aside,
  flush = false,
  children,
}: {
  title?: string;
  aside?: ReactNode;
  /** Its content reaches the edges, as a table does. */
  flush?: boolean;
  children: ReactNode;
}) {
  return (
    <Paper
      component="section"
      withBorder
      className={classes.panel}
      {...(title && { "aria-label": title })}
    >
      {title && (
        <Group justify="space-between" className={classes.head} gap="xs">
          <Text component="h2" size="sm" fw={600}>
            {title}
          </Text>
          {aside}
        </Group>
      )}
      <div className={flush ? undefined : classes.body}>{children}</div>
    </Paper>
  );
}
