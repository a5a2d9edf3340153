import { Modal, Text } from "@mantine/core";
import { LoginForm } from "../pages/login/LoginForm";

/** Stands above the page, so that nothing that was typed into it is lost. */
export default function SessionEnded({ done }: { done: () => void }) {
  return (
    <Modal
      opened
      onClose={() => undefined}
      title="Your session has ended"
      withCloseButton={false}
      closeOnClickOutside={false}
      closeOnEscape={false}
      centered
    >
      <Text size="sm" c="dimmed" mb="md">
        Sign in again to go on. What you have typed is still there; what was not saved has to be
        saved again.
      </Text>
      <LoginForm done={done} />
    </Modal>
  );
}
