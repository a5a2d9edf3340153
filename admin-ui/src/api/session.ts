import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { ApiError, api, takeToken } from "./client";
import { feed } from "./live";
import type { SessionState } from "./types";

export const SESSION = ["session"] as const;

/** Who is logged in; null if nobody is. */
export function useSession() {
  return useQuery({
    queryKey: SESSION,
    staleTime: Number.POSITIVE_INFINITY,
    retry: (failures, error) => failures < 3 && !(error instanceof ApiError && error.status > 0),
    queryFn: async () => {
      try {
        const session = await api.get<SessionState>("/session");
        takeToken(session.csrf_token);
        return session;
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return null;
        throw error;
      }
    },
  });
}

/** Log in, and let all that was asked for before be asked for again. */
export function useLogin() {
  const queries = useQueryClient();
  return useCallback(
    async (password: string, code: string) => {
      const session = await api.post<SessionState>("/login", {
        password,
        ...(code && { code }),
      });
      takeToken(session.csrf_token);
      queries.setQueryData(SESSION, session);
      await queries.invalidateQueries({ predicate: (query) => query.queryKey[0] !== SESSION[0] });
      return session;
    },
    [queries],
  );
}

export function useLogout() {
  const queries = useQueryClient();
  return useCallback(async () => {
    await api.post("/logout").catch(() => undefined);
    takeToken(null);
    feed.stop();
    queries.clear();
    queries.setQueryData(SESSION, null);
  }, [queries]);
}
