/** Kafka: classification requests and storage events from topics. docs/kafka.md describes them. */
package io.softcall.api.kafka;
