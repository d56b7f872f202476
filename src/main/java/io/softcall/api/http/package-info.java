/** The HTTP server around REST, Funqy and {@code api.openai}. {@code HttpPipeline} defines the order of the handlers. */
package io.softcall.api.http;
