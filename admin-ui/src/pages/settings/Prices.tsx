import { Badge, Skeleton, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api } from "../../api/client";
import type { Prices as All } from "../../api/types";
import { Failed } from "../../ui/Failed";
import { usd } from "../../ui/format";
import { Panel } from "../../ui/Panel";

/** What models cost, in dollars for a million tokens. */
export function Prices() {
  const asked = useQuery({
    queryKey: ["live", "prices"],
    queryFn: ({ signal }) => api.get<All>("/prices", undefined, signal),
  });
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (!asked.data) return <Skeleton height={320} />;
  return (
    <Panel
      title="Dollars for a million tokens"
      flush
      aside={
        <Text size="xs" c="dimmed">
          version {asked.data.version}
        </Text>
      }
    >
      <Table.ScrollContainer minWidth={520}>
        <Table verticalSpacing={6} className="tabular">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Model</Table.Th>
              <Table.Th>Input</Table.Th>
              <Table.Th>Cached input</Table.Th>
              <Table.Th>Output</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {asked.data.items.map((row) => (
              <Table.Tr key={row.model}>
                <Table.Td>
                  {row.model}{" "}
                  {row.chosen && (
                    <Badge size="xs" variant="light" tt="none">
                      yours
                    </Badge>
                  )}
                </Table.Td>
                <Table.Td>{usd(row.input_usd)}</Table.Td>
                <Table.Td>{usd(row.cached_usd)}</Table.Td>
                <Table.Td>{usd(row.output_usd)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Panel>
  );
}
