/**
 * What the gateway tells as it happens: one stream for the whole page, whoever shows what of it.
 *
 * Numbers are kept for some minutes so that a chart has something to show when a page is opened;
 * accounts go straight into what was asked for of them; a new revision lets it be asked again.
 */

import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { address } from "./client";
import type { AccountPage, AccountRow, Numbers, RequestTail } from "./types";

export const SAMPLES_MAX = 300;
export const REQUESTS_MAX = 60;
/** Silence after which the stream is taken for dead: a sign of life comes every 15 s. */
const SILENCE_MS = 40_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 15_000;

export interface Live {
  connected: boolean;
  numbers: Numbers | null;
  samples: readonly Numbers[];
  requests: readonly RequestTail[];
}

const NOTHING: Live = { connected: false, numbers: null, samples: [], requests: [] };

/** Keep what was told; `apply` is pure, so that it can be tried without a stream. */
export function apply(live: Live, name: string, data: unknown): Live {
  switch (name) {
    case "numbers": {
      const numbers = data as Numbers;
      const samples = [...live.samples, numbers].slice(-SAMPLES_MAX);
      return { ...live, numbers, samples };
    }
    case "requests": {
      const { rows } = data as { rows: RequestTail[] };
      const requests = [...rows.slice().reverse(), ...live.requests].slice(0, REQUESTS_MAX);
      return { ...live, requests };
    }
    default:
      return live;
  }
}

/** Put accounts that have changed in the place of those that were read. */
export function merged(page: AccountPage, rows: readonly AccountRow[]): AccountPage {
  const changed = new Map(rows.map((row) => [row.id, row]));
  if (!page.items.some((row) => changed.has(row.id))) return page;
  return { ...page, items: page.items.map((row) => changed.get(row.id) ?? row) };
}

class Feed {
  private live = NOTHING;
  private listeners = new Set<() => void>();
  private source: EventSource | null = null;
  private silence = 0;
  private retry = 0;
  private retryMs = RETRY_FIRST_MS;
  private queries: QueryClient | null = null;

  /** Begin to listen; a second call changes nothing. */
  start(queries: QueryClient): void {
    this.queries = queries;
    if (this.source === null && this.retry === 0) this.open();
  }

  stop(): void {
    this.close();
    window.clearTimeout(this.retry);
    this.retry = 0;
    this.set(NOTHING);
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = (): Live => this.live;

  private open(): void {
    this.retry = 0;
    const source = new EventSource(address("/events"));
    this.source = source;
    source.onopen = () => {
      this.retryMs = RETRY_FIRST_MS;
      this.set({ ...this.live, connected: true });
      // What was told meanwhile is not told again.
      void this.queries?.invalidateQueries({ queryKey: ["live"] });
      this.alive();
    };
    source.onerror = () => this.again();
    for (const name of ["numbers", "requests", "accounts", "revision"]) {
      source.addEventListener(name, (event) => {
        this.alive();
        this.take(name, JSON.parse((event as MessageEvent<string>).data));
      });
    }
    this.alive();
  }

  private take(name: string, data: unknown): void {
    if (name === "accounts") {
      const { rows, more } = data as { rows: AccountRow[]; more: boolean };
      this.queries?.setQueriesData<AccountPage>({ queryKey: ["live", "accounts"] }, (page) =>
        page ? merged(page, rows) : page,
      );
      if (more) void this.queries?.invalidateQueries({ queryKey: ["live", "accounts"] });
    } else if (name === "revision") {
      void this.queries?.invalidateQueries({ queryKey: ["live"] });
    } else {
      this.set(apply(this.live, name, data));
    }
  }

  private alive(): void {
    window.clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.again(), SILENCE_MS);
  }

  private again(): void {
    this.close();
    this.set({ ...this.live, connected: false });
    if (this.retry !== 0) return;
    this.retry = window.setTimeout(() => this.open(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
  }

  private close(): void {
    window.clearTimeout(this.silence);
    this.source?.close();
    this.source = null;
  }

  private set(live: Live): void {
    this.live = live;
    for (const listener of this.listeners) listener();
  }
}

export const feed = new Feed();

/** Return what is told, and draw again when there is more of it. */
export function useLive<T>(pick: (live: Live) => T): T {
  return useSyncExternalStore(feed.subscribe, () => pick(feed.snapshot()));
}
