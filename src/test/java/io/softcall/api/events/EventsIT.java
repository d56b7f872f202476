package io.softcall.api.events;

import io.quarkus.test.junit.QuarkusIntegrationTest;

/** {@link EventsTest} for the packaged server, which is the native executable in the Maven profile {@code native}. */
@QuarkusIntegrationTest
class EventsIT extends EventsTest {}
