/** Opens stores and buckets by their addresses. */
package io.softcall.store.opening;
