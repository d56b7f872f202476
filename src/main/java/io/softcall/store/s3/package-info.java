/** S3-compatible object stores. */
package io.softcall.store.s3;
