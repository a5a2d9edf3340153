import { Button, Group, Skeleton, Table, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { api } from "../../api/client";
import type { AuditPage } from "../../api/types";
import { Empty } from "../../ui/Empty";
import { Failed } from "../../ui/Failed";
import { at } from "../../ui/format";
import { Panel } from "../../ui/Panel";

/** Who changed what: it is only ever written to. */
export function Audit() {
  const asked = useInfiniteQuery({
    queryKey: ["live", "audit"],
    initialPageParam: null as number | null,
    queryFn: ({ pageParam, signal }) =>
      api.get<AuditPage>("/audit", { cursor: pageParam, limit: 20 }, signal),
    getNextPageParam: (page) => page.next_cursor,
  });
  const items = asked.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Panel title="Audit log" flush>
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.isPending && <Skeleton height={120} />}
      {asked.data && items.length === 0 && (
        <Empty
          title="Nothing was changed yet"
          text="Every change of an administrator stands here."
        />
      )}
      {items.length > 0 && (
        <Table.ScrollContainer minWidth={720}>
          <Table verticalSpacing={6} fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>When</Table.Th>
                <Table.Th>Who</Table.Th>
                <Table.Th>Did</Table.Th>
                <Table.Th>To</Table.Th>
                <Table.Th>From</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {items.map((entry) => (
                <Table.Tr key={entry.id}>
                  <Table.Td className="tabular">{at(entry.at)}</Table.Td>
                  <Table.Td>{entry.actor}</Table.Td>
                  <Table.Td>
                    {entry.action.replaceAll("_", " ")}
                    {entry.after && (
                      <Text size="xs" c="dimmed" lineClamp={2}>
                        {entry.after}
                      </Text>
                    )}
                  </Table.Td>
                  <Table.Td>{entry.target}</Table.Td>
                  <Table.Td>{entry.ip}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {asked.hasNextPage && (
        <Group justify="center" p="sm">
          <Button
            size="xs"
            variant="light"
            loading={asked.isFetchingNextPage}
            onClick={() => void asked.fetchNextPage()}
          >
            Earlier ones
          </Button>
        </Group>
      )}
    </Panel>
  );
}
