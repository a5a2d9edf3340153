import { Button, PasswordInput, Stack } from "@mantine/core";

export default function LoginPage() {
  return (
    <Stack>
      <PasswordInput label="Admin password" />
      <Button>Sign in</Button>
    </Stack>
  );
}
