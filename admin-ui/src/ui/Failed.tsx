import { Alert, Button, Code, Group, Text } from "@mantine/core";
import { ApiError } from "../api/client";

/** What could not be read, why, and a way to try again. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const failed = error instanceof ApiError ? error : null;
  return (
    <Alert color="red" variant="light" title="This could not be read" role="alert">
      <Group justify="space-between" align="flex-end" gap="sm">
        <Text size="sm">
          {failed?.message ?? String(error)} {failed?.requestId && <Code>{failed.requestId}</Code>}
        </Text>
        {retry && (
          <Button size="xs" variant="light" color="red" onClick={retry}>
            Try again
          </Button>
        )}
      </Group>
    </Alert>
  );
}
