package io.softcall.api;

import io.quarkus.test.junit.QuarkusIntegrationTest;

/** {@link StoreAwayTest} for the packaged server, which is the native executable in the Maven profile {@code native}. */
@QuarkusIntegrationTest
class StoreAwayIT extends StoreAwayTest {}
