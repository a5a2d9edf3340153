import { Button, Group, SegmentedControl, Stack, Text, Textarea, TextInput } from "@mantine/core";
import "@mantine/core/styles/FloatingIndicator.css";
import "@mantine/core/styles/SegmentedControl.css";
import { type FormEvent, useState } from "react";
import { api } from "../../../api/client";
import type { Added, Imported } from "../../../api/types";
import { FormError } from "../../../ui/FormError";
import { useSubmit } from "../../../ui/useSubmit";
import { useReread } from "../useAccounts";
import { ManyAdded, OneAdded } from "./Outcome";

const KINDS = [
  { value: "refresh", label: "Refresh tokens" },
  { value: "access", label: "An access token" },
];

/** Tokens that somebody has already. They go in and never come out again. */
export function PasteForm({ close }: { close: () => void }) {
  const reread = useReread();
  const [kind, setKind] = useState("refresh");
  const [text, setText] = useState("");
  const [name, setName] = useState("");
  const [many, setMany] = useState<Imported | null>(null);
  const [one, setOne] = useState<Added | null>(null);
  const field = kind === "refresh" ? "refresh_token" : "access_token";
  const add = useSubmit(async () => {
    if (kind === "refresh") {
      setMany(await api.post<Imported>("/accounts", { refresh_token: text, name: name.trim() }));
    } else {
      setOne(await api.post<Added>("/accounts/at", { access_token: text, name: name.trim() }));
    }
    void reread();
  });

  if (many) return <ManyAdded done={many} close={close} />;
  if (one) return <OneAdded added={one} close={close} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void add.submit();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <SegmentedControl data={KINDS} value={kind} onChange={setKind} />
        <Text size="sm" c="dimmed">
          {kind === "refresh"
            ? "One a line. A refresh token can be spent once only: no other program may go on using it."
            : "The account serves until the token ends, and can't be renewed."}
        </Text>
        <Textarea
          label={kind === "refresh" ? "Refresh tokens" : "Access token"}
          required
          autosize
          minRows={4}
          maxRows={12}
          spellCheck={false}
          autoComplete="off"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          error={add.error?.field(field)}
        />
        <TextInput
          label="Name"
          description="With several lines, a number is put behind it"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={add.error?.field("name")}
        />
        <FormError error={add.error} fields={[field, "name"]} />
        <Group justify="flex-end">
          <Button type="submit" loading={add.busy} disabled={!text.trim()}>
            Add
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
