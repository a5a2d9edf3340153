import { Badge, Button, Group, Modal, SimpleGrid, Skeleton, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo } from "react";
import { api } from "../../api/client";
import { useLive } from "../../api/live";
import type { Draining, OperationsPage as Page } from "../../api/types";
import { Failed } from "../../ui/Failed";
import { FormError } from "../../ui/FormError";
import { ago, at, bytes, count, percent, span } from "../../ui/format";
import { PageHead } from "../../ui/PageHead";
import { Panel } from "../../ui/Panel";
import { Stat } from "../../ui/Stat";
import { useNow } from "../../ui/useNow";
import { useSubmit } from "../../ui/useSubmit";
import { Audit } from "./Audit";
import { Facts } from "./Facts";

const Chart = lazy(() => import("../../ui/Chart"));

/** What is looked at when something is wrong. */
export default function OperationsPage() {
  const asked = useQuery({
    queryKey: ["live", "operations"],
    queryFn: ({ signal }) => api.get<Page>("/ops/overview", undefined, signal),
  });
  return (
    <Stack gap="md">
      <PageHead title="Operations" text="The worker that answers this page">
        <Drain />
      </PageHead>
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.isPending && <Skeleton height={320} />}
      {asked.data && <Shown page={asked.data} />}
      <Audit />
    </Stack>
  );
}

function Shown({ page }: { page: Page }) {
  const now = useNow();
  const live = useLive((each) => each.numbers);
  const numbers = live ?? page.numbers;
  const { worker } = page;
  const late = numbers.loop_lag_s > 0.1;
  return (
    <>
      <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="sm">
        <Stat label="Memory" value={bytes(numbers.memory_bytes)} />
        <Stat label="Processor" value={percent(numbers.cpu_ratio)} hint="of one core" />
        <Stat
          label="Event loop's lag"
          value={span(numbers.loop_lag_s)}
          {...(late && { tone: "warn" as const })}
        />
        <Stat
          label="Journal"
          value={count(numbers.journal.depth)}
          hint={`oldest ${span(numbers.journal.age_s)}`}
          {...(!numbers.journal.healthy && { tone: "bad" as const })}
        />
        <Stat
          label="Database"
          value={numbers.store_up ? "up" : "away"}
          hint={page.database}
          {...(!numbers.store_up && { tone: "bad" as const })}
        />
        <Stat
          label="Shared state"
          value={page.cache}
          hint={worker.workers === 1 ? "one worker" : `${count(worker.workers)} workers`}
        />
      </SimpleGrid>
      <LoopLag />
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
        <Panel title="Worker">
          <Facts
            facts={[
              ["Version", worker.version],
              ["Host", worker.host],
              ["Process", String(worker.pid)],
              ["Began", `${at(worker.began_at)}, ${ago(worker.began_at, now)}`],
              ["Incarnation", worker.incarnation],
              ["Calls in flight", count(numbers.in_flight)],
              ["In line", count(numbers.queue_depth)],
            ]}
          />
        </Panel>
        <Panel title="Journal and database">
          <Facts
            facts={[
              ["Records waiting", count(numbers.journal.depth)],
              ["Lost for lack of room", count(numbers.journal.lost)],
              ["Refused by the database", count(numbers.journal.refused)],
              ["Database", page.database],
              ["Revision", count(page.database_revision)],
            ]}
          />
        </Panel>
      </SimpleGrid>
      <Panel title="Upstream connections and sockets">
        {Object.keys(page.connections).length === 0 ? (
          <Text size="sm" c="dimmed">
            None yet.
          </Text>
        ) : (
          <Group gap="xs">
            {Object.entries(page.connections).map(([name, value]) => (
              <Badge key={name} variant="light" color="gray" tt="none">
                {name} {count(value)}
              </Badge>
            ))}
          </Group>
        )}
      </Panel>
    </>
  );
}

function LoopLag() {
  const samples = useLive((live) => live.samples);
  const { times, lines } = useMemo(
    () => ({
      times: samples.map((each) => each.at),
      lines: [
        {
          label: "Lag",
          color: "#6366f1",
          values: samples.map((each) => each.loop_lag_s),
          say: span,
        },
      ],
    }),
    [samples],
  );
  return (
    <Panel title="Event loop's lag">
      <Suspense fallback={<Skeleton height={140} />}>
        <Chart
          label="The event loop's lag over time"
          times={times}
          lines={lines}
          height={140}
          top={0.02}
        />
      </Suspense>
    </Panel>
  );
}

function Drain() {
  const [asking, { open, close }] = useDisclosure();
  const draining = useLive((live) => live.numbers?.draining ?? false);
  const drain = useSubmit(() => api.post<Draining>("/drain"), close);
  return (
    <>
      <Button variant="default" onClick={open} disabled={draining}>
        {draining ? "Draining" : "Drain …"}
      </Button>
      <Modal opened={asking} onClose={close} title="Drain this worker?" centered>
        <Stack>
          <Text size="sm">
            It takes no new calls from now on; those under way run to their end. There is no way
            back but a restart, so something has to restart it.
          </Text>
          <FormError error={drain.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button color="red" loading={drain.busy} onClick={() => void drain.submit()}>
              Drain
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
