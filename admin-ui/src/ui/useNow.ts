import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let nowS = Date.now() / 1000;
let timer = 0;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === 0) {
    timer = window.setInterval(() => {
      nowS = Date.now() / 1000;
      for (const each of listeners) each();
    }, 1000);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      window.clearInterval(timer);
      timer = 0;
    }
  };
}

/** The time in epoch seconds, which moves on once a second, in step for the whole page. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => nowS);
}
