import { Modal, Tabs } from "@mantine/core";
import "@mantine/core/styles/Tabs.css";
import { useMediaQuery } from "@mantine/hooks";
import { ApiKeyForm } from "./ApiKeyForm";
import { DeviceForm } from "./DeviceForm";
import { LoginForm } from "./LoginForm";
import { PasteForm } from "./PasteForm";
import { UploadForm } from "./UploadForm";

const WAYS = [
  ["login", "Sign in", LoginForm],
  ["device", "Device code", DeviceForm],
  ["paste", "Paste tokens", PasteForm],
  ["upload", "Upload", UploadForm],
  ["key", "API key", ApiKeyForm],
] as const;

/** The ways in which accounts get into the pool. */
export default function AddDialog({ close }: { close: () => void }) {
  const small = useMediaQuery("(max-width: 36em)") ?? false;
  return (
    <Modal opened onClose={close} title="Add accounts" size="lg" fullScreen={small}>
      <Tabs defaultValue="login" keepMounted={false}>
        <Tabs.List mb="md">
          {WAYS.map(([value, label]) => (
            <Tabs.Tab key={value} value={value}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {WAYS.map(([value, , Form]) => (
          <Tabs.Panel key={value} value={value}>
            <Form close={close} />
          </Tabs.Panel>
        ))}
      </Tabs>
    </Modal>
  );
}
