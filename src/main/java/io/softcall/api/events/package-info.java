/** CloudEvents over HTTP. Contract: docs/events.md. */
package io.softcall.api.events;
