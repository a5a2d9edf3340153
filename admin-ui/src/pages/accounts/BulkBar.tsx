import {
  Alert,
  Button,
  Group,
  Modal,
  NumberInput,
  Paper,
  Progress,
  Stack,
  TagsInput,
  Text,
} from "@mantine/core";
import "@mantine/core/styles/Combobox.css";
import "@mantine/core/styles/NumberInput.css";
import "@mantine/core/styles/Pill.css";
import "@mantine/core/styles/PillsInput.css";
import { useRef, useState } from "react";
import { postLines } from "../../api/client";
import type { AccountEdit, Action, Progress as HowFar } from "../../api/types";
import { count } from "../../ui/format";
import { useReread } from "./useAccounts";

interface Props {
  ids: ReadonlySet<string>;
  clear: () => void;
}

interface Job {
  title: string;
  action: Action;
  changes?: AccountEdit;
}

/** What can be done to all that are selected, and how far it is. */
export function BulkBar({ ids, clear }: Props) {
  const [job, setJob] = useState<Job | null>(null);
  const [asking, setAsking] = useState<"delete" | "groups" | "priority" | null>(null);
  const [groups, setGroups] = useState<string[]>([]);
  const [priority, setPriority] = useState<number | string>(0);
  const begin = (title: string, action: Action, changes?: AccountEdit) => {
    setAsking(null);
    setJob({ title, action, ...(changes && { changes }) });
  };
  return (
    <Paper withBorder p="xs" role="toolbar" aria-label="Selected accounts">
      <Group gap="xs">
        <Text size="sm" fw={550} mr="xs">
          {count(ids.size)} selected
        </Text>
        <Act label="Pause" run={() => begin("Pausing", "change", { enabled: false })} />
        <Act label="Resume" run={() => begin("Resuming", "change", { enabled: true })} />
        <Act label="Test" run={() => begin("Testing", "test")} />
        <Act label="Renew" run={() => begin("Renewing credentials", "refresh")} />
        <Act label="End rests" run={() => begin("Ending rests", "reset")} />
        <Act label="Groups …" run={() => setAsking("groups")} />
        <Act label="Priority …" run={() => setAsking("priority")} />
        <Button size="compact-sm" variant="light" color="red" onClick={() => setAsking("delete")}>
          Delete …
        </Button>
        <Button size="compact-sm" variant="subtle" color="gray" onClick={clear} ml="auto">
          Clear
        </Button>
      </Group>
      {job && <Running job={job} ids={ids} close={() => setJob(null)} />}
      <Modal
        opened={asking !== null}
        onClose={() => setAsking(null)}
        title={asking === "delete" ? `Delete ${count(ids.size)} accounts?` : "Set for all selected"}
        centered
      >
        <Stack>
          {asking === "delete" && (
            <Text size="sm">
              Their credentials are deleted with them and can't be brought back. What they have
              served stays in the books.
            </Text>
          )}
          {asking === "groups" && (
            <TagsInput
              label="Groups"
              description="They take the place of the groups that the accounts have"
              value={groups}
              onChange={setGroups}
              data-autofocus
            />
          )}
          {asking === "priority" && (
            <NumberInput
              label="Priority"
              description="Higher goes first, as long as it has anybody"
              value={priority}
              onChange={setPriority}
              allowDecimal={false}
              data-autofocus
            />
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setAsking(null)}>
              Cancel
            </Button>
            {asking === "delete" ? (
              <Button color="red" onClick={() => begin("Deleting", "delete")}>
                Delete
              </Button>
            ) : (
              <Button
                onClick={() =>
                  asking === "groups"
                    ? begin("Setting groups", "change", { groups })
                    : begin("Setting priority", "change", { priority: Number(priority) || 0 })
                }
              >
                Set
              </Button>
            )}
          </Group>
        </Stack>
      </Modal>
    </Paper>
  );
}

function Act({ label, run }: { label: string; run: () => void }) {
  return (
    <Button size="compact-sm" variant="light" onClick={run}>
      {label}
    </Button>
  );
}

function Running({ job, ids, close }: { job: Job; ids: ReadonlySet<string>; close: () => void }) {
  const reread = useReread();
  const [far, setFar] = useState<HowFar>({ done: 0, total: ids.size, failed: 0, finished: false });
  const [error, setError] = useState<string | null>(null);
  const begun = useRef<AbortController | null>(null);
  const over = far.finished || error !== null;

  function start(element: HTMLDivElement | null) {
    if (!element || begun.current) return;
    const stop = new AbortController();
    begun.current = stop;
    postLines<HowFar>(
      "/accounts/bulk",
      { action: job.action, ids: [...ids], ...(job.changes && { changes: job.changes }) },
      setFar,
      stop.signal,
    )
      .catch((caught: unknown) => {
        if (!stop.signal.aborted) setError(caught instanceof Error ? caught.message : "It failed.");
      })
      .finally(() => void reread());
  }

  return (
    <Modal
      opened
      onClose={() => {
        begun.current?.abort();
        close();
      }}
      title={over ? "Done" : `${job.title} …`}
      closeOnClickOutside={over}
      centered
    >
      <Stack ref={start}>
        <Progress
          value={far.total ? (far.done / far.total) * 100 : 100}
          color={far.failed > 0 ? "yellow" : "brand"}
          aria-label={job.title}
          animated={!over}
        />
        <Text size="sm" role="status" className="tabular">
          {count(far.done)} of {count(far.total)}
          {far.failed > 0 && `, ${count(far.failed)} of them in vain: their events tell why`}
        </Text>
        {error && (
          <Alert color="red" variant="light">
            {error}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button
            variant={over ? "filled" : "default"}
            onClick={() => {
              begun.current?.abort();
              close();
            }}
          >
            {over ? "Close" : "Stop"}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
