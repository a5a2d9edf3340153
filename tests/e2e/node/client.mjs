// The official client, as its users make it but for the address, and what both dialects share.

import OpenAI from "openai";

export const MODEL = "gpt-5.5";

export function connect({ baseURL, apiKey, maxRetries = 0 }, options = {}) {
  return new OpenAI({ baseURL, apiKey, maxRetries, ...options });
}

export function say(text) {
  return [{ role: "user", content: text }];
}

// Returns a chat completion, in one piece or gathered from a stream by the client's helper.
export async function completed(client, { stream, ...body }) {
  const create = client.chat.completions;
  return stream
    ? create.stream({ model: MODEL, ...body }).finalChatCompletion()
    : create.create({ model: MODEL, ...body });
}

// Returns a response, in one piece or gathered from a stream by the client's helper.
export async function responded(client, { stream, ...body }) {
  return stream
    ? client.responses.stream({ model: MODEL, ...body }).finalResponse()
    : client.responses.create({ model: MODEL, ...body });
}
