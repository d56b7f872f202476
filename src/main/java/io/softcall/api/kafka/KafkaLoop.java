package io.softcall.api.kafka;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jboss.logging.Logger;

/**
 * Consumes a topic and writes the answers to others, a few chunks of records at a time. One thread talks to the broker;
 * records are processed on other threads. docs/kafka.md describes the guarantees.
 *
 * @param <R> the parsed request of a record
 */
final class KafkaLoop<R> {

    private static final Logger LOG = Logger.getLogger(KafkaLoop.class);

    /** Number of chunks in progress: one is about to finish, one is being processed, and one waits. */
    static final int CHUNKS = 3;

    private static final int MAX_FETCH_BYTES = 16 << 20;

    private static final Duration IDLE_POLL = Duration.ofSeconds(1);

    private static final Duration LAG_EVERY = Duration.ofSeconds(2);
    private static final Duration LAG_LIMIT = Duration.ofMillis(500);

    private static final Duration BETWEEN_SESSIONS = Duration.ofSeconds(2);
    /** A session counts as recovered when it lasts this long after its first assignment. */
    private static final Duration RECOVERED_AFTER = Duration.ofSeconds(10);

    /** A session without partitions counts as recovered after this time: some members of a large group get none. */
    private static final Duration WITHOUT_PARTITIONS = Duration.ofMinutes(2);

    /** Time for work in progress to end when the server stops; the next owner of the partitions repeats the rest. */
    private static final Duration STOP_LIMIT = Duration.ofSeconds(5);

    private final KafkaTopic topic;
    private final KafkaWork<R> work;
    private final Map<String, Object> client;
    private final MeterRegistry metrics;
    private final Gauge lagGauge;
    private final Thread thread;
    private volatile boolean stopping;
    /** Records not committed yet; NaN while unknown. */
    private volatile double lag = Double.NaN;
    /** The start of the current series of failing sessions. */
    private volatile Optional<Instant> failingSince = Optional.empty();

    /** @param client connection settings */
    KafkaLoop(KafkaTopic topic, KafkaWork<R> work, Map<String, Object> client, MeterRegistry metrics) {
        this.topic = topic;
        this.work = work;
        this.client = client;
        this.metrics = metrics;
        this.thread = Thread.ofPlatform().name("kafka-" + topic.name()).daemon().unstarted(this::run);
        this.lagGauge = Gauge.builder("softcall.kafka.lag", () -> lag)
                .baseUnit("records")
                .tag("topic", topic.name())
                .description("records of this process's partitions whose answers are not committed")
                .register(metrics);
    }

    void start() {
        thread.start();
    }

    /** Requests the end; {@link #awaitEnd} waits for it. */
    void stop() {
        stopping = true;
    }

    /** Waits a limited time for work in progress, and leaves the group. */
    void awaitEnd() {
        metrics.remove(lagGauge);
        try {
            thread.join(STOP_LIMIT.plusSeconds(1));
            thread.interrupt();
            thread.join(STOP_LIMIT);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Runs one session after the other. After a failure, the next session begins at the last committed offsets. */
    private void run() {
        while (!stopping) {
            try (Session session = new Session()) {
                session.run();
            } catch (RuntimeException | Error e) {
                if (!stopping) {
                    lag = Double.NaN;
                    failingSince = failingSince.or(() -> Optional.of(Instant.now()));
                    LOG.errorf(e, "reading %s failed; retrying in %d s", topic.name(), BETWEEN_SESSIONS.toSeconds());
                    pause(BETWEEN_SESSIONS);
                }
            }
        }
    }

    String topic() {
        return topic.name();
    }

    /** Returns how long reading or writing has failed; empty while all is well, and while the broker is unavailable. */
    Optional<Duration> failingFor() {
        return failingSince.map(since -> Duration.between(since, Instant.now()));
    }

    /** Returns whether the loop's thread runs, has not been started yet, or is stopping. */
    boolean isAlive() {
        return stopping || thread.getState() == Thread.State.NEW || thread.isAlive();
    }

    private static void pause(Duration time) {
        try {
            Thread.sleep(time);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private Map<String, Object> consumerSettings() {
        Map<String, Object> settings = new HashMap<>(client);
        settings.putIfAbsent(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.putIfAbsent(
                ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG, CooperativeStickyAssignor.class.getName());
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, topic.group());
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        settings.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, topic.records());
        settings.put(ConsumerConfig.FETCH_MAX_BYTES_CONFIG, MAX_FETCH_BYTES);
        return settings;
    }

    /** One membership of the group, from joining to leaving. */
    private final class Session implements ConsumerRebalanceListener, AutoCloseable {

        private record UnderWay<R>(KafkaChunk<R> chunk, Future<?> resolved) {}

        private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
        private final KafkaAnswers answers = new KafkaAnswers(topic, client, metrics);
        private final Consumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(consumerSettings(), new ByteArrayDeserializer(), new ByteArrayDeserializer());
        /** Chunks in progress, in the order of their records. */
        private final Deque<UnderWay<R>> underWay = new ArrayDeque<>();
        /** Offsets of answered records that are not committed yet. */
        private final Map<TopicPartition, OffsetAndMetadata> due = new HashMap<>();

        private long recoveredNanos = System.nanoTime() + WITHOUT_PARTITIONS.toNanos();
        private long lagMeasuredNanos = System.nanoTime() - LAG_EVERY.toNanos();
        /** Whether the session has failed; the next session then repeats everything that is not committed. */
        private boolean broken;

        void run() {
            try {
                read();
            } catch (RuntimeException | Error e) {
                broken = true;
                throw e;
            }
        }

        private void read() {
            consumer.subscribe(List.of(topic.name()), this);
            LOG.infof("reading %s as a member of group %s", topic.name(), topic.group());
            while (!stopping) {
                if (underWay.size() >= CHUNKS) {
                    consumer.pause(consumer.assignment());
                } else {
                    consumer.resume(consumer.paused());
                }
                start(consumer.poll(underWay.isEmpty() && due.isEmpty() ? IDLE_POLL : topic.busyPoll()));
                deliver();
                measureLag();
                if (System.nanoTime() - recoveredNanos > 0) {
                    failingSince = Optional.empty();
                }
            }
            long end = System.nanoTime() + STOP_LIMIT.toNanos();
            while (!underWay.isEmpty() && System.nanoTime() - end < 0) {
                pause(topic.busyPoll());
                deliver();
            }
        }

        private void start(ConsumerRecords<byte[], byte[]> polled) {
            if (!polled.isEmpty()) {
                KafkaChunk<R> chunk = new KafkaChunk<>(polled);
                underWay.addLast(new UnderWay<>(chunk, threads.submit(() -> {
                    chunk.resolve(work);
                    return null;
                })));
            }
        }

        /** Writes the outcomes of resolved chunks, oldest first, then commits. */
        private void deliver() {
            while (!underWay.isEmpty() && underWay.getFirst().resolved().isDone()) {
                UnderWay<R> oldest = underWay.getFirst();
                require(oldest.resolved());
                answers.write(oldest.chunk().outcomes());
                underWay.removeFirst();
                due.putAll(oldest.chunk().offsets());
            }
            commit();
        }

        private void require(Future<?> resolved) {
            try {
                resolved.get();
            } catch (ExecutionException e) {
                throw new KafkaException("processing some records failed", e.getCause());
            } catch (InterruptedException e) {
                throw new KafkaException("the server is stopping", e);
            }
        }

        private void commit() {
            if (!due.isEmpty()) {
                try {
                    consumer.commitSync(due);
                    due.clear();
                    failingSince = Optional.empty();
                } catch (RebalanceInProgressException | CommitFailedException e) {
                    // The next poll completes the rebalance, and removes lost partitions from the offsets to commit.
                    LOG.debugf(e, "these offsets will be committed after the rebalance: %s", due);
                }
            }
        }

        /** Writes resolved chunks while this process still owns the partitions. */
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            if (!broken) {
                deliver();
            }
            drop(partitions);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            drop(partitions);
        }

        private void drop(Collection<TopicPartition> partitions) {
            underWay.forEach(one -> one.chunk().drop(partitions));
            due.keySet().removeAll(partitions);
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            if (!partitions.isEmpty()) {
                recoveredNanos = System.nanoTime() + RECOVERED_AFTER.toNanos();
                LOG.infof("assigned the partitions %s", partitions);
            }
        }

        /**
         * Asks the broker for the end offsets from time to time; those that the client knows are outdated while
         * partitions are paused.
         */
        private void measureLag() {
            if (System.nanoTime() - lagMeasuredNanos < LAG_EVERY.toNanos()) {
                return;
            }
            lagMeasuredNanos = System.nanoTime();
            try {
                long unread = 0;
                for (var end :
                        consumer.endOffsets(consumer.assignment(), LAG_LIMIT).entrySet()) {
                    unread += end.getValue() - consumer.position(end.getKey(), LAG_LIMIT);
                }
                lag = (double) unread
                        + underWay.stream().mapToLong(one -> one.chunk().size()).sum();
            } catch (TimeoutException e) {
                lag = Double.NaN;
                LOG.debug("the broker did not return the end offsets in time", e);
            }
        }

        @Override
        public void close() {
            threads.shutdownNow();
            try (answers) {
                consumer.close();
            }
        }
    }
}
