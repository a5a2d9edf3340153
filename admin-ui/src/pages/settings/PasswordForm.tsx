import { Button, Code, Group, PasswordInput, Stack, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, takeToken } from "../../api/client";
import { SESSION } from "../../api/session";
import type { SessionState } from "../../api/types";
import { FormError } from "../../ui/FormError";
import { notify } from "../../ui/Notices";
import { useSubmit } from "../../ui/useSubmit";

/** Changes the password; every other browser is signed out by it. */
export function PasswordForm({ fixed }: { fixed: boolean }) {
  const queries = useQueryClient();
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const change = useSubmit(
    () => api.post<SessionState>("/password", { password: old, new_password: fresh }),
    (session) => {
      takeToken(session.csrf_token);
      queries.setQueryData(SESSION, session);
      setOld("");
      setFresh("");
      void notify("Password", "Changed. All other browsers are signed out.");
    },
  );
  if (fixed) {
    return (
      <Text size="sm" c="dimmed">
        <Code>ADMIN_SECRET</Code> sets the password: change it there and restart.
      </Text>
    );
  }
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void change.submit();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <PasswordInput
          label="Present password"
          autoComplete="current-password"
          required
          value={old}
          onChange={(event) => setOld(event.currentTarget.value)}
          error={change.error?.field("password")}
        />
        <PasswordInput
          label="New password"
          autoComplete="new-password"
          required
          value={fresh}
          onChange={(event) => setFresh(event.currentTarget.value)}
          error={change.error?.field("new_password")}
        />
        <FormError error={change.error} fields={["password", "new_password"]} />
        <Group justify="flex-end">
          <Button type="submit" loading={change.busy} disabled={!old || !fresh}>
            Change
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
