import { Box, Center, Paper, Stack, Text, Title } from "@mantine/core";
import { ThemeSwitch } from "../../ui/ThemeSwitch";
import { LoginForm } from "./LoginForm";
import classes from "./LoginPage.module.css";

export default function LoginPage() {
  return (
    <Box className={classes.page}>
      <Box className={classes.corner}>
        <ThemeSwitch />
      </Box>
      <Center mih="100dvh" p="md" component="main">
        <Paper className={classes.card} withBorder radius="lg" p="xl">
          <Stack gap="lg">
            <Stack gap={6} align="center">
              <img src="/admin/icon.svg" width={44} height={44} alt="" />
              <Title order={1} size="h3">
                codex2api
              </Title>
              <Text size="sm" c="dimmed" ta="center">
                The password was printed at the first start, unless ADMIN_SECRET sets it.
              </Text>
            </Stack>
            <LoginForm />
          </Stack>
        </Paper>
      </Center>
    </Box>
  );
}
