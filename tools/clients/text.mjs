// OpenAI's SDK for Node against a server of Softcall; tools/clients_text.py runs it.
//
// node text.mjs URL COMPLETION_TASK CHAT_TASK     (an empty name: no task of this kind)
//
// It writes one JSON object: the texts that it was given, by the way in which it asked.

import OpenAI, { BadRequestError } from "openai";

const [url, completionTask, chatTask] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const given = {};

if (completionTask) {
  const request = { model: completionTask, prompt: "One, two,", max_tokens: 8, temperature: 0 };
  const whole = await client.completions.create(request);
  given.completion = whole.choices[0].text;
  given.completionTokens = whole.usage.completion_tokens;
  const stream = await client.completions.create({ ...request, stream: true });
  given.completionStream = "";
  for await (const chunk of stream) {
    given.completionStream += chunk.choices[0]?.text ?? "";
  }
}

if (chatTask) {
  const request = {
    model: chatTask,
    messages: [{ role: "user", content: "Count to three." }],
    max_completion_tokens: 8,
    temperature: 0,
  };
  const whole = await client.chat.completions.create(request);
  given.chat = whole.choices[0].message.content;
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  });
  given.chatStream = "";
  for await (const chunk of stream) {
    given.chatStream += chunk.choices[0]?.delta?.content ?? "";
    given.chatUsage = chunk.usage?.total_tokens ?? given.chatUsage;
  }
  // What the SDK puts together itself from the pieces.
  const runner = client.chat.completions.stream(request);
  given.chatRunner = (await runner.finalMessage()).content;
}

try {
  await client.completions.create({ model: completionTask || chatTask, prompt: "a", n: 0 });
  given.refused = "answered";
} catch (error) {
  given.refused = error instanceof BadRequestError && error.status === 400 ? "" : String(error);
}

console.log(JSON.stringify(given));
