/** CloudEvents over HTTP. docs/events.md describes them. */
package io.softcall.api.events;
