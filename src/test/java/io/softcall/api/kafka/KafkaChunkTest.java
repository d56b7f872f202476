package io.softcall.api.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import io.softcall.SoftcallException.Reason;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;

/** An unexpected fault affects only the record that causes it. */
class KafkaChunkTest {

    private static final int POISON = 1;

    private static KafkaChunk<Long> resolved(KafkaWork<Long> work) throws InterruptedException {
        KafkaChunk<Long> chunk = new KafkaChunk<>(IntStream.range(0, 4)
                .mapToObj(offset -> new ConsumerRecord<>("requests", 0, offset, new byte[0], new byte[0]))
                .toList());
        chunk.resolve(work);
        return chunk;
    }

    private static void assertOnlyThePoisonIsDead(KafkaChunk<Long> chunk) {
        for (int offset = 0; offset < 4; offset++) {
            if (offset == POISON) {
                var letter = assertInstanceOf(
                        KafkaChunk.DeadLetter.class, chunk.outcomes().get(offset));
                assertEquals(Reason.INTERNAL, letter.problem().reason());
            } else {
                assertInstanceOf(KafkaChunk.Answer.class, chunk.outcomes().get(offset));
            }
        }
    }

    @Test
    void inParsing() throws InterruptedException {
        assertOnlyThePoisonIsDead(resolved(new KafkaWork<>() {
            @Override
            public Long parse(ConsumerRecord<byte[], byte[]> message) {
                if (message.offset() == POISON) {
                    throw new StackOverflowError();
                }
                return message.offset();
            }

            @Override
            public List<Result> attempt(List<Long> offsets) {
                return offsets.stream()
                        .<Result>map(offset -> new Done(List.of()))
                        .toList();
            }
        }));
    }

    @Test
    void inDoing() throws InterruptedException {
        assertOnlyThePoisonIsDead(resolved(new KafkaWork<>() {
            @Override
            public Long parse(ConsumerRecord<byte[], byte[]> message) {
                return message.offset();
            }

            @Override
            public List<Result> attempt(List<Long> offsets) {
                if (offsets.contains((long) POISON)) {
                    throw new IllegalStateException("nobody thought of this");
                }
                return offsets.stream()
                        .<Result>map(offset -> new Done(List.of()))
                        .toList();
            }
        }));
    }
}
