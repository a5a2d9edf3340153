import { Alert, Anchor, Group, SimpleGrid, Skeleton, Stack, Text } from "@mantine/core";
import { lazy, Suspense, useMemo } from "react";
import { Link } from "wouter";
import { useLive } from "../../api/live";
import type { Numbers } from "../../api/types";
import { bytes, count, percent, span, usd } from "../../ui/format";
import { AlertIcon } from "../../ui/icons";
import { PageHead } from "../../ui/PageHead";
import { Panel } from "../../ui/Panel";
import { Stat } from "../../ui/Stat";
import { Health } from "./Health";
import { Latest } from "./Latest";

const Chart = lazy(() => import("../../ui/Chart"));

export default function OverviewPage() {
  const numbers = useLive((live) => live.numbers);
  return (
    <Stack gap="md">
      <PageHead title="Overview" text="This worker, as it is now" />
      {numbers ? <Shown numbers={numbers} /> : <Blank />}
    </Stack>
  );
}

function Shown({ numbers }: { numbers: Numbers }) {
  const ready = numbers.accounts.ready ?? 0;
  const total = Object.values(numbers.accounts).reduce((sum, each) => sum + each, 0);
  const errors = numbers.error_ratio ?? 0;
  return (
    <>
      <Warnings numbers={numbers} />
      <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="sm">
        <Stat
          label="Calls in flight"
          value={count(numbers.in_flight)}
          hint={`${count(numbers.streams)} streams, ${count(numbers.queue_depth)} in line`}
        />
        <Stat label="Attempts a minute" value={count(numbers.attempts_per_minute)} />
        <Stat
          label="Failed attempts"
          value={percent(numbers.error_ratio)}
          {...(errors > 0.05 && { tone: errors > 0.2 ? "bad" : "warn" })}
        />
        <Stat
          label="Accounts ready"
          value={`${count(ready)} / ${count(total)}`}
          {...(total > 0 && ready === 0 && { tone: "bad" })}
        />
        <Stat label="Runway" {...runway(numbers)} />
        <Stat
          label="Cost today"
          value={usd(numbers.today?.cost_usd)}
          hint={
            numbers.today
              ? `${count(numbers.today.requests)} calls, ${count(
                  numbers.today.input_tokens + numbers.today.output_tokens,
                )} tokens`
              : "the database is away"
          }
        />
      </SimpleGrid>
      <Traffic />
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
        <Panel
          title="Health of the pool"
          aside={
            <Anchor component={Link} href="/accounts" size="xs" c="brand">
              All accounts
            </Anchor>
          }
        >
          <Health counts={numbers.accounts} />
        </Panel>
        <Panel title="This process">
          <Process numbers={numbers} />
        </Panel>
      </SimpleGrid>
      <Latest />
    </>
  );
}

function runway(numbers: Numbers): { value: string; hint?: string; tone?: "warn" } {
  const { runway } = numbers;
  if (runway === null) return { value: "–", hint: "no load to forecast from" };
  if (runway.mid_s === null) return { value: "long", hint: "past the longest window" };
  const low = runway.low_s === null ? "long" : span(runway.low_s);
  const high = runway.high_s === null ? "long" : span(runway.high_s);
  return {
    value: span(runway.mid_s),
    hint: `${low} to ${high}`,
    ...(runway.mid_s < 3600 && { tone: "warn" as const }),
  };
}

function Warnings({ numbers }: { numbers: Numbers }) {
  const said = [
    !numbers.store_up &&
      "The database is away. Calls of known keys go on; usage waits in the journal.",
    !numbers.journal.healthy &&
      "The journal can't be written: new calls are refused until there is room on the disk.",
    numbers.draining && "This worker drains: it takes no new calls.",
    Object.values(numbers.accounts).every((each) => each === 0) &&
      "There is no account yet, so no call can be served.",
  ].filter((each): each is string => Boolean(each));
  return said.map((text) => (
    <Alert key={text} color="yellow" variant="light" icon={<AlertIcon />} role="status">
      {text}
    </Alert>
  ));
}

function Traffic() {
  const samples = useLive((live) => live.samples);
  const { times, lines } = useMemo(
    () => ({
      times: samples.map((each) => each.at),
      lines: [
        {
          label: "Calls in flight",
          color: "#0d9488",
          values: samples.map((each) => each.in_flight),
          say: (value: number) => count(Math.round(value * 10) / 10),
        },
        {
          label: "In line",
          color: "#d97706",
          values: samples.map((each) => each.queue_depth),
          say: (value: number) => count(value),
        },
      ],
    }),
    [samples],
  );
  return (
    <Panel title="Live traffic">
      <Suspense fallback={<Skeleton height={200} />}>
        <Chart label="Calls in flight and in line over time" times={times} lines={lines} top={4} />
      </Suspense>
    </Panel>
  );
}

function Process({ numbers }: { numbers: Numbers }) {
  const rows: [string, string][] = [
    ["Memory", bytes(numbers.memory_bytes)],
    ["Processor", percent(numbers.cpu_ratio)],
    ["Event loop's lag", span(numbers.loop_lag_s)],
    ["Journal", `${count(numbers.journal.depth)} waiting, ${span(numbers.journal.age_s)} old`],
    ["Database", numbers.store_up ? "up" : "away"],
  ];
  return (
    <Stack gap={6}>
      {rows.map(([name, value]) => (
        <Group key={name} justify="space-between" gap="xs" wrap="nowrap">
          <Text size="sm" c="dimmed">
            {name}
          </Text>
          <Text size="sm" className="tabular">
            {value}
          </Text>
        </Group>
      ))}
    </Stack>
  );
}

function Blank() {
  return (
    <>
      <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="sm" aria-hidden="true">
        {["a", "b", "c", "d", "e", "f"].map((each) => (
          <Skeleton key={each} height={92} />
        ))}
      </SimpleGrid>
      <Skeleton height={280} />
    </>
  );
}
