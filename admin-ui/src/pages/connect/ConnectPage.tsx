import { PageHead } from "../../ui/PageHead";

export default function ConnectPage() {
  return <PageHead title="Connect" />;
}
