/** Forms and computes batches of the inputs of waiting requests. docs/batching.md lists the guarantees. */
package io.softcall.inference.batching;
