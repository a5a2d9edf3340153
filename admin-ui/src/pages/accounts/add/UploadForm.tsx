import { Button, Code, FileInput, Group, Stack, Text } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { api } from "../../../api/client";
import type { Imported } from "../../../api/types";
import { FormError } from "../../../ui/FormError";
import { useSubmit } from "../../../ui/useSubmit";
import { useReread } from "../useAccounts";
import { ManyAdded } from "./Outcome";

/** A file with accounts in it, of whichever kind. */
export function UploadForm({ close }: { close: () => void }) {
  const reread = useReread();
  const [file, setFile] = useState<File | null>(null);
  const [done, setDone] = useState<Imported | null>(null);
  const upload = useSubmit(
    () => {
      const form = new FormData();
      if (file) form.append("file", file);
      return api.post<Imported>("/accounts/import", form);
    },
    (value) => {
      setDone(value);
      void reread();
    },
  );

  if (done) return <ManyAdded done={done} close={close} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void upload.submit();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text size="sm">
          An <Code>auth.json</Code> of the Codex CLI, a list of tokens, a JSON or zip export of
          another gateway. Accounts that are there already are recognised.
        </Text>
        <FileInput
          label="File"
          placeholder="Choose a file"
          required
          clearable
          value={file}
          onChange={setFile}
          error={upload.error?.field("file")}
        />
        <FormError error={upload.error} fields={["file"]} />
        <Group justify="flex-end">
          <Button type="submit" loading={upload.busy} disabled={!file}>
            Upload
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
