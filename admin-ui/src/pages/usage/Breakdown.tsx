import { Button, Group, Progress, Skeleton, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client";
import type { Codes, Lines } from "../../api/types";
import { Empty } from "../../ui/Empty";
import { Failed } from "../../ui/Failed";
import { count, nano, percent, span, usd } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { useNames } from "./useNames";

/** Lines that are drawn before the others are asked for: the busiest ones. */
const FIRST = 50;

interface Props {
  by: "model" | "account" | "caller" | "errors";
  window: { step: string; count: number };
}

/** The sums of a window, told apart by one thing. */
export function Breakdown({ by, window }: Props) {
  return by === "errors" ? <Errors window={window} /> : <Sums by={by} window={window} />;
}

function Sums({ by, window }: Props) {
  const names = useNames(by);
  const [all, setAll] = useState(false);
  const asked = useQuery({
    queryKey: ["usage", "lines", by, window],
    queryFn: ({ signal }) => api.get<Lines>("/usage/lines", { by, ...window }, signal),
  });
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (!asked.data) return <Skeleton height={200} />;
  const { items } = asked.data;
  if (items.length === 0) {
    return (
      <Panel>
        <Empty
          title="Nothing was used in this time"
          text="Calls stand here within seconds of their end."
        />
      </Panel>
    );
  }
  const most = Math.max(...items.map((each) => each.totals.cost_nusd), 1);
  return (
    <Panel flush>
      <Table.ScrollContainer minWidth={720}>
        <Table verticalSpacing={8} className="tabular">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>
                {{ model: "Model", account: "Account", caller: "Key", errors: "" }[by]}
              </Table.Th>
              <Table.Th>Calls</Table.Th>
              <Table.Th>Errors</Table.Th>
              <Table.Th>Input</Table.Th>
              <Table.Th>Output</Table.Th>
              <Table.Th>First event, mean</Table.Th>
              <Table.Th>Cost</Table.Th>
              <Table.Th w={160}>
                <span hidden>Share of the cost</span>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {(all ? items : items.slice(0, FIRST)).map(({ id, totals }) => (
              <Table.Tr key={id}>
                <Table.Td>
                  <Text size="sm">{names.get(id) ?? (id || "none")}</Text>
                </Table.Td>
                <Table.Td>{count(totals.requests)}</Table.Td>
                <Table.Td>
                  {percent(totals.requests ? totals.errors / totals.requests : 0)}
                </Table.Td>
                <Table.Td>{count(totals.usage?.input)}</Table.Td>
                <Table.Td>{count(totals.usage?.output)}</Table.Td>
                <Table.Td>
                  {span(totals.first_events ? totals.first_event_s / totals.first_events : null)}
                </Table.Td>
                <Table.Td>{usd(nano(totals.cost_nusd))}</Table.Td>
                <Table.Td>
                  <Progress
                    value={(totals.cost_nusd / most) * 100}
                    size={6}
                    aria-label="Share of the cost, of the largest"
                  />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {!all && items.length > FIRST && (
        <Group justify="center" p="sm">
          <Button variant="default" onClick={() => setAll(true)}>
            Show all {count(items.length)}
          </Button>
        </Group>
      )}
    </Panel>
  );
}

function Errors({ window }: { window: Props["window"] }) {
  const asked = useQuery({
    queryKey: ["usage", "errors", window],
    queryFn: ({ signal }) => api.get<Codes>("/usage/errors", window, signal),
  });
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (!asked.data) return <Skeleton height={200} />;
  return (
    <Panel flush>
      {asked.data.items.length === 0 ? (
        <Empty
          title="No call has failed in this time"
          text="What fails is counted here by its code."
        />
      ) : (
        <Table verticalSpacing={8} className="tabular">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Code</Table.Th>
              <Table.Th>Calls</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {asked.data.items.map(({ code, requests }) => (
              <Table.Tr key={code}>
                <Table.Td>{code}</Table.Td>
                <Table.Td>{count(requests)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Panel>
  );
}
