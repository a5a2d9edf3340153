import { Group, Stack, Text } from "@mantine/core";

/** Names and values, one a line. */
export function Facts({ facts }: { facts: readonly (readonly [string, string])[] }) {
  return (
    <Stack gap={6}>
      {facts.map(([name, value]) => (
        <Group key={name} justify="space-between" gap="md" wrap="nowrap" align="flex-start">
          <Text size="sm" c="dimmed">
            {name}
          </Text>
          <Text size="sm" ta="right" className="tabular" style={{ overflowWrap: "anywhere" }}>
            {value}
          </Text>
        </Group>
      ))}
    </Stack>
  );
}
