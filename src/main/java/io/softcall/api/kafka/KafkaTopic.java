package io.softcall.api.kafka;

import java.time.Duration;

/**
 * A topic that is read, and where that leads.
 *
 * @param answers the topic that is told what was done
 * @param deadLetters the topic of records for which nothing can be done
 * @param group of those that share the partitions
 * @param records that are polled at once
 * @param busyPoll how long to wait for more while some are under way: as much later than they may their answers leave
 */
record KafkaTopic(String name, String answers, String deadLetters, String group, int records, Duration busyPoll) {}
