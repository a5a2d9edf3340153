import { Alert, Button, Group, List, Stack, Text } from "@mantine/core";
import "@mantine/core/styles/List.css";
import type { Added, Imported } from "../../../api/types";
import { count } from "../../../ui/format";

const FAULTS_SHOWN = 8;

/** What came of adding one account. */
export function OneAdded({ added, close }: { added: Added; close: () => void }) {
  const said = added.created
    ? "It is in the pool and takes calls."
    : added.credential_kept
      ? "It was there already, with a fresher credential, which stays."
      : "It was there already and has the new credential now.";
  return (
    <Stack>
      <Alert color="teal" variant="light" title={added.name} role="status">
        {said}
      </Alert>
      <Group justify="flex-end">
        <Button onClick={close}>Done</Button>
      </Group>
    </Stack>
  );
}

/** What came of adding many, with what could not be read and where it stands. */
export function ManyAdded({ done, close }: { done: Imported; close: () => void }) {
  const more = done.faults.length - FAULTS_SHOWN;
  return (
    <Stack>
      <Alert color={done.faults.length ? "yellow" : "teal"} variant="light" role="status">
        {count(done.created)} added, {count(done.replaced)} brought up to date, {count(done.kept)}{" "}
        were there already with fresher credentials.
      </Alert>
      {done.faults.length > 0 && (
        <div>
          <Text size="sm" fw={550} mb={4}>
            {count(done.faults.length)} could not be taken
          </Text>
          <List size="sm" spacing={2}>
            {done.faults.slice(0, FAULTS_SHOWN).map((fault) => (
              <List.Item key={`${fault.file} ${fault.line} ${fault.reason}`}>
                {fault.file}, {fault.line}: {fault.reason}
              </List.Item>
            ))}
          </List>
          {more > 0 && (
            <Text size="sm" c="dimmed">
              and {count(more)} more
            </Text>
          )}
        </div>
      )}
      <Group justify="flex-end">
        <Button onClick={close}>Done</Button>
      </Group>
    </Stack>
  );
}
