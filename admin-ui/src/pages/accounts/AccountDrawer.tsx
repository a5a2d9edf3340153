import { Code, Drawer, Group, Skeleton, Stack, Tabs, Text } from "@mantine/core";
import "@mantine/core/styles/Drawer.css";
import "@mantine/core/styles/Tabs.css";
import type { ReactNode } from "react";
import type { AccountRow } from "../../api/types";
import { Failed } from "../../ui/Failed";
import { ago, at, count, NONE, percent } from "../../ui/format";
import { QuotaBar } from "../../ui/QuotaBar";
import { StatusBadge } from "../../ui/StatusBadge";
import { useNow } from "../../ui/useNow";
import { AccountActions } from "./AccountActions";
import { AccountForm } from "./AccountForm";
import { Attempts, Events } from "./AccountHistory";
import { useAccount } from "./useAccounts";

/** One account: how it is, what it was told to be, and what has happened to it. */
export default function AccountDrawer({ id, close }: { id: string; close: () => void }) {
  const asked = useAccount(id);
  const account = asked.data?.account;
  return (
    <Drawer
      opened
      onClose={close}
      position="right"
      size="lg"
      title={account?.name ?? "Account"}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.isPending && <Skeleton height={320} />}
      {asked.data && account && (
        <Stack>
          <AccountActions account={account} gone={close} />
          <Tabs defaultValue="state" keepMounted={false}>
            <Tabs.List mb="md">
              <Tabs.Tab value="state">State</Tabs.Tab>
              <Tabs.Tab value="edit">Settings</Tabs.Tab>
              <Tabs.Tab value="events">Events</Tabs.Tab>
              <Tabs.Tab value="attempts">Attempts</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="state">
              <State account={account} />
            </Tabs.Panel>
            <Tabs.Panel value="edit">
              <AccountForm account={account} />
            </Tabs.Panel>
            <Tabs.Panel value="events">
              <Events events={asked.data.events} />
            </Tabs.Panel>
            <Tabs.Panel value="attempts">
              <Attempts attempts={asked.data.attempts} />
            </Tabs.Panel>
          </Tabs>
        </Stack>
      )}
    </Drawer>
  );
}

function State({ account }: { account: AccountRow }) {
  const now = useNow();
  const rests = Object.entries(account.model_rests);
  return (
    <Stack gap="md">
      <Group gap="xs">
        <StatusBadge status={account.status} reason={account.reason} />
        <Text size="sm">{account.reason || "It takes calls."}</Text>
      </Group>
      {account.windows.length > 0 && (
        <Stack gap={6}>
          {account.windows.map((each) => (
            <QuotaBar key={`${each.family} ${each.minutes}`} window={each} />
          ))}
        </Stack>
      )}
      <Stack gap={4}>
        <Row name="In flight" value={`${account.in_flight} of ${account.capacity}`} />
        <Row
          name="Back"
          value={account.until ? `${ago(account.until, now)}, at ${at(account.until)}` : NONE}
        />
        <Row name="Calls a minute" value={count(account.requests_per_minute)} />
        <Row name="Failed attempts" value={percent(account.error_ratio)} />
        <Row
          name="Since the start"
          value={`${count(account.requests)} attempts, ${count(account.failures)} failed, ${count(account.tokens)} tokens`}
        />
        <Row name="Used last" value={ago(account.last_used_at, now)} />
        <Row name="Credential" value={credential(account, now)} />
        <Row name="Added" value={at(account.created_at)} />
        <Row name="Id" value={<Code>{account.id}</Code>} />
      </Stack>
      {rests.length > 0 && (
        <Stack gap={4}>
          <Text size="sm" fw={550}>
            Models that rest
          </Text>
          {rests.map(([model, until]) => (
            <Row key={model} name={model} value={ago(until, now)} />
          ))}
        </Stack>
      )}
    </Stack>
  );
}

function credential(account: AccountRow, now: number): string {
  if (account.refused_code) return `its renewal was refused: ${account.refused_code}`;
  if (account.expires_at === null) return "has no end";
  const ends = `ends ${ago(account.expires_at, now)}`;
  return account.renewable ? `${ends}, renewed by itself` : `${ends}, can't be renewed`;
}

function Row({ name, value }: { name: string; value: ReactNode }) {
  return (
    <Group justify="space-between" gap="md" wrap="nowrap" align="flex-start">
      <Text size="sm" c="dimmed" style={{ whiteSpace: "nowrap" }}>
        {name}
      </Text>
      <Text size="sm" ta="right" component="div" className="tabular">
        {value}
      </Text>
    </Group>
  );
}
