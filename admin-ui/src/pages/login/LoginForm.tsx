import { Alert, Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { ApiError } from "../../api/client";
import { useLogin } from "../../api/session";
import { span } from "../../ui/format";

/** Password, and the one-time code once the gateway asks for it. */
export function LoginForm({ done }: { done?: () => void }) {
  const login = useLogin();
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [asksForCode, setAsksForCode] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await login(password, code);
      done?.();
    } catch (caught) {
      const failed =
        caught instanceof ApiError ? caught : new ApiError(String(caught), 0, "failed");
      setAsksForCode(asksForCode || failed.code.includes("code") || failed.code.includes("totp"));
      setError(failed);
    } finally {
      setBusy(false);
    }
  }

  return (
    <form onSubmit={submit}>
      <Stack>
        {error && (
          <Alert color="red" variant="light" role="alert">
            {error.message}
            {error.retryAfterS && ` Try again in ${span(error.retryAfterS)}.`}
          </Alert>
        )}
        <PasswordInput
          label="Admin password"
          autoComplete="current-password"
          required
          data-autofocus
          autoFocus
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          error={error?.field("password")}
        />
        {asksForCode && (
          <TextInput
            label="One-time code"
            description="Six digits from your authenticator"
            inputMode="numeric"
            autoComplete="one-time-code"
            maxLength={6}
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
            error={error?.field("code")}
          />
        )}
        <Button type="submit" loading={busy} fullWidth>
          Sign in
        </Button>
      </Stack>
    </form>
  );
}
