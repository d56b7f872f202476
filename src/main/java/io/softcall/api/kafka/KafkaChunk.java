package io.softcall.api.kafka;

import io.cloudevents.CloudEvent;
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
 * Records that were polled together, and what becomes of each. What may pass is waited for.
 *
 * @param <R> what a record asks for
 */
final class KafkaChunk<R> {

    private static final Logger LOG = Logger.getLogger(KafkaChunk.class);

    /** A fault of ours may be the record's doing all the same. */
    private static final int ATTEMPTS_AFTER_A_FAULT = 6;

    private static final Duration FIRST_WAIT = Duration.ofMillis(100);
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(10);

    /** What becomes of a record. */
    sealed interface Outcome {

        ConsumerRecord<byte[], byte[]> message();
    }

    /** @param events what is told of it; none where there is nothing to tell */
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

    /** Resolves every record, however long it takes. */
    void resolve(KafkaWork<R> work) throws InterruptedException {
        List<Open<R>> open = new ArrayList<>();
        for (int i = 0; i < outcomes.length; i++) {
            try {
                open.add(new Open<>(i, work.parse(messages.get(i))));
            } catch (RuntimeException | Error e) {
                outcomes[i] = new DeadLetter(messages.get(i), Errors.unwrap(e));
            }
        }
        Duration wait = FIRST_WAIT;
        for (int attempt = 1; !open.isEmpty(); attempt++) {
            open = attempt(work, open, attempt);
            if (!open.isEmpty()) {
                Thread.sleep(wait);
                wait = wait.multipliedBy(2).compareTo(LONGEST_WAIT) < 0 ? wait.multipliedBy(2) : LONGEST_WAIT;
            }
        }
    }

    /** @return those that may have another outcome later */
    private List<Open<R>> attempt(KafkaWork<R> work, List<Open<R>> open, int attempt) {
        List<KafkaWork.Result> results = results(work, open);
        List<Open<R>> again = new ArrayList<>();
        Optional<SoftcallException> inTheWay = Optional.empty();
        for (int i = 0; i < results.size(); i++) {
            int index = open.get(i).index();
            ConsumerRecord<byte[], byte[]> message = messages.get(index);
            switch (results.get(i)) {
                case KafkaWork.Done(var events) -> outcomes[index] = new Answer(message, events);
                case KafkaWork.Failed(var problem)
                when isFinal(problem, attempt) -> outcomes[index] = new DeadLetter(message, problem);
                case KafkaWork.Failed(var problem) -> {
                    again.add(open.get(i));
                    inTheWay = Optional.of(problem);
                }
            }
        }
        inTheWay.ifPresent(problem -> LOG.warnf(
                "%d records of Kafka wait, attempt %d: %s: %s",
                again.size(), attempt, problem.reason(), problem.getMessage()));
        return again;
    }

    /** A fault that nobody expected concerns the record that it comes from: then each is tried alone. */
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

    /** Forgets the records of partitions that are another process's now. */
    void drop(Collection<TopicPartition> partitions) {
        dropped.addAll(partitions);
    }

    /** In the order of the partitions' offsets; to be asked for when all are resolved. */
    List<Outcome> outcomes() {
        return List.of(outcomes).stream()
                .filter(outcome -> !dropped.contains(partition(outcome.message())))
                .toList();
    }

    /** Where the partitions go on after this chunk. */
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
