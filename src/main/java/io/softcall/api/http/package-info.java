/** The HTTP server around REST and Funqy: the handlers that every request passes, in {@code HttpPipeline}'s order. */
package io.softcall.api.http;
