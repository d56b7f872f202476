package io.softcall.api.funqy;

import io.quarkus.test.junit.QuarkusIntegrationTest;

/** {@link FunqyTest} for the packaged server, which is the native executable in the Maven profile {@code native}. */
@QuarkusIntegrationTest
class FunqyIT extends FunqyTest {}
