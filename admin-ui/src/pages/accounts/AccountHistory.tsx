import { Badge, Group, Stack, Table, Text } from "@mantine/core";
import type { AccountEvent, AttemptRow } from "../../api/types";
import { Empty } from "../../ui/Empty";
import { ago, at, count, span } from "../../ui/format";
import { useNow } from "../../ui/useNow";

/** What happened to an account, the latest first. */
export function Events({ events }: { events: readonly AccountEvent[] }) {
  const now = useNow();
  if (events.length === 0) {
    return (
      <Empty title="Nothing has happened yet" text="Renewals, refusals and changes stand here." />
    );
  }
  return (
    <Stack gap="sm">
      {events.map((event) => (
        <div key={`${event.at} ${event.kind}`}>
          <Group gap="xs">
            <Text size="sm" fw={550}>
              {event.kind.replaceAll("_", " ")}
            </Text>
            {event.code && (
              <Badge size="xs" variant="light" color="gray" tt="none">
                {event.code}
              </Badge>
            )}
            {event.count > 1 && (
              <Text size="xs" c="dimmed">
                {count(event.count)} times
              </Text>
            )}
            <Text size="xs" c="dimmed" ml="auto" title={at(event.at)}>
              {ago(event.at, now)}
            </Text>
          </Group>
          <Text size="sm" c="dimmed">
            {event.detail}
            {event.next_at != null && event.next_at > now && ` Next ${ago(event.next_at, now)}.`}
          </Text>
        </div>
      ))}
    </Stack>
  );
}

/** The attempts that were made on it last. */
export function Attempts({ attempts }: { attempts: readonly AttemptRow[] }) {
  const now = useNow();
  if (attempts.length === 0) {
    return <Empty title="No attempt in the books yet" text="They are a moment behind." />;
  }
  return (
    <Table.ScrollContainer minWidth={460}>
      <Table verticalSpacing={6} className="tabular">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>When</Table.Th>
            <Table.Th>Model</Table.Th>
            <Table.Th>Outcome</Table.Th>
            <Table.Th>Tokens</Table.Th>
            <Table.Th>Took</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {attempts.map((each) => (
            <Table.Tr key={`${each.uid} ${each.number}`}>
              <Table.Td title={at(each.at)}>{ago(each.at, now)}</Table.Td>
              <Table.Td>{each.model}</Table.Td>
              <Table.Td>{each.code ? `${each.outcome}: ${each.code}` : each.outcome}</Table.Td>
              <Table.Td>{count(each.usage.input + each.usage.output)}</Table.Td>
              <Table.Td>{span(each.seconds)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
