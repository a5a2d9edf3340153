import { Alert } from "@mantine/core";
import type { ApiError } from "../api/client";

const STALE =
  "Somebody else changed this while you had it open. Look at it as it is now, then change it again.";

/** What is wrong with a form as a whole; what is wrong with a field stands beside the field. */
export function FormError({ error, fields = [] }: { error: ApiError | null; fields?: string[] }) {
  if (!error) return null;
  const shown =
    error.fields.length > 0 && error.fields.every((each) => fields.includes(each.field));
  if (shown) return null;
  return (
    <Alert color="red" variant="light" role="alert">
      {error.code === "stale_edit" ? STALE : error.message}
    </Alert>
  );
}
