import { Anchor, Button, Code, Group, Skeleton, Stack, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { api } from "../../api/client";
import type { AttemptRow, RequestDetail, RequestRow } from "../../api/types";
import { CopyButton } from "../../ui/CopyButton";
import { Failed } from "../../ui/Failed";
import { count, nano, span, usd } from "../../ui/format";

/** One call in full: where its time went, and every attempt that was made for it. */
export function RequestParts({ uid }: { uid: string }) {
  const asked = useQuery({
    queryKey: ["usage", "request", uid],
    queryFn: ({ signal }) => api.get<RequestDetail>(`/usage/requests/${uid}`, undefined, signal),
  });
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (!asked.data) return <Skeleton height={90} />;
  const { request, attempts } = asked.data;
  return (
    <Stack gap="xs" py="xs">
      <Group gap="xs">
        <Code>{request.request_id}</Code>
        <CopyButton text={request.request_id} label="Copy the request id" />
        <Button
          component={Link}
          href={`/explain/${encodeURIComponent(request.request_id)}`}
          size="compact-xs"
          variant="light"
        >
          Why did it go there?
        </Button>
      </Group>
      <Times request={request} />
      <AttemptTable attempts={attempts} />
    </Stack>
  );
}

export function Times({ request }: { request: RequestRow }) {
  const parts: [string, number | null][] = [
    ["in line", request.queue_s],
    ["to the first event", request.first_event_s],
    ["total", request.seconds],
    ["of it added here", request.added_s],
  ];
  return (
    <Group gap="lg">
      {parts.map(([name, value]) => (
        <Text key={name} size="sm" className="tabular">
          <Text span c="dimmed" size="sm">
            {name}{" "}
          </Text>
          {span(value)}
        </Text>
      ))}
    </Group>
  );
}

export function AttemptTable({ attempts }: { attempts: readonly AttemptRow[] }) {
  return (
    <Table verticalSpacing={4} fz="sm" className="tabular" withTableBorder>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>#</Table.Th>
          <Table.Th>Account</Table.Th>
          <Table.Th>Outcome</Table.Th>
          <Table.Th>In line</Table.Th>
          <Table.Th>First event</Table.Th>
          <Table.Th>Took</Table.Th>
          <Table.Th>Tokens in, out</Table.Th>
          <Table.Th>Cost</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {attempts.map((each) => (
          <Table.Tr key={each.number}>
            <Table.Td>{each.number}</Table.Td>
            <Table.Td>
              <Anchor component={Link} href={`/accounts/${each.account_id}`} size="sm">
                {each.account_id}
              </Anchor>
            </Table.Td>
            <Table.Td>{each.code ? `${each.outcome}: ${each.code}` : each.outcome}</Table.Td>
            <Table.Td>{span(each.queue_s)}</Table.Td>
            <Table.Td>{span(each.first_event_s)}</Table.Td>
            <Table.Td>{span(each.seconds)}</Table.Td>
            <Table.Td>
              {count(each.usage.input)}, {count(each.usage.output)}
            </Table.Td>
            <Table.Td>{usd(nano(each.cost_nusd))}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
