import { Button, Paper, Skeleton, UnstyledButton } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { flexRender, getCoreRowModel, type Row, useReactTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import type { AccountRow } from "../../api/types";
import { Empty } from "../../ui/Empty";
import { Failed } from "../../ui/Failed";
import classes from "./AccountTable.module.css";
import { columns, type Meta } from "./columns";
import { type Filters, useAccounts } from "./useAccounts";

const ROW_PX = 74;
const CARD_PX = 208;

interface Order {
  sort: string;
  descending: boolean;
}

interface Props {
  filters: Filters;
  order: Order;
  reorder: (order: Order) => void;
  selected: ReadonlySet<string>;
  select: (ids: ReadonlySet<string>) => void;
  open: (id: string) => void;
  add: () => void;
  told: (statuses: Record<string, number>) => void;
}

interface ColumnMeta {
  width: string;
  sort?: string;
  end?: boolean;
}

/** Ten thousand accounts as one list: only what is looked at is read and drawn. */
export function AccountTable(props: Props) {
  const { filters, order, reorder, selected, select, open, told } = props;
  const cards = useMediaQuery("(max-width: 62em)") ?? false;
  const frame = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ first: 0, last: 0 });
  const found = useAccounts(filters, seen.first, seen.last);
  const shape = useMemo(columns, []);
  const places = useMemo(() => [...found.rows.keys()].sort((a, b) => a - b), [found.rows]);
  const data = useMemo(
    () => places.map((at) => found.rows.get(at) as AccountRow),
    [places, found.rows],
  );
  const meta: Meta = {
    today: found.today,
    selected,
    toggle: (id) => {
      const next = new Set(selected);
      if (!next.delete(id)) next.add(id);
      select(next);
    },
  };
  const table = useReactTable({
    data,
    columns: shape,
    getCoreRowModel: getCoreRowModel(),
    getRowId: (row) => row.id,
    manualSorting: true,
    autoResetAll: false,
    meta,
  });
  const drawn = new Map(table.getRowModel().rows.map((row, at) => [places[at], row]));
  const virtual = useVirtualizer({
    count: found.total,
    getScrollElement: () => frame.current,
    estimateSize: () => (cards ? CARD_PX : ROW_PX),
    overscan: 8,
  });
  const items = virtual.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => setSeen({ first, last }), [first, last]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is asked for anew begins at its top
  useEffect(() => {
    frame.current?.scrollTo({ top: 0 });
  }, [filters]);
  const statuses = JSON.stringify(found.statuses);
  useEffect(() => told(JSON.parse(statuses)), [statuses, told]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: sizes change with the form of a row
  useEffect(() => virtual.measure(), [cards]);

  if (found.error && found.rows.size === 0) {
    return <Failed error={found.error} retry={found.retry} />;
  }
  if (!found.pending && found.total === 0) return <Nothing {...props} />;
  const grid = shape.map((each) => (each.meta as ColumnMeta).width).join(" ");
  return (
    <Paper withBorder className={classes.table} role="table" aria-rowcount={found.total}>
      {!cards && (
        <div className={classes.head} role="row" style={{ gridTemplateColumns: grid }}>
          {table.getFlatHeaders().map((header) => {
            const { sort, end } = header.column.columnDef.meta as ColumnMeta;
            const text = flexRender(header.column.columnDef.header, header.getContext());
            const active = sort === order.sort;
            return (
              <div
                key={header.id}
                role="columnheader"
                data-end={end}
                aria-sort={active ? (order.descending ? "descending" : "ascending") : "none"}
              >
                {sort ? (
                  <UnstyledButton
                    className={classes.sort}
                    onClick={() => reorder({ sort, descending: active && !order.descending })}
                  >
                    {text} {active && (order.descending ? "↓" : "↑")}
                  </UnstyledButton>
                ) : (
                  text
                )}
              </div>
            );
          })}
        </div>
      )}
      <div ref={frame} className={classes.frame} data-cards={cards}>
        <div className={classes.all} style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => (
            <Line
              key={item.key}
              row={drawn.get(item.index)}
              cards={cards}
              grid={grid}
              top={item.start}
              height={item.size}
              index={item.index}
              open={open}
            />
          ))}
          {found.pending && <Skeleton height={320} />}
        </div>
      </div>
    </Paper>
  );
}

interface LineProps {
  row: Row<AccountRow> | undefined;
  cards: boolean;
  grid: string;
  top: number;
  height: number;
  index: number;
  open: (id: string) => void;
}

function Line({ row, cards, grid, top, height, index, open }: LineProps) {
  const style = {
    transform: `translateY(${top}px)`,
    height,
    ...(!cards && { gridTemplateColumns: grid }),
  };
  if (!row) {
    return (
      <div className={classes.waiting} style={style} role="row" aria-rowindex={index + 1}>
        <Skeleton height={20} />
      </div>
    );
  }
  const enter = (event: KeyboardEvent) => {
    if (event.key === "Enter" && event.target === event.currentTarget) open(row.original.id);
  };
  return (
    <div
      className={cards ? classes.card : classes.row}
      style={style}
      role="row"
      tabIndex={0}
      aria-rowindex={index + 1}
      aria-label={row.original.name}
      onClick={() => open(row.original.id)}
      onKeyDown={enter}
    >
      {row.getVisibleCells().map((cell) => {
        const { end } = cell.column.columnDef.meta as ColumnMeta;
        return (
          <div
            key={cell.id}
            role="cell"
            data-column={cell.column.id}
            data-label={cards && end ? String(cell.column.columnDef.header) : undefined}
            data-end={end}
          >
            {flexRender(cell.column.columnDef.cell, cell.getContext())}
          </div>
        );
      })}
    </div>
  );
}

function Nothing({ filters, add }: Props) {
  const narrowed = filters.q !== "" || filters.status.length > 0;
  return (
    <Paper withBorder className={classes.table}>
      {narrowed ? (
        <Empty title="No account is like this" text="Search for less, or choose other states." />
      ) : (
        <Empty
          title="No account yet"
          text="Sign in with a ChatGPT account, paste tokens, upload a file, or add an API key."
          action={<Button onClick={add}>Add accounts</Button>}
        />
      )}
    </Paper>
  );
}
