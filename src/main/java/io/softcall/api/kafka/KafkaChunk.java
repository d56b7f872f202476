package io.softcall.api.kafka;

import io.cloudevents.CloudEvent;
import io.softcall.Backoff;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.api.Errors;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/**
 * Records that were polled together, and their outcomes. Transient failures are retried.
 *
 * @param <R> the parsed request of a record
 */
final class KafkaChunk<R> {

    private static final Logger LOG = Logger.getLogger(KafkaChunk.class);

    /** Attempts at a record that causes an internal error: the record itself may be the cause. */
    private static final int ATTEMPTS_AFTER_A_FAULT = 6;

    private static final Duration FIRST_WAIT = Duration.ofMillis(100);
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(10);

    /** The outcome of a record. */
    sealed interface Outcome {

        ConsumerRecord<byte[], byte[]> message();
    }

    /** @param events the answers to the record; empty when there is nothing to report */
    record Answer(ConsumerRecord<byte[], byte[]> message, List<CloudEvent> events) implements Outcome {}

    record DeadLetter(ConsumerRecord<byte[], byte[]> message, SoftcallException problem) implements Outcome {}

    private final List<ConsumerRecord<byte[], byte[]>> messages;
    private final Outcome[] outcomes;
    private final Set<TopicPartition> dropped = new HashSet<>();

    KafkaChunk(Iterable<ConsumerRecord<byte[], byte[]>> polled) {
        List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
        polled.forEach(all::add);
        this.messages = List.copyOf(all);
        this.outcomes = new Outcome[messages.size()];
    }

    int size() {
        return messages.size();
    }

    private record Open<R>(int index, R request) {}

    /** Resolves every record, and retries transient failures as long as they last. */
    void resolve(KafkaWork<R> work) throws InterruptedException {
        List<Open<R>> open = new ArrayList<>();
        for (int i = 0; i < outcomes.length; i++) {
            try {
                open.add(new Open<>(i, work.parse(messages.get(i))));
            } catch (RuntimeException | Error e) {
                outcomes[i] = new DeadLetter(messages.get(i), Errors.unwrap(e));
            }
        }
        Backoff backoff = new Backoff(FIRST_WAIT, LONGEST_WAIT);
        for (int attempt = 1; !open.isEmpty(); attempt++) {
            open = attempt(work, open, attempt);
            if (!open.isEmpty()) {
                backoff.pause();
            }
        }
    }

    /** @return the records that are still unresolved, because their failures are transient */
    private List<Open<R>> attempt(KafkaWork<R> work, List<Open<R>> open, int attempt) {
        List<KafkaWork.Result> results = results(work, open);
        List<Open<R>> remaining = new ArrayList<>();
        Optional<SoftcallException> transientFailure = Optional.empty();
        for (int i = 0; i < results.size(); i++) {
            int index = open.get(i).index();
            ConsumerRecord<byte[], byte[]> message = messages.get(index);
            switch (results.get(i)) {
                case KafkaWork.Done(var events) -> outcomes[index] = new Answer(message, events);
                case KafkaWork.Failed(var problem)
                when isFinal(problem, attempt) -> outcomes[index] = new DeadLetter(message, problem);
                case KafkaWork.Failed(var problem) -> {
                    remaining.add(open.get(i));
                    transientFailure = Optional.of(problem);
                }
            }
        }
        transientFailure.ifPresent(problem -> LOG.warnf(
                "%d Kafka records are retried after attempt %d: %s: %s",
                remaining.size(), attempt, problem.reason(), problem.getMessage()));
        return remaining;
    }

    /**
     * Returns the results of all records. An unexpected exception may come from one record, so each is then tried
     * alone.
     */
    private static <R> List<KafkaWork.Result> results(KafkaWork<R> work, List<Open<R>> open) {
        try {
            return work.attempt(open.stream().map(Open::request).toList());
        } catch (RuntimeException | Error e) {
            return open.size() == 1
                    ? List.of(new KafkaWork.Failed(Errors.unwrap(e)))
                    : open.stream()
                            .flatMap(one -> results(work, List.of(one)).stream())
                            .toList();
        }
    }

    private static boolean isFinal(SoftcallException problem, int attempt) {
        return Errors.isFinal(problem) || (problem.reason() == Reason.INTERNAL && attempt == ATTEMPTS_AFTER_A_FAULT);
    }

    /** Drops the records of partitions that this process has lost. */
    void drop(Collection<TopicPartition> partitions) {
        dropped.addAll(partitions);
    }

    /** Returns the outcomes in the order of their offsets; valid once all records are resolved. */
    List<Outcome> outcomes() {
        return List.of(outcomes).stream()
                .filter(outcome -> !dropped.contains(partition(outcome.message())))
                .toList();
    }

    /** Returns the offsets to commit, those after the last record of each partition. */
    Map<TopicPartition, OffsetAndMetadata> offsets() {
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        for (Outcome outcome : outcomes()) {
            next.put(
                    partition(outcome.message()),
                    new OffsetAndMetadata(outcome.message().offset() + 1));
        }
        return next;
    }

    private static TopicPartition partition(ConsumerRecord<byte[], byte[]> message) {
        return new TopicPartition(message.topic(), message.partition());
    }
}
