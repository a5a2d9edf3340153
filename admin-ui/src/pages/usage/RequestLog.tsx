import { Button, Group, NativeSelect, Skeleton, Table, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { address, api } from "../../api/client";
import type { RequestRow, Requests } from "../../api/types";
import { Empty } from "../../ui/Empty";
import { Failed } from "../../ui/Failed";
import { at, count, nano, span, usd } from "../../ui/format";
import { DownloadIcon } from "../../ui/icons";
import { Panel } from "../../ui/Panel";
import { Outcome } from "../overview/Latest";
import { RequestParts } from "./RequestParts";

const STATUSES = [
  { value: "", label: "Any outcome" },
  { value: "2", label: "2xx" },
  { value: "4", label: "4xx" },
  { value: "5", label: "5xx" },
  { value: "0", label: "interrupted" },
];

/** Single calls, the latest first; each opens to its attempts and the parts of its latency. */
export function RequestLog() {
  const [model, setModel] = useState("");
  const [requestId, setRequestId] = useState("");
  const [status, setStatus] = useState("");
  const [open, setOpen] = useState<string | null>(null);
  const [filters] = useDebouncedValue(
    { model: model.trim(), request_id: requestId.trim(), status_class: status },
    250,
  );
  const asked = useInfiniteQuery({
    queryKey: ["usage", "requests", filters],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      api.get<Requests>("/usage/requests", { ...filters, cursor: pageParam, limit: 50 }, signal),
    getNextPageParam: (page) => page.next_cursor,
  });
  const rows = asked.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Panel
      title="Request log"
      flush
      aside={
        <Button
          component="a"
          href={address("/usage/requests.csv", filters)}
          download="requests.csv"
          size="compact-sm"
          variant="light"
          leftSection={<DownloadIcon size={14} />}
        >
          CSV
        </Button>
      }
    >
      <Group gap="xs" p="sm">
        <TextInput
          size="xs"
          aria-label="Model"
          placeholder="Model"
          value={model}
          onChange={(event) => setModel(event.currentTarget.value)}
        />
        <TextInput
          size="xs"
          aria-label="Request id"
          placeholder="Request id"
          value={requestId}
          onChange={(event) => setRequestId(event.currentTarget.value)}
        />
        <NativeSelect
          size="xs"
          aria-label="Outcome"
          data={STATUSES}
          value={status}
          onChange={(event) => setStatus(event.currentTarget.value)}
        />
      </Group>
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.isPending && <Skeleton height={200} />}
      {asked.data && rows.length === 0 && !asked.hasNextPage && (
        <Empty title="No call is like this" text="Calls stand here within seconds of their end." />
      )}
      {rows.length > 0 && <Rows rows={rows} open={open} toggle={setOpen} />}
      {asked.hasNextPage && (
        <Group justify="center" p="sm">
          <Button
            variant="light"
            size="xs"
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

interface RowsProps {
  rows: readonly RequestRow[];
  open: string | null;
  toggle: (uid: string | null) => void;
}

function Rows({ rows, open, toggle }: RowsProps) {
  return (
    <Table.ScrollContainer minWidth={820}>
      <Table verticalSpacing={6} className="tabular">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>When</Table.Th>
            <Table.Th>Dialect</Table.Th>
            <Table.Th>Model</Table.Th>
            <Table.Th>Outcome</Table.Th>
            <Table.Th>Attempts</Table.Th>
            <Table.Th>Tokens in, out</Table.Th>
            <Table.Th>Cost</Table.Th>
            <Table.Th>First event</Table.Th>
            <Table.Th>Total</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Fragment key={row.uid}>
              <Table.Tr>
                <Table.Td>
                  <Button
                    size="compact-xs"
                    variant="subtle"
                    aria-expanded={open === row.uid}
                    onClick={() => toggle(open === row.uid ? null : row.uid)}
                  >
                    {at(row.at)}
                  </Button>
                </Table.Td>
                <Table.Td>{row.dialect}</Table.Td>
                <Table.Td>
                  {row.model ?? "–"}
                  {row.asked_model && row.asked_model !== row.model && (
                    <Text size="xs" c="dimmed">
                      asked as {row.asked_model}
                    </Text>
                  )}
                </Table.Td>
                <Table.Td>
                  <Outcome status={row.status} code={row.interrupted ? "interrupted" : row.code} />
                </Table.Td>
                <Table.Td>{row.attempts}</Table.Td>
                <Table.Td>
                  {count(row.usage.input)}, {count(row.usage.output)}
                  {row.source === "estimated" && " (estimated)"}
                </Table.Td>
                <Table.Td>{usd(nano(row.cost_nusd))}</Table.Td>
                <Table.Td>{span(row.first_event_s)}</Table.Td>
                <Table.Td>{span(row.seconds)}</Table.Td>
              </Table.Tr>
              {open === row.uid && (
                <Table.Tr>
                  <Table.Td colSpan={9}>
                    <RequestParts uid={row.uid} />
                  </Table.Td>
                </Table.Tr>
              )}
            </Fragment>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
