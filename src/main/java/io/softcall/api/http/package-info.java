/** The HTTP server around REST and Funqy. {@code HttpPipeline} defines the order of the handlers. */
package io.softcall.api.http;
