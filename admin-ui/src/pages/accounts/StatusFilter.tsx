import { Chip, Group } from "@mantine/core";
import "@mantine/core/styles/Chip.css";
import type { Status } from "../../api/types";
import { count } from "../../ui/format";

const STATUSES: Status[] = ["ready", "cooling", "probing", "expired", "banned", "disabled"];

interface Props {
  chosen: readonly Status[];
  counts: Record<string, number>;
  choose: (status: Status[]) => void;
}

/** Narrows the table to accounts in some states; none chosen means all. */
export function StatusFilter({ chosen, counts, choose }: Props) {
  return (
    <Chip.Group multiple value={[...chosen]} onChange={(value) => choose(value as Status[])}>
      <Group gap={6}>
        {STATUSES.map((status) => (
          <Chip key={status} value={status} size="xs" variant="light">
            {status} {counts[status] ? count(counts[status]) : ""}
          </Chip>
        ))}
      </Group>
    </Chip.Group>
  );
}
