package io.softcall.api.rest;

import io.quarkus.test.junit.QuarkusIntegrationTest;

/** {@link JobsTest} for the packaged server, which is the native executable in the Maven profile {@code native}. */
@QuarkusIntegrationTest
class JobsIT extends JobsTest {}
