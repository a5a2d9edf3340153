import { Badge, Button, Skeleton, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { api } from "../../api/client";
import type { Prices as All, PriceRow, SettingsPage } from "../../api/types";
import { Failed } from "../../ui/Failed";
import { usd } from "../../ui/format";
import { PlusIcon } from "../../ui/icons";
import { Panel } from "../../ui/Panel";

const PriceDialog = lazy(() => import("./PriceDialog"));

/** What models cost, in dollars for a million tokens; each can be given a price of one's own. */
export function Prices({ page }: { page: SettingsPage }) {
  const [edited, setEdited] = useState<PriceRow | "new" | null>(null);
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
        <Button
          size="compact-sm"
          variant="light"
          leftSection={<PlusIcon size={14} />}
          onClick={() => setEdited("new")}
        >
          Add a price
        </Button>
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
              <Table.Th>
                <span hidden>Actions</span>
              </Table.Th>
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
                <Table.Td ta="right">
                  <Button
                    size="compact-xs"
                    variant="subtle"
                    aria-label={`Edit the price of ${row.model}`}
                    onClick={() => setEdited(row)}
                  >
                    Edit
                  </Button>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Text size="xs" c="dimmed" p="sm">
        Version {asked.data.version}: every call is booked with the version that it was paid by.
      </Text>
      <Suspense>
        {edited && (
          <PriceDialog
            page={page}
            model={edited === "new" ? "" : edited.model}
            start={edited === "new" ? {} : startOf(edited)}
            close={() => setEdited(null)}
          />
        )}
      </Suspense>
    </Panel>
  );
}

function startOf(row: PriceRow) {
  return {
    input_usd_per_mtok: row.input_usd,
    cached_input_usd_per_mtok: row.cached_usd,
    output_usd_per_mtok: row.output_usd,
  };
}
