import { Center, Loader } from "@mantine/core";
import { lazy, Suspense } from "react";
import { Route, Router, Switch } from "wouter";
import { Shell } from "./Shell";

const LoginPage = lazy(() => import("../pages/login/LoginPage"));
const OverviewPage = lazy(() => import("../pages/overview/OverviewPage"));

const waiting = (
  <Center mih={240}>
    <Loader aria-label="Loading" />
  </Center>
);

/** Which page stands at which address below `/admin`. */
export function App() {
  return (
    <Router base="/admin">
      <Suspense fallback={waiting}>
        <Switch>
          <Route path="/login" component={LoginPage} />
          <Route>
            <Shell>
              <Suspense fallback={waiting}>
                <Switch>
                  <Route path="/" component={OverviewPage} />
                </Switch>
              </Suspense>
            </Shell>
          </Route>
        </Switch>
      </Suspense>
    </Router>
  );
}
