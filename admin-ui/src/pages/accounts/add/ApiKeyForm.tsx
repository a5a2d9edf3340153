import {
  Button,
  Group,
  PasswordInput,
  SegmentedControl,
  Stack,
  TagsInput,
  TextInput,
} from "@mantine/core";
import "@mantine/core/styles/Combobox.css";
import "@mantine/core/styles/Pill.css";
import "@mantine/core/styles/PillsInput.css";
import "@mantine/core/styles/FloatingIndicator.css";
import "@mantine/core/styles/SegmentedControl.css";
import { type FormEvent, useState } from "react";
import { api } from "../../../api/client";
import type { Added } from "../../../api/types";
import { FormError } from "../../../ui/FormError";
import { useSubmit } from "../../../ui/useSubmit";
import { useReread } from "../useAccounts";
import { OneAdded } from "./Outcome";

const KINDS = [
  { value: "openai", label: "OpenAI platform" },
  { value: "compatible", label: "Compatible server" },
];
const FIELDS = ["name", "api_key", "base_url", "models"];

/** A key of OpenAI's platform, or a server that speaks its API. */
export function ApiKeyForm({ close }: { close: () => void }) {
  const reread = useReread();
  const [kind, setKind] = useState("openai");
  const [name, setName] = useState("");
  const [key, setKey] = useState("");
  const [url, setUrl] = useState("");
  const [models, setModels] = useState<string[]>([]);
  const [added, setAdded] = useState<Added | null>(null);
  const add = useSubmit(
    () =>
      api.post<Added>("/accounts/openai", {
        kind,
        name: name.trim(),
        api_key: key.trim() || null,
        base_url: url.trim() || null,
        models,
      }),
    (value) => {
      setAdded(value);
      void reread();
    },
  );

  if (added) return <OneAdded added={added} close={close} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void add.submit();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <SegmentedControl data={KINDS} value={kind} onChange={setKind} />
        <TextInput
          label="Name"
          required
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={add.error?.field("name")}
        />
        <TextInput
          label="Base URL"
          description={
            kind === "openai" ? "The platform's own, if you leave this empty" : "Up to and with /v1"
          }
          placeholder="https://host/v1"
          required={kind !== "openai"}
          value={url}
          onChange={(event) => setUrl(event.currentTarget.value)}
          error={add.error?.field("base_url")}
        />
        <PasswordInput
          label="API key"
          description="It is encrypted and never shown again"
          autoComplete="off"
          required={kind === "openai"}
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          error={add.error?.field("api_key")}
        />
        <TagsInput
          label="Models"
          description="Those that it shall serve; empty means all that its kind has"
          value={models}
          onChange={setModels}
          error={add.error?.field("models")}
        />
        <FormError error={add.error} fields={FIELDS} />
        <Group justify="flex-end">
          <Button type="submit" loading={add.busy}>
            Add
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
