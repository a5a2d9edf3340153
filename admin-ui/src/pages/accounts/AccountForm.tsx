import { Button, Group, NumberInput, Stack, TagsInput, TextInput } from "@mantine/core";
import "@mantine/core/styles/Combobox.css";
import "@mantine/core/styles/NumberInput.css";
import "@mantine/core/styles/Pill.css";
import "@mantine/core/styles/PillsInput.css";
import { type FormEvent, useState } from "react";
import { api } from "../../api/client";
import type { AccountRow } from "../../api/types";
import { FormError } from "../../ui/FormError";
import { notify } from "../../ui/Notices";
import { useSubmit } from "../../ui/useSubmit";
import { useReread } from "./useAccounts";

const FIELDS = [
  "name",
  "priority",
  "concurrency_max",
  "groups",
  "tags",
  "models",
  "pause_at",
  "proxy_url",
];

/** What an operator chooses for an account. A change is refused if somebody else was faster. */
export function AccountForm({ account }: { account: AccountRow }) {
  const reread = useReread();
  const [seen, setSeen] = useState(account);
  const [name, setName] = useState(account.name);
  const [priority, setPriority] = useState<number | string>(account.priority);
  const [most, setMost] = useState<number | string>(account.concurrency_max);
  const [groups, setGroups] = useState<string[]>([...account.groups]);
  const [tags, setTags] = useState<string[]>([...account.tags]);
  const [models, setModels] = useState<string[]>([...account.models]);
  const [pause, setPause] = useState<number | string>(
    account.pause_at === null ? "" : Math.round(account.pause_at * 100),
  );
  const [proxy, setProxy] = useState("");
  const save = useSubmit(
    () =>
      api.patch<AccountRow>(`/accounts/${account.id}`, {
        version: seen.version,
        name: name.trim(),
        priority: Number(priority),
        concurrency_max: Number(most),
        groups,
        tags,
        models,
        pause_at: pause === "" ? null : Number(pause) / 100,
        ...(proxy.trim() && { proxy_url: proxy.trim() }),
      }),
    (row) => {
      setSeen(row);
      setProxy("");
      void reread();
      void notify(row.name, "Saved.");
    },
  );
  const wrong = (field: string) => save.error?.field(field);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void save.submit();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput
          label="Name"
          required
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={wrong("name")}
        />
        <Group grow align="flex-start">
          <NumberInput
            label="Priority"
            description="Higher goes first"
            allowDecimal={false}
            value={priority}
            onChange={setPriority}
            error={wrong("priority")}
          />
          <NumberInput
            label="Calls at a time"
            description="At most"
            allowDecimal={false}
            min={1}
            value={most}
            onChange={setMost}
            error={wrong("concurrency_max")}
          />
          <NumberInput
            label="Pause at"
            description="Share of a window"
            suffix=" %"
            min={1}
            max={100}
            placeholder="as the pool"
            value={pause}
            onChange={setPause}
            error={wrong("pause_at")}
          />
        </Group>
        <TagsInput
          label="Groups"
          description="A key may be bound to groups"
          value={groups}
          onChange={setGroups}
          error={wrong("groups")}
        />
        <TagsInput
          label="Tags"
          description="A key may ask for all of some tags"
          value={tags}
          onChange={setTags}
          error={wrong("tags")}
        />
        <TagsInput
          label="Models"
          description="Empty means all that its kind and plan have"
          value={models}
          onChange={setModels}
          error={wrong("models")}
        />
        <Group align="flex-end" gap="xs" wrap="nowrap">
          <TextInput
            flex={1}
            label="Proxy"
            description={
              account.has_proxy ? "One is set; type another to replace it" : "Of its own"
            }
            placeholder="socks5://user:password@host:1080"
            autoComplete="off"
            value={proxy}
            onChange={(event) => setProxy(event.currentTarget.value)}
            error={wrong("proxy_url")}
          />
        </Group>
        <FormError error={save.error} fields={FIELDS} />
        <Group justify="flex-end">
          {save.error?.code === "stale_edit" && (
            <Button variant="default" onClick={() => void reread().then(() => setSeen(account))}>
              Keep mine over it
            </Button>
          )}
          <Button type="submit" loading={save.busy}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
