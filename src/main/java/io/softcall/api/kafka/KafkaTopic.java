package io.softcall.api.kafka;

import java.time.Duration;

/**
 * A topic to consume, and the topics of its answers and dead letters.
 *
 * @param answers the topic of answers
 * @param deadLetters the topic of records that cannot be answered
 * @param group the consumer group
 * @param records maximum number of records in one poll
 * @param busyPoll time limit of a poll while records are in progress; it bounds the added latency of their answers
 */
record KafkaTopic(String name, String answers, String deadLetters, String group, int records, Duration busyPoll) {}
