package io.softcall.store;

import java.time.Duration;

/**
 * The time limits of a store.
 *
 * @param answer until the first byte of an answer, retries included
 * @param transfer after that, until the whole content is there
 */
public record TimeLimits(Duration answer, Duration transfer) {}
