import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useState } from "react";
import { api } from "../../api/client";
import type { AccountRow, Tried } from "../../api/types";
import { FormError } from "../../ui/FormError";
import { PauseIcon, PlayIcon, RefreshIcon, TrashIcon } from "../../ui/icons";
import { notify } from "../../ui/Notices";
import { useSubmit } from "../../ui/useSubmit";
import { useReread } from "./useAccounts";

/** What can be done to one account at once. */
export function AccountActions({ account, gone }: { account: AccountRow; gone: () => void }) {
  const reread = useReread();
  const [busy, setBusy] = useState("");
  const [asking, { open, close }] = useDisclosure();
  const path = `/accounts/${account.id}`;
  const remove = useSubmit(
    () => api.delete(path),
    () => {
      void reread();
      gone();
    },
  );

  async function act(name: string, run: () => Promise<string | Tried>) {
    setBusy(name);
    try {
      const told = await run();
      if (typeof told === "string") await notify(account.name, told);
      else await notify(account.name, told.detail, told.ok ? "good" : "bad");
    } catch (error) {
      await notify(account.name, error instanceof Error ? error.message : "It failed.", "bad");
    } finally {
      setBusy("");
      void reread();
    }
  }

  const paused = !account.enabled;
  return (
    <Group gap="xs">
      <Button
        size="xs"
        variant="light"
        loading={busy === "test"}
        onClick={() => void act("test", () => api.post<Tried>(`${path}/test`))}
      >
        Test
      </Button>
      <Button
        size="xs"
        variant="light"
        leftSection={<RefreshIcon size={14} />}
        loading={busy === "refresh"}
        disabled={!account.renewable}
        onClick={() => void act("refresh", () => api.post<Tried>(`${path}/refresh`))}
      >
        Renew credential
      </Button>
      <Button
        size="xs"
        variant="light"
        loading={busy === "reset"}
        onClick={() =>
          void act("reset", async () => {
            await api.post(`${path}/reset`);
            return "Its rests are over: the next call may try it.";
          })
        }
      >
        End rests
      </Button>
      <Button
        size="xs"
        variant="light"
        leftSection={paused ? <PlayIcon size={14} /> : <PauseIcon size={14} />}
        loading={busy === "pause"}
        onClick={() =>
          void act("pause", async () => {
            await api.patch(path, { enabled: paused });
            return paused ? "It takes calls again." : "It takes no new calls.";
          })
        }
      >
        {paused ? "Resume" : "Pause"}
      </Button>
      <Button
        size="xs"
        variant="subtle"
        color="red"
        leftSection={<TrashIcon size={14} />}
        onClick={open}
      >
        Delete
      </Button>
      <Modal opened={asking} onClose={close} title={`Delete ${account.name}?`} centered>
        <Stack>
          <Text size="sm">
            Its credential is deleted with it and can't be brought back. What it has served stays in
            the books.
          </Text>
          <FormError error={remove.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button color="red" loading={remove.busy} onClick={() => void remove.submit()}>
              Delete
            </Button>
          </Group>
        </Stack>
      </Modal>
    </Group>
  );
}
