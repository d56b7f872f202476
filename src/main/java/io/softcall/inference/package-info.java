/** Classification: revalidation beside speculation, tokens, prefixes, scores. */
package io.softcall.inference;
