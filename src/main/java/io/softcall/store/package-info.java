/** Where artifacts live: bytes and versions, on S3-compatible servers or in a folder. */
package io.softcall.store;
