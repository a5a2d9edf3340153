/** What clients are told to get here. `KEY` stands for a caller's key. */

export interface Snippet {
  id: string;
  label: string;
  text: string;
  code: string;
}

export interface Place {
  openai: string;
  anthropic: string;
  codex: string;
  model: string;
  key: string;
}

export function snippets({ openai, anthropic, codex, model, key }: Place): Snippet[] {
  return [
    {
      id: "python",
      label: "OpenAI, Python",
      text: "The official SDK, unmodified.",
      code: `from openai import OpenAI

client = OpenAI(base_url="${openai}", api_key="${key}")
stream = client.responses.create(model="${model}", input="Hello", stream=True)
for event in stream:
    print(event.type)`,
    },
    {
      id: "typescript",
      label: "OpenAI, TypeScript",
      text: "The official SDK, unmodified.",
      code: `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${openai}", apiKey: "${key}" });
const stream = await client.chat.completions.create({
  model: "${model}",
  messages: [{ role: "user", content: "Hello" }],
  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}`,
    },
    {
      id: "codex",
      label: "Codex CLI",
      text: "In ~/.codex/config.toml; the key goes into CODEX2API_KEY.",
      code: `model = "${model}"
model_provider = "codex2api"

[model_providers.codex2api]
name = "codex2api"
base_url = "${codex}"
env_key = "CODEX2API_KEY"
wire_api = "responses"
supports_websockets = true`,
    },
    {
      id: "claude",
      label: "Claude Code",
      text: "What the names of Claude models mean is the setting claude_models.",
      code: `export ANTHROPIC_BASE_URL=${anthropic}
export ANTHROPIC_AUTH_TOKEN=${key}
claude`,
    },
    {
      id: "cursor",
      label: "Cursor",
      text: "Settings, Models. Cursor's own servers call this address: it must be reachable from outside, with TLS.",
      code: `OpenAI API Key            ${key}
Override OpenAI Base URL  ${openai}
Model                     ${model}`,
    },
    {
      id: "curl",
      label: "curl",
      text: "A stream of chat chunks.",
      code: `curl ${openai}/chat/completions \\
  -H "Authorization: Bearer ${key}" -H 'Content-Type: application/json' \\
  -d '{"model": "${model}", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}'`,
    },
  ];
}
