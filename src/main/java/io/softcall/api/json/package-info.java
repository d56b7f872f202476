/** Requests and answers of classification as JSON, which several protocols carry. */
package io.softcall.api.json;
