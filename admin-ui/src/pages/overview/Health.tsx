import { Anchor, Group, Progress, Stack, Text } from "@mantine/core";
import { Link } from "wouter";
import { count, percent } from "../../ui/format";
import { statusColor } from "../../ui/StatusBadge";

const ORDER = ["ready", "probing", "cooling", "disabled", "expired", "banned", "damaged"];

/** How many accounts are in which state; each line leads to them. */
export function Health({ counts }: { counts: Record<string, number> }) {
  const total = Object.values(counts).reduce((sum, each) => sum + each, 0);
  const shown = ORDER.map((status) => [status, counts[status] ?? 0] as const).filter(
    ([status, number]) => number > 0 || status === "ready",
  );
  return (
    <Stack gap="sm">
      <Progress.Root size={10} aria-label="Accounts by health">
        {shown.map(([status, number]) => (
          <Progress.Section
            key={status}
            value={total ? (number / total) * 100 : 0}
            color={statusColor(status)}
            aria-label={`${status}: ${number}`}
          />
        ))}
      </Progress.Root>
      <Stack gap={4}>
        {shown.map(([status, number]) => (
          <Group key={status} justify="space-between" wrap="nowrap">
            <Anchor component={Link} href={`/accounts?status=${status}`} size="sm">
              {status}
            </Anchor>
            <Text size="sm" c="dimmed" className="tabular">
              {count(number)} · {percent(total ? number / total : 0)}
            </Text>
          </Group>
        ))}
      </Stack>
    </Stack>
  );
}
