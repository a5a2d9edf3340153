import { Anchor, Button, Code, Group, List, Stack, Text, TextInput } from "@mantine/core";
import "@mantine/core/styles/List.css";
import { type FormEvent, useState } from "react";
import { api } from "../../../api/client";
import type { Added, BrowserLogin } from "../../../api/types";
import { CopyButton } from "../../../ui/CopyButton";
import { FormError } from "../../../ui/FormError";
import { useSubmit } from "../../../ui/useSubmit";
import { useReread } from "../useAccounts";
import { OneAdded } from "./Outcome";

/** A login in this browser: open, agree, paste the address that it ends at. */
export function LoginForm({ close }: { close: () => void }) {
  const reread = useReread();
  const [login, setLogin] = useState<BrowserLogin | null>(null);
  const [added, setAdded] = useState<Added | null>(null);
  const [pasted, setPasted] = useState("");
  const [name, setName] = useState("");
  const begin = useSubmit(() => api.post<BrowserLogin>("/oauth/generate-auth-url"), setLogin);
  const finish = useSubmit(
    () =>
      api.post<Added>("/oauth/exchange-code", {
        code: pasted.trim(),
        state: login?.state,
        name: name.trim(),
      }),
    (value) => {
      setAdded(value);
      void reread();
    },
  );

  if (added) return <OneAdded added={added} close={close} />;
  if (!login) {
    return (
      <Stack>
        <Text size="sm">
          Sign in with the ChatGPT account that the gateway shall use. It must be a login of its
          own: if another program renews the same one, whoever comes second is locked out.
        </Text>
        <FormError error={begin.error} />
        <Group justify="flex-end">
          <Button onClick={() => void begin.submit()} loading={begin.busy}>
            Begin
          </Button>
        </Group>
      </Stack>
    );
  }
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void finish.submit();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <List type="ordered" size="sm" spacing="xs">
          <List.Item>
            <Group gap={4} display="inline-flex">
              <Anchor href={login.url} target="_blank" rel="noreferrer noopener">
                Open the sign-in page
              </Anchor>
              <CopyButton text={login.url} label="Copy its address" />
            </Group>
          </List.Item>
          <List.Item>Sign in there and agree.</List.Item>
          <List.Item>
            The browser then goes to an address that begins with <Code>http://localhost:1455</Code>{" "}
            and says that it can't be reached. That is right: copy that whole address.
          </List.Item>
        </List>
        <TextInput
          label="The address that the browser ended at"
          placeholder="http://localhost:1455/auth/callback?code=…"
          required
          value={pasted}
          onChange={(event) => setPasted(event.currentTarget.value)}
          error={finish.error?.field("code")}
        />
        <TextInput
          label="Name"
          description="Its e-mail address, if you leave this empty"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={finish.error?.field("name")}
        />
        <FormError error={finish.error} fields={["code", "name"]} />
        <Group justify="flex-end">
          <Button type="submit" loading={finish.busy} disabled={!pasted.trim()}>
            Add the account
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
