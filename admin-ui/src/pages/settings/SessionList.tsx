import { Badge, Button, Skeleton, Table } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "../../api/client";
import type { Sessions } from "../../api/types";
import { Failed } from "../../ui/Failed";
import { ago } from "../../ui/format";
import { notify } from "../../ui/Notices";
import { Panel } from "../../ui/Panel";
import { useNow } from "../../ui/useNow";

/** The browsers that are signed in; each can be signed out. */
export function SessionList() {
  const now = useNow();
  const queries = useQueryClient();
  const asked = useQuery({
    queryKey: ["live", "sessions"],
    queryFn: ({ signal }) => api.get<Sessions>("/sessions", undefined, signal),
  });
  async function end(id: string) {
    try {
      await api.delete(`/sessions/${id}`);
    } catch (error) {
      await notify("Session", error instanceof Error ? error.message : "It failed.", "bad");
    }
    await queries.invalidateQueries({ queryKey: ["live", "sessions"] });
  }
  return (
    <Panel title="Signed in" flush>
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.isPending && <Skeleton height={80} />}
      {asked.data && (
        <Table.ScrollContainer minWidth={560}>
          <Table verticalSpacing={6} fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>From</Table.Th>
                <Table.Th>Browser</Table.Th>
                <Table.Th>Since</Table.Th>
                <Table.Th>Seen</Table.Th>
                <Table.Th>
                  <span hidden>Actions</span>
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {asked.data.items.map((each) => (
                <Table.Tr key={each.id}>
                  <Table.Td>{each.ip}</Table.Td>
                  <Table.Td maw={320}>{each.user_agent}</Table.Td>
                  <Table.Td>{ago(each.created_at, now)}</Table.Td>
                  <Table.Td>{ago(each.seen_at, now)}</Table.Td>
                  <Table.Td ta="right">
                    {each.current ? (
                      <Badge variant="light" tt="none">
                        this one
                      </Badge>
                    ) : (
                      <Button
                        size="compact-xs"
                        variant="subtle"
                        color="red"
                        onClick={() => void end(each.id)}
                      >
                        Sign out
                      </Button>
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Panel>
  );
}
