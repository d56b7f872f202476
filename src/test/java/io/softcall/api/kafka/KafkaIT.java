package io.softcall.api.kafka;

import io.quarkus.test.junit.QuarkusIntegrationTest;

/** {@link KafkaTest} for the packaged server, which is the native executable in the Maven profile {@code native}. */
@QuarkusIntegrationTest
class KafkaIT extends KafkaTest {}
