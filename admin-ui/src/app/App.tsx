import { Button, Center, Loader, Stack, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { type ComponentType, lazy, type ReactNode, Suspense, useEffect, useState } from "react";
import { Route, Router, Switch } from "wouter";
import { ApiError, onExpired } from "../api/client";
import { feed } from "../api/live";
import { useSession } from "../api/session";
import { Missing } from "./Missing";
import { Shell } from "./Shell";

const LoginPage = lazy(() => import("../pages/login/LoginPage"));
const SessionEnded = lazy(() => import("./SessionEnded"));

const PAGES: readonly (readonly [string, ComponentType])[] = [
  ["/", lazy(() => import("../pages/overview/OverviewPage"))],
  ["/accounts/:id?", lazy(() => import("../pages/accounts/AccountsPage"))],
  ["/keys", lazy(() => import("../pages/keys/KeysPage"))],
  ["/usage", lazy(() => import("../pages/usage/UsagePage"))],
  ["/operations", lazy(() => import("../pages/operations/OperationsPage"))],
  ["/explain/:requestId?", lazy(() => import("../pages/explain/ExplainPage"))],
  ["/settings", lazy(() => import("../pages/settings/SettingsPage"))],
  ["/connect", lazy(() => import("../pages/connect/ConnectPage"))],
];

export function Waiting() {
  return (
    <Center mih={240}>
      <Loader aria-label="Loading" />
    </Center>
  );
}

/** Which page stands at which address below `/admin`, for who is logged in. */
export function App() {
  return (
    <Router base="/admin">
      <Gate>
        <Shell>
          <Suspense fallback={<Waiting />}>
            <Switch>
              {PAGES.map(([path, Page]) => (
                <Route key={path} path={path} component={Page} />
              ))}
              <Route component={Missing} />
            </Switch>
          </Suspense>
        </Shell>
        <Again />
      </Gate>
    </Router>
  );
}

function Gate({ children }: { children: ReactNode }) {
  const session = useSession();
  const queries = useQueryClient();
  const inside = Boolean(session.data);
  useEffect(() => {
    if (inside) feed.start(queries);
  }, [inside, queries]);

  if (session.isPending) return <Waiting />;
  if (session.isError) {
    return (
      <Center mih="100dvh" p="md">
        <Stack align="center" gap="sm">
          <Text fw={600}>The gateway does not answer</Text>
          <Text c="dimmed" size="sm">
            {session.error instanceof ApiError ? session.error.message : "Try again in a moment."}
          </Text>
          <Button onClick={() => void session.refetch()} loading={session.isFetching}>
            Try again
          </Button>
        </Stack>
      </Center>
    );
  }
  if (session.data) return children;
  return (
    <Suspense fallback={<Waiting />}>
      <LoginPage />
    </Suspense>
  );
}

/** Asks to log in again once the session has ended. */
function Again() {
  const [ended, setEnded] = useState(false);
  useEffect(() => onExpired(() => setEnded(true)), []);
  if (!ended) return null;
  return (
    <Suspense>
      <SessionEnded done={() => setEnded(false)} />
    </Suspense>
  );
}
