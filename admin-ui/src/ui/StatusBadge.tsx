import { Badge, Tooltip } from "@mantine/core";
import type { Status } from "../api/types";

const COLORS: Record<Status, string> = {
  ready: "teal",
  cooling: "yellow",
  probing: "blue",
  expired: "red",
  banned: "red",
  disabled: "gray",
  damaged: "red",
};

const MEANINGS: Record<Status, string> = {
  ready: "It takes calls.",
  cooling: "It rests until its limit resets.",
  probing: "It is back from a rest: one call at a time shows whether it is well.",
  expired: "Its credential was refused and could not be renewed: sign in again.",
  banned: "The upstream has closed it.",
  disabled: "You have paused it.",
  damaged: "Its stored secrets do not open.",
};

export function StatusBadge({ status, reason }: { status: Status; reason?: string }) {
  return (
    <Tooltip label={reason || MEANINGS[status]} multiline maw={320}>
      <Badge variant="dot" color={COLORS[status]} tt="none" fw={500}>
        {status}
      </Badge>
    </Tooltip>
  );
}

export function statusColor(status: string): string {
  return COLORS[status as Status] ?? "gray";
}
