import { Center, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";

/** What stands where there is nothing: why, and what to do about it. */
export function Empty({
  title,
  text,
  action,
}: {
  title: string;
  text: string;
  action?: ReactNode;
}) {
  return (
    <Center mih={220} p="lg">
      <Stack align="center" gap="xs" maw={460}>
        <Text fw={600}>{title}</Text>
        <Text c="dimmed" size="sm" ta="center">
          {text}
        </Text>
        {action}
      </Stack>
    </Center>
  );
}
