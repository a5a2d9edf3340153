import { Anchor, Button, Group, List, Loader, Stack, Text, TextInput } from "@mantine/core";
import "@mantine/core/styles/List.css";
import { useEffect, useState } from "react";
import { ApiError, api } from "../../../api/client";
import type { Added, DeviceCode, DevicePolled } from "../../../api/types";
import { CopyButton } from "../../../ui/CopyButton";
import { FormError } from "../../../ui/FormError";
import { useSubmit } from "../../../ui/useSubmit";
import { useReread } from "../useAccounts";
import { OneAdded } from "./Outcome";

/** A login on any device: the person types a code there, and this page waits. */
export function DeviceForm({ close }: { close: () => void }) {
  const [code, setCode] = useState<DeviceCode | null>(null);
  const [name, setName] = useState("");
  const begin = useSubmit(() => api.post<DeviceCode>("/oauth/device"), setCode);
  if (code) {
    return <Waiting code={code} name={name.trim()} close={close} again={() => setCode(null)} />;
  }
  return (
    <Stack>
      <Text size="sm">
        For a gateway on a machine without a browser: you get a code, and type it on your phone or
        any other device.
      </Text>
      <TextInput
        label="Name"
        description="The account's e-mail address, if you leave this empty"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <FormError error={begin.error} />
      <Group justify="flex-end">
        <Button onClick={() => void begin.submit()} loading={begin.busy}>
          Get a code
        </Button>
      </Group>
    </Stack>
  );
}

interface WaitingProps {
  code: DeviceCode;
  name: string;
  close: () => void;
  again: () => void;
}

function Waiting({ code, name, close, again }: WaitingProps) {
  const reread = useReread();
  const [added, setAdded] = useState<Added | null>(null);
  const [error, setError] = useState<ApiError | null>(null);

  useEffect(() => {
    const stop = new AbortController();
    const wait = () =>
      new Promise((resolve) => {
        window.setTimeout(resolve, Math.max(1, code.interval_s) * 1000);
      });
    async function poll() {
      while (!stop.signal.aborted) {
        await wait();
        if (stop.signal.aborted) return;
        const told = await api.post<DevicePolled>(
          "/oauth/device/poll",
          { id: code.id, name },
          { signal: stop.signal },
        );
        if (told.done && told.account) {
          setAdded(told.account);
          void reread();
          return;
        }
      }
    }
    poll().catch((caught: unknown) => {
      if (!stop.signal.aborted) {
        setError(caught instanceof ApiError ? caught : new ApiError(String(caught), 0, "failed"));
      }
    });
    return () => stop.abort();
  }, [code, name, reread]);

  if (added) return <OneAdded added={added} close={close} />;
  return (
    <Stack>
      <List type="ordered" size="sm" spacing="xs">
        <List.Item>
          Open{" "}
          <Anchor href={code.url} target="_blank" rel="noreferrer noopener">
            {code.url}
          </Anchor>{" "}
          on any device.
        </List.Item>
        <List.Item>Sign in there and type this code:</List.Item>
      </List>
      <Group justify="center" gap="xs">
        <Text ff="monospace" fz={32} fw={650} data-testid="device-code">
          {code.user_code}
        </Text>
        <CopyButton text={code.user_code} label="Copy the code" />
      </Group>
      <FormError error={error} />
      {error ? (
        <Group justify="flex-end">
          <Button onClick={again}>Get another code</Button>
        </Group>
      ) : (
        <Group justify="center" gap="xs" role="status">
          <Loader size="xs" />
          <Text size="sm" c="dimmed">
            Waiting for you to agree …
          </Text>
        </Group>
      )}
    </Stack>
  );
}
