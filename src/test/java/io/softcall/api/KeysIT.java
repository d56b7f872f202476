package io.softcall.api;

import io.quarkus.test.junit.QuarkusIntegrationTest;

/** {@link KeysTest} for the packaged server, which is the native executable in the Maven profile {@code native}. */
@QuarkusIntegrationTest
class KeysIT extends KeysTest {}
