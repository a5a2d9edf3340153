// Vercel's AI SDK with its provider for OpenAI, in both of that one's dialects.

import { createOpenAI } from "@ai-sdk/openai";
import { stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { MODEL } from "./client.mjs";

// Returns what a stream of several steps told: its parts' types, what was called, what was said.
export async function vercelTools({ baseURL, apiKey, dialect, text, model = MODEL }) {
  const openai = createOpenAI({ baseURL, apiKey });
  const executed = [];
  const result = streamText({
    model: openai[dialect](model),
    prompt: text,
    maxRetries: 0,
    stopWhen: stepCountIs(3),
    tools: {
      get_weather: tool({
        description: "Tells the weather.",
        inputSchema: z.object({ city: z.string() }),
        execute: async (input) => {
          executed.push(input);
          return "7 degrees";
        },
      }),
    },
  });
  const types = [];
  for await (const part of result.fullStream) {
    if (part.type === "error") throw part.error;
    types.push(part.type);
  }
  const steps = await result.steps;
  return {
    types,
    executed,
    steps: steps.length,
    text: await result.text,
    reasons: steps.map((step) => step.finishReason),
    usage: await result.totalUsage,
  };
}
