import { Group, SegmentedControl, SimpleGrid, Skeleton, Stack, Tabs } from "@mantine/core";
import "@mantine/core/styles/FloatingIndicator.css";
import "@mantine/core/styles/SegmentedControl.css";
import "@mantine/core/styles/Tabs.css";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo, useState } from "react";
import { api } from "../../api/client";
import type { Latency, Series, Totals } from "../../api/types";
import { Failed } from "../../ui/Failed";
import { count, nano, percent, span, usd } from "../../ui/format";
import { PageHead } from "../../ui/PageHead";
import { Panel } from "../../ui/Panel";
import { Stat } from "../../ui/Stat";
import { Breakdown } from "./Breakdown";
import { RequestLog } from "./RequestLog";

const Chart = lazy(() => import("../../ui/Chart"));

const WINDOWS = {
  day: { step: "hour", count: 24, label: "24 hours" },
  week: { step: "day", count: 7, label: "7 days" },
  month: { step: "day", count: 30, label: "30 days" },
  quarter: { step: "day", count: 90, label: "90 days" },
} as const;

export type WindowName = keyof typeof WINDOWS;

/** What was used and paid, from sums; and the log of single calls. */
export default function UsagePage() {
  const [name, setName] = useState<WindowName>("day");
  const { step, count: steps } = WINDOWS[name];
  const window = useMemo(() => ({ step, count: steps }), [step, steps]);
  return (
    <Stack gap="md">
      <PageHead title="Usage" text="Hours and days are those of UTC">
        <SegmentedControl
          size="xs"
          aria-label="Span of time"
          data={Object.entries(WINDOWS).map(([value, { label }]) => ({ value, label }))}
          value={name}
          onChange={(value) => setName(value as WindowName)}
        />
      </PageHead>
      <Sums window={window} />
      <Tabs defaultValue="model" keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="model">By model</Tabs.Tab>
          <Tabs.Tab value="account">By account</Tabs.Tab>
          <Tabs.Tab value="caller">By key</Tabs.Tab>
          <Tabs.Tab value="errors">Errors</Tabs.Tab>
          <Tabs.Tab value="log">Request log</Tabs.Tab>
        </Tabs.List>
        {(["model", "account", "caller", "errors"] as const).map((by) => (
          <Tabs.Panel key={by} value={by}>
            <Breakdown by={by} window={window} />
          </Tabs.Panel>
        ))}
        <Tabs.Panel value="log">
          <RequestLog />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

function Sums({ window }: { window: { step: string; count: number } }) {
  const series = useQuery({
    queryKey: ["usage", "series", window],
    queryFn: ({ signal }) => api.get<Series>("/usage/series", window, signal),
  });
  const latency = useQuery({
    queryKey: ["usage", "latency", window],
    queryFn: ({ signal }) => api.get<Latency>("/usage/latency", window, signal),
  });
  const points = series.data?.items;
  const { times, tokens, costs } = useMemo(
    () => ({
      times: points?.map((each) => each.start) ?? [],
      tokens:
        points?.map((each) => (each.totals.usage?.input ?? 0) + (each.totals.usage?.output ?? 0)) ??
        [],
      costs: points?.map((each) => nano(each.totals.cost_nusd)) ?? [],
    }),
    [points],
  );
  if (series.isError) return <Failed error={series.error} retry={() => void series.refetch()} />;
  if (!points) return <Skeleton height={320} />;
  const sum = (pick: (totals: Totals) => number) =>
    points.reduce((total, each) => total + pick(each.totals), 0);
  const requests = sum((each) => each.requests);
  const cached = sum((each) => each.usage?.cached ?? 0);
  const input = sum((each) => each.usage?.input ?? 0);
  return (
    <>
      <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="sm">
        <Stat label="Calls" value={count(requests)} />
        <Stat
          label="Errors"
          value={percent(requests ? sum((each) => each.errors) / requests : 0)}
        />
        <Stat
          label="Input tokens"
          value={count(input)}
          hint={`${percent(input ? cached / input : 0)} from the cache`}
        />
        <Stat
          label="Output tokens"
          value={count(sum((each) => each.usage?.output ?? 0))}
          hint={`${count(sum((each) => each.usage?.reasoning ?? 0))} reasoning`}
        />
        <Stat label="Cost" value={usd(nano(sum((each) => each.cost_nusd)))} />
        <Stat
          label="First event, median"
          value={span(latency.data?.p50_s)}
          hint={`p99 ${span(latency.data?.p99_s)}`}
        />
      </SimpleGrid>
      <Group grow align="stretch" wrap="wrap" preventGrowOverflow={false}>
        <Panel title="Tokens">
          <Suspense fallback={<Skeleton height={200} />}>
            <Chart
              label="Tokens over time"
              times={times}
              lines={[
                { label: "Tokens", color: "#0d9488", values: tokens, say: count, bars: true },
              ]}
            />
          </Suspense>
        </Panel>
        <Panel title="Cost">
          <Suspense fallback={<Skeleton height={200} />}>
            <Chart
              label="Cost over time"
              times={times}
              lines={[{ label: "Cost", color: "#6366f1", values: costs, say: usd, bars: true }]}
            />
          </Suspense>
        </Panel>
      </Group>
    </>
  );
}
