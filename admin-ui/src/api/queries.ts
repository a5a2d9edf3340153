import { QueryClient } from "@tanstack/react-query";

/** What was asked for, and when to ask again; live numbers come by `live.ts` instead. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: { staleTime: 10_000, retry: 1, refetchOnWindowFocus: true },
  },
});
