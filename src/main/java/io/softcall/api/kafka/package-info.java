/** Kafka: requests and storage events from topics. Contract: docs/kafka.md. */
package io.softcall.api.kafka;
