/** Batches of sequences from requests that wait at the same time. Guarantees: docs/batching.md. */
package io.softcall.inference.batching;
