import { PageHead } from "../../ui/PageHead";

export default function UsagePage() {
  return <PageHead title="Usage" />;
}
