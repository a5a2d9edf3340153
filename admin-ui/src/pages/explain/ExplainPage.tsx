import { PageHead } from "../../ui/PageHead";

export default function ExplainPage() {
  return <PageHead title="Explain" />;
}
