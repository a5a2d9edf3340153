import {
  Alert,
  Button,
  Code,
  Collapse,
  Group,
  Modal,
  NumberInput,
  Stack,
  Switch,
  TagsInput,
  Text,
  TextInput,
} from "@mantine/core";
import "@mantine/core/styles/Combobox.css";
import "@mantine/core/styles/NumberInput.css";
import "@mantine/core/styles/Pill.css";
import "@mantine/core/styles/PillsInput.css";
import "@mantine/core/styles/Switch.css";
import { useDisclosure } from "@mantine/hooks";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api } from "../../api/client";
import type { CreatedKey, KeyRow } from "../../api/types";
import { CopyButton } from "../../ui/CopyButton";
import { FormError } from "../../ui/FormError";
import { notify } from "../../ui/Notices";
import { useSubmit } from "../../ui/useSubmit";

interface Draft {
  name: string;
  enabled: boolean;
  expires: string;
  models: string[];
  groups: string[];
  tags: string[];
  endpoints: string[];
  networks: string[];
  requests_per_minute: number | string;
  tokens_per_minute: number | string;
  concurrency_max: number | string;
  day_budget_usd: number | string;
  month_budget_usd: number | string;
}

const NUMBERS = [
  ["requests_per_minute", "Calls a minute"],
  ["tokens_per_minute", "Tokens a minute"],
  ["concurrency_max", "Calls at a time"],
] as const;
const BUDGETS = [
  ["day_budget_usd", "Dollars a day"],
  ["month_budget_usd", "Dollars a month"],
] as const;
const LISTS = [
  ["models", "Models", "Empty means all"],
  ["groups", "Groups of accounts", "It is served by these alone"],
  ["tags", "Tags of accounts", "An account must have all of them"],
  ["endpoints", "Endpoints", "responses, chat, messages, … ; empty means all"],
  ["networks", "Networks", "10.0.0.0/8; empty means from anywhere"],
] as const;

function draftOf(key: KeyRow | undefined): Draft {
  return {
    name: key?.name ?? "",
    enabled: key?.enabled ?? true,
    expires: key?.expires_at ? localDay(key.expires_at) : "",
    models: [...(key?.models ?? [])],
    groups: [...(key?.groups ?? [])],
    tags: [...(key?.tags ?? [])],
    endpoints: [...(key?.endpoints ?? [])],
    networks: [...(key?.networks ?? [])],
    requests_per_minute: key?.requests_per_minute ?? "",
    tokens_per_minute: key?.tokens_per_minute ?? "",
    concurrency_max: key?.concurrency_max ?? "",
    day_budget_usd: key?.day_budget_usd ?? "",
    month_budget_usd: key?.month_budget_usd ?? "",
  };
}

/** Return the day of a moment as the field of a date has it. */
export function localDay(epochS: number): string {
  const day = new Date(epochS * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

/** Return when a day that was typed ends, or null for none. */
export function endOfDay(day: string): number | null {
  if (!day) return null;
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year ?? 0, (month ?? 1) - 1, (date ?? 1) + 1).getTime() / 1000;
}

const orNull = (value: number | string) => (value === "" ? null : Number(value));

/** What is sent of a draft: null is without a limit. */
export function bodyOf(draft: Draft) {
  const { expires, enabled: _, ...rest } = draft;
  return {
    ...rest,
    name: draft.name.trim(),
    expires_at: endOfDay(expires),
    requests_per_minute: orNull(draft.requests_per_minute),
    tokens_per_minute: orNull(draft.tokens_per_minute),
    concurrency_max: orNull(draft.concurrency_max),
    day_budget_usd: orNull(draft.day_budget_usd),
    month_budget_usd: orNull(draft.month_budget_usd),
  };
}

/** Makes a key, or changes one. */
export default function KeyDialog({ edited, close }: { edited?: KeyRow; close: () => void }) {
  const queries = useQueryClient();
  const [draft, setDraft] = useState(() => draftOf(edited));
  const [more, { toggle }] = useDisclosure(Boolean(edited));
  const [made, setMade] = useState<CreatedKey | null>(null);
  const reread = () => queries.invalidateQueries({ queryKey: ["live", "keys"] });
  const save = useSubmit(async () => {
    const body = bodyOf(draft);
    if (edited) {
      await api.patch(`/keys/${edited.id}`, {
        ...body,
        enabled: draft.enabled,
        version: edited.version,
      });
      void notify(body.name, "Saved.");
      close();
    } else {
      setMade(await api.post<CreatedKey>("/keys", body));
    }
    void reread();
  });
  const revoke = useSubmit(
    () => api.delete(`/keys/${edited?.id}`),
    () => {
      void reread();
      void notify(draft.name, "Revoked: it is refused everywhere within two seconds.");
      close();
    },
  );
  const set = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const wrong = (field: string) => save.error?.field(field);

  if (made) return <Shown made={made} close={close} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void save.submit();
  };
  return (
    <Modal opened onClose={close} title={edited ? edited.name : "New key"} size="lg">
      <form onSubmit={submit}>
        <Stack gap="sm">
          <TextInput
            label="Name"
            description="Who or what it is for"
            required
            data-autofocus
            value={draft.name}
            onChange={(event) => set({ name: event.currentTarget.value })}
            error={wrong("name")}
          />
          <Group grow align="flex-start">
            {BUDGETS.map(([field, label]) => (
              <NumberInput
                key={field}
                label={label}
                placeholder="no budget"
                prefix="$"
                min={0}
                decimalScale={2}
                value={draft[field]}
                onChange={(value) => set({ [field]: value })}
                error={wrong(field)}
              />
            ))}
          </Group>
          <Group grow align="flex-start">
            {NUMBERS.map(([field, label]) => (
              <NumberInput
                key={field}
                label={label}
                placeholder="no limit"
                min={1}
                allowDecimal={false}
                value={draft[field]}
                onChange={(value) => set({ [field]: value })}
                error={wrong(field)}
              />
            ))}
          </Group>
          <Button variant="subtle" size="compact-sm" onClick={toggle} aria-expanded={more}>
            {more ? "Less" : "Expiry, models, accounts, networks …"}
          </Button>
          <Collapse expanded={more}>
            <Stack gap="sm">
              <TextInput
                type="date"
                label="Last day"
                description="It ends with that day; empty means never"
                value={draft.expires}
                onChange={(event) => set({ expires: event.currentTarget.value })}
                error={wrong("expires_at")}
              />
              {LISTS.map(([field, label, text]) => (
                <TagsInput
                  key={field}
                  label={label}
                  description={text}
                  value={draft[field]}
                  onChange={(value) => set({ [field]: value })}
                  error={wrong(field)}
                />
              ))}
              {edited && (
                <Switch
                  label="It may call"
                  checked={draft.enabled}
                  onChange={(event) => set({ enabled: event.currentTarget.checked })}
                />
              )}
            </Stack>
          </Collapse>
          <FormError
            error={save.error ?? revoke.error}
            fields={[...Object.keys(draft), "expires_at"]}
          />
          <Group justify="space-between">
            {edited ? (
              <Button
                variant="subtle"
                color="red"
                loading={revoke.busy}
                onClick={() => void revoke.submit()}
              >
                Revoke for good
              </Button>
            ) : (
              <span />
            )}
            <Button type="submit" loading={save.busy}>
              {edited ? "Save" : "Make the key"}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Shown({ made, close }: { made: CreatedKey; close: () => void }) {
  return (
    <Modal opened onClose={close} title={made.name} closeOnClickOutside={false} size="lg" centered>
      <Stack>
        <Alert color="yellow" variant="light" title="Copy it now">
          It is kept as a digest only: this is the one time that it is shown.
        </Alert>
        <Group gap="xs" wrap="nowrap">
          <Code block data-testid="new-key" style={{ flex: 1, overflowX: "auto" }}>
            {made.key}
          </Code>
          <CopyButton text={made.key} label="Copy the key" />
        </Group>
        <Text size="sm" c="dimmed">
          The page Connect shows what clients do with it.
        </Text>
        <Group justify="flex-end">
          <Button onClick={close}>I have it</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
