import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { api } from "../../api/client";
import type { AccountPage, KeyPage } from "../../api/types";

const MOST = 500;

/** What accounts or keys are called, by their ids; the busiest of them, if there are many. */
export function useNames(by: string): ReadonlyMap<string, string> {
  const accounts = useQuery({
    queryKey: ["live", "account names"],
    enabled: by === "account",
    queryFn: ({ signal }) =>
      api.get<AccountPage>(
        "/accounts",
        { limit: MOST, sort: "requests", descending: true },
        signal,
      ),
  });
  const keys = useQuery({
    queryKey: ["live", "keys", "names"],
    enabled: by === "caller",
    queryFn: ({ signal }) => api.get<KeyPage>("/keys", { limit: MOST, revoked: true }, signal),
  });
  const items = by === "account" ? accounts.data?.items : keys.data?.items;
  return useMemo(() => new Map(items?.map((each) => [each.id, each.name])), [items]);
}
