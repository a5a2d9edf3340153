import { lazy, Suspense, useSyncExternalStore } from "react";

const Notifications = lazy(async () => {
  const [{ Notifications: shown }] = await Promise.all([
    import("@mantine/notifications"),
    import("@mantine/notifications/styles.css"),
  ]);
  return { default: shown };
});

let wanted = false;
const listeners = new Set<() => void>();

/** Say in a corner how something went; what shows it is loaded with the first word. */
export async function notify(title: string, message: string, tone: "good" | "bad" = "good") {
  wanted = true;
  for (const listener of listeners) listener();
  const { notifications } = await import("@mantine/notifications");
  notifications.show({ title, message, color: tone === "good" ? "teal" : "red" });
}

export function Notices() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => wanted,
  );
  return shown ? (
    <Suspense>
      <Notifications position="top-center" limit={4} />
    </Suspense>
  ) : null;
}
