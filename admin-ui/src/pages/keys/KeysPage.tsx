import { Badge, Button, Paper, Skeleton, Stack, Switch, Table, Text } from "@mantine/core";
import "@mantine/core/styles/Switch.css";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { api } from "../../api/client";
import type { KeyPage, KeyRow } from "../../api/types";
import { Empty } from "../../ui/Empty";
import { Failed } from "../../ui/Failed";
import { ago, count, usd } from "../../ui/format";
import { PlusIcon } from "../../ui/icons";
import { PageHead } from "../../ui/PageHead";
import { useNow } from "../../ui/useNow";

const KeyDialog = lazy(() => import("./KeyDialog"));
const KEYS_MAX = 500;

/** Callers' keys, what each may do, and what it has spent today. */
export default function KeysPage() {
  const [revoked, setRevoked] = useState(false);
  const [making, { open, close }] = useDisclosure();
  const [edited, setEdited] = useState<KeyRow | null>(null);
  const asked = useQuery({
    queryKey: ["live", "keys", revoked],
    queryFn: ({ signal }) => api.get<KeyPage>("/keys", { revoked, limit: KEYS_MAX }, signal),
  });
  return (
    <Stack gap="sm">
      <PageHead title="Keys" text="Who may call, how much, and with what">
        <Switch
          label="Revoked ones too"
          size="xs"
          checked={revoked}
          onChange={(event) => setRevoked(event.currentTarget.checked)}
        />
        <Button leftSection={<PlusIcon size={16} />} onClick={open}>
          New key
        </Button>
      </PageHead>
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.isPending && <Skeleton height={240} />}
      {asked.data && (
        <Paper withBorder>
          {asked.data.items.length === 0 ? (
            <Empty
              title="No key yet"
              text="Without a key nobody may call. Make one for each caller, so that each has limits and a bill of its own."
              action={<Button onClick={open}>New key</Button>}
            />
          ) : (
            <KeyTable keys={asked.data.items} edit={setEdited} />
          )}
        </Paper>
      )}
      <Suspense>
        {making && <KeyDialog close={close} />}
        {edited && <KeyDialog edited={edited} close={() => setEdited(null)} />}
      </Suspense>
    </Stack>
  );
}

function KeyTable({ keys, edit }: { keys: readonly KeyRow[]; edit: (key: KeyRow) => void }) {
  const now = useNow();
  return (
    <Table.ScrollContainer minWidth={760}>
      <Table verticalSpacing="sm" highlightOnHover className="tabular">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Calls today</Table.Th>
            <Table.Th>Tokens today</Table.Th>
            <Table.Th>Cost today</Table.Th>
            <Table.Th>Limits</Table.Th>
            <Table.Th>
              <span hidden>Actions</span>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {keys.map((key) => (
            <Table.Tr key={key.id}>
              <Table.Td>
                <Text size="sm" fw={550}>
                  {key.name}
                </Text>
                <Text size="xs" c="dimmed" ff="monospace">
                  {key.tail ? `…${key.tail}` : key.id}
                </Text>
              </Table.Td>
              <Table.Td>
                <State row={key} now={now} />
              </Table.Td>
              <Table.Td>{count(key.requests_today)}</Table.Td>
              <Table.Td>{count(key.tokens_today)}</Table.Td>
              <Table.Td>{usd(key.cost_today_usd)}</Table.Td>
              <Table.Td>
                <Text size="xs" c="dimmed" maw={280}>
                  {limits(key) || "none"}
                </Text>
              </Table.Td>
              <Table.Td ta="right">
                {key.revoked_at === null && (
                  <Button size="compact-sm" variant="light" onClick={() => edit(key)}>
                    Edit
                  </Button>
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function State({ row, now }: { row: KeyRow; now: number }) {
  if (row.revoked_at !== null)
    return <Label color="red" text={`revoked ${ago(row.revoked_at, now)}`} />;
  if (!row.enabled) return <Label color="gray" text="paused" />;
  if (row.expires_at === null) return <Label color="teal" text="good" />;
  if (row.expires_at <= now) return <Label color="red" text="expired" />;
  return <Label color="teal" text={`ends ${ago(row.expires_at, now)}`} />;
}

function Label({ color, text }: { color: string; text: string }) {
  return (
    <Badge variant="dot" color={color} tt="none" fw={500}>
      {text}
    </Badge>
  );
}

/** What a key may, in a line. */
export function limits(key: KeyRow): string {
  return [
    key.requests_per_minute !== null && `${count(key.requests_per_minute)} calls/min`,
    key.tokens_per_minute !== null && `${count(key.tokens_per_minute)} tokens/min`,
    key.concurrency_max !== null && `${count(key.concurrency_max)} at a time`,
    key.day_budget_usd !== null && `${usd(key.day_budget_usd)} a day`,
    key.month_budget_usd !== null && `${usd(key.month_budget_usd)} a month`,
    key.models.length > 0 && key.models.join(", "),
    key.groups.length > 0 && `groups ${key.groups.join(", ")}`,
    key.tags.length > 0 && `tags ${key.tags.join(", ")}`,
    key.endpoints.length > 0 && key.endpoints.join(", "),
    key.networks.length > 0 && `from ${key.networks.join(", ")}`,
  ]
    .filter(Boolean)
    .join(" · ");
}
