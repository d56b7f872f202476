/** Text in OpenAI's protocol: completions and chats, whole or as they are written. docs/http.md. */
package io.softcall.api.openai;
