import { type UseQueryResult, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef } from "react";
import { api } from "../../api/client";
import type { AccountDetail, AccountPage, AccountRow, Status } from "../../api/types";
import { dayBegan } from "../../ui/format";

export const PAGE_ROWS = 100;

export interface Filters {
  q: string;
  status: Status[];
  sort: string;
  descending: boolean;
}

const KEY = ["live", "accounts"] as const;

/** The accounts that `filters` find, read page by page where the table is looked at. */
export function useAccounts(filters: Filters, first: number, last: number) {
  const queries = useQueryClient();
  const pages = useMemo(() => {
    const from = Math.floor(Math.max(0, first) / PAGE_ROWS);
    const to = Math.floor(Math.max(0, last) / PAGE_ROWS);
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  }, [first, last]);
  const asked = useQueries({
    combine,
    queries: pages.map((page) => ({
      queryKey: [...KEY, filters, page],
      staleTime: 30_000,
      placeholderData: (before: AccountPage | undefined) => before,
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        api.get<AccountPage>(
          "/accounts",
          {
            q: filters.q,
            status: filters.status,
            sort: filters.sort,
            descending: filters.descending,
            offset: page * PAGE_ROWS,
            limit: PAGE_ROWS,
            today_since: dayBegan(),
          },
          signal,
        ),
    })),
  });
  const found = useMemo(() => {
    const rows = new Map<number, AccountRow>();
    const today = new Map<string, number>();
    for (const page of asked.pages) {
      page.items.forEach((row, at) => {
        rows.set(page.offset + at, row);
      });
      for (const [id, tokens] of Object.entries(page.tokens_today)) today.set(id, tokens);
    }
    return { rows, today };
  }, [asked.pages]);
  const sample = useLast(asked.pages[0]);
  return {
    ...found,
    total: sample?.total ?? 0,
    statuses: sample?.statuses ?? NONE,
    pending: sample === undefined && asked.pending,
    error: asked.error,
    retry: () => void queries.refetchQueries({ queryKey: KEY }),
  };
}

/** What was read last counts until something newer is: a list that lost its length would jump. */
function useLast(page: AccountPage | undefined): AccountPage | undefined {
  const last = useRef<AccountPage>(undefined);
  useEffect(() => {
    if (page) last.current = page;
  }, [page]);
  return page ?? last.current;
}

const NONE: Record<string, number> = {};

/** The same value as long as no page has changed: what is drawn from it is then left alone. */
function combine(asked: UseQueryResult<AccountPage>[]) {
  return {
    pages: asked.map((each) => each.data).filter((page) => page !== undefined),
    pending: asked.some((each) => each.isPending),
    error: asked.find((each) => each.isError)?.error ?? null,
  };
}

export function useAccount(id: string) {
  return useQuery({
    queryKey: ["live", "account", id],
    queryFn: ({ signal }) => api.get<AccountDetail>(`/accounts/${id}`, undefined, signal),
  });
}

/** Let everything that shows accounts be read again. */
export function useReread() {
  const queries = useQueryClient();
  return useCallback(() => queries.invalidateQueries({ queryKey: ["live"] }), [queries]);
}
