import { Badge, Checkbox, Group, Stack, Text } from "@mantine/core";
import "@mantine/core/styles/Checkbox.css";
import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import type { AccountRow } from "../../api/types";
import { ago, count, percent } from "../../ui/format";
import { QuotaBar } from "../../ui/QuotaBar";
import { StatusBadge } from "../../ui/StatusBadge";
import { useNow } from "../../ui/useNow";

export interface Meta {
  today: ReadonlyMap<string, number>;
  selected: ReadonlySet<string>;
  toggle: (id: string) => void;
}

const WINDOWS_SHOWN = 3;
const column = createColumnHelper<AccountRow>();

function Name({ row }: { row: AccountRow }) {
  return (
    <Stack gap={0}>
      <Text size="sm" fw={550} truncate>
        {row.name}
      </Text>
      <Text size="xs" c="dimmed" truncate>
        {[row.email ?? row.base_url, row.plan, row.kind !== "codex" && row.kind]
          .filter(Boolean)
          .join(" · ") || row.id}
      </Text>
    </Stack>
  );
}

function Health({ row }: { row: AccountRow }) {
  const now = useNow();
  return (
    <Stack gap={2} align="flex-start">
      <StatusBadge status={row.status} reason={row.reason} />
      <Text size="xs" c="dimmed" truncate>
        {row.until !== null && row.until > now ? `back ${ago(row.until, now)}` : row.refused_code}
      </Text>
    </Stack>
  );
}

function Windows({ row }: { row: AccountRow }) {
  if (row.windows.length === 0) {
    return (
      <Text size="xs" c="dimmed">
        nothing heard yet
      </Text>
    );
  }
  return (
    <Stack gap={3}>
      {row.windows.slice(0, WINDOWS_SHOWN).map((each) => (
        <QuotaBar key={`${each.family} ${each.minutes}`} window={each} />
      ))}
    </Stack>
  );
}

/** The columns, with the widths that the grid gives them; `sort` is the server's word for it. */
export function columns(): ColumnDef<AccountRow>[] {
  return [
    column.display({
      id: "select",
      meta: { width: "32px" },
      cell: ({ row, table }) => {
        const meta = table.options.meta as Meta;
        return (
          <Checkbox
            size="xs"
            aria-label={`Select ${row.original.name}`}
            checked={meta.selected.has(row.original.id)}
            onChange={() => meta.toggle(row.original.id)}
            onClick={(event) => event.stopPropagation()}
          />
        );
      },
    }),
    column.accessor("name", {
      header: "Account",
      meta: { width: "minmax(150px, 1.4fr)", sort: "name" },
      cell: ({ row }) => <Name row={row.original} />,
    }),
    column.accessor("status", {
      header: "Health",
      meta: { width: "128px", sort: "status" },
      cell: ({ row }) => <Health row={row.original} />,
    }),
    column.display({
      id: "windows",
      header: "Quota",
      meta: { width: "minmax(230px, 1.6fr)", sort: "used" },
      cell: ({ row }) => <Windows row={row.original} />,
    }),
    column.display({
      id: "today",
      header: "Tokens today",
      meta: { width: "92px", sort: "tokens", end: true },
      cell: ({ row, table }) => count((table.options.meta as Meta).today.get(row.original.id) ?? 0),
    }),
    column.accessor("requests_per_minute", {
      header: "Calls/min",
      meta: { width: "74px", sort: "requests_per_minute", end: true },
      cell: ({ getValue }) => count(getValue()),
    }),
    column.accessor("error_ratio", {
      header: "Errors",
      meta: { width: "66px", sort: "error_ratio", end: true },
      cell: ({ getValue }) => percent(getValue()),
    }),
    column.accessor("in_flight", {
      header: "In flight",
      meta: { width: "74px", sort: "in_flight", end: true },
      cell: ({ row }) => `${row.original.in_flight} / ${row.original.capacity}`,
    }),
    column.accessor("priority", {
      header: "Priority",
      meta: { width: "66px", sort: "priority", end: true },
      cell: ({ getValue }) => getValue(),
    }),
    column.display({
      id: "groups",
      header: "Groups",
      meta: { width: "minmax(80px, 0.7fr)" },
      cell: ({ row }) => (
        <Group gap={4} wrap="nowrap" style={{ overflow: "hidden" }}>
          {[...row.original.groups, ...row.original.tags].slice(0, 3).map((name) => (
            <Badge key={name} size="xs" variant="light" color="gray" tt="none">
              {name}
            </Badge>
          ))}
        </Group>
      ),
    }),
  ] as ColumnDef<AccountRow>[];
}
