import { ActionIcon, AppShell, Badge, Burger, Group, NavLink, Text, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { type ReactNode, useEffect } from "react";
import { Link, useLocation } from "wouter";
import { useLive } from "../api/live";
import { useLogout } from "../api/session";
import {
  AccountsIcon,
  ConnectIcon,
  ExplainIcon,
  KeysIcon,
  OperationsIcon,
  OverviewIcon,
  SettingsIcon,
  SignOutIcon,
  UsageIcon,
} from "../ui/icons";
import { ThemeSwitch } from "../ui/ThemeSwitch";
import classes from "./Shell.module.css";

const PLACES = [
  ["/", "Overview", OverviewIcon],
  ["/accounts", "Accounts", AccountsIcon],
  ["/keys", "Keys", KeysIcon],
  ["/usage", "Usage", UsageIcon],
  ["/operations", "Operations", OperationsIcon],
  ["/explain", "Explain", ExplainIcon],
  ["/settings", "Settings", SettingsIcon],
  ["/connect", "Connect", ConnectIcon],
] as const;

/** The frame of every page but the login: navigation at the side, on a phone behind a button. */
export function Shell({ children }: { children: ReactNode }) {
  const [opened, { toggle, close }] = useDisclosure();
  const [location] = useLocation();
  const logout = useLogout();
  const here = PLACES.findLast(([path]) => location === path || location.startsWith(`${path}/`));

  useEffect(() => {
    document.title = here ? `${here[1]} · codex2api` : "codex2api";
  }, [here]);

  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 212, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding={{ base: "sm", sm: "lg" }}
    >
      <a className={classes.skip} href="#content">
        Skip to the content
      </a>
      <AppShell.Header className={classes.bar}>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger
              opened={opened}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label="Navigation"
            />
            <img src="/admin/icon.svg" width={26} height={26} alt="" />
            <Text fw={650} visibleFrom="xs">
              codex2api
            </Text>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <Connection />
            <ThemeSwitch />
            <Tooltip label="Sign out">
              <ActionIcon
                variant="subtle"
                color="gray"
                size="lg"
                aria-label="Sign out"
                onClick={() => void logout()}
              >
                <SignOutIcon />
              </ActionIcon>
            </Tooltip>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" className={classes.side} aria-label="Pages">
        {PLACES.map(([path, label, Icon]) => (
          <NavLink
            key={path}
            component={Link}
            href={path}
            label={label}
            active={here?.[0] === path}
            aria-current={here?.[0] === path ? "page" : undefined}
            leftSection={<Icon />}
            className={classes.link}
            onClick={close}
          />
        ))}
      </AppShell.Navbar>
      <AppShell.Main id="content">
        <div className={classes.page}>{children}</div>
      </AppShell.Main>
    </AppShell>
  );
}

function Connection() {
  const connected = useLive((live) => live.connected);
  const draining = useLive((live) => live.numbers?.draining ?? false);
  const [color, text] = draining
    ? ["yellow", "Draining"]
    : connected
      ? ["teal", "Live"]
      : ["gray", "Connecting"];
  return (
    <Badge variant="dot" color={color} tt="none" fw={500} aria-live="polite">
      {text}
    </Badge>
  );
}
