import { PageHead } from "../../ui/PageHead";

export default function OperationsPage() {
  return <PageHead title="Operations" />;
}
