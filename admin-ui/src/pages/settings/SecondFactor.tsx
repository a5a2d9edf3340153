import { Button, Code, Group, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api } from "../../api/client";
import { SESSION } from "../../api/session";
import type { SecondFactorBegun } from "../../api/types";
import { CopyButton } from "../../ui/CopyButton";
import { FormError } from "../../ui/FormError";
import { useSubmit } from "../../ui/useSubmit";

/** One-time codes beside the password: set, confirmed by a first code, and taken away. */
export function SecondFactor({ set }: { set: boolean }) {
  const queries = useQueryClient();
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [begun, setBegun] = useState<SecondFactorBegun | null>(null);
  const done = () => {
    setBegun(null);
    setPassword("");
    setCode("");
    void queries.invalidateQueries({ queryKey: SESSION });
  };
  const begin = useSubmit(() => api.post<SecondFactorBegun>("/totp", { password }), setBegun);
  const confirm = useSubmit(() => api.post("/totp/confirm", { code }), done);
  const remove = useSubmit(() => api.post("/totp/remove", { password, code }), done);
  const step = begun ? confirm : set ? remove : begin;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void step.submit();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Text size="sm" c="dimmed">
          {begun
            ? "Give this to your authenticator, then type the code that it shows."
            : set
              ? "A one-time code is asked for with the password. To go without, type both."
              : "A one-time code from an authenticator, beside the password."}
        </Text>
        {begun && (
          <Group gap="xs" wrap="nowrap">
            <Code style={{ overflowWrap: "anywhere" }}>{begun.secret}</Code>
            <CopyButton text={begun.url} label="Copy the otpauth address" />
          </Group>
        )}
        {!begun && (
          <PasswordInput
            label="Password"
            autoComplete="current-password"
            required
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            error={step.error?.field("password")}
          />
        )}
        {(begun || set) && (
          <TextInput
            label="One-time code"
            inputMode="numeric"
            autoComplete="one-time-code"
            maxLength={6}
            required
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
            error={step.error?.field("code")}
          />
        )}
        <FormError error={step.error} fields={["password", "code"]} />
        <Group justify="flex-end">
          <Button type="submit" loading={step.busy} color={set && !begun ? "red" : "brand"}>
            {begun ? "Confirm" : set ? "Remove" : "Set up"}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
