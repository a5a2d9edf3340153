import { useState } from "react";
import { ApiError } from "../api/client";

/** Sends a form: whether it is on its way, and what was wrong with which field. */
export function useSubmit<T>(act: () => Promise<T>, done?: (value: T) => void) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  async function submit() {
    setBusy(true);
    setError(null);
    try {
      const value = await act();
      done?.(value);
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), 0, "failed"));
    } finally {
      setBusy(false);
    }
  }
  return { busy, error, submit, forget: () => setError(null) };
}
