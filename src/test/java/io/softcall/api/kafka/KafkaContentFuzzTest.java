package io.softcall.api.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.DictionaryFile;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.KafkaMessageFactory;
import io.softcall.FuzzTexts;
import io.softcall.Reasons;
import io.softcall.SoftcallException;
import io.softcall.api.events.Events;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Any record can be answered by a record, or is a dead letter with a reason that its sender may read. */
class KafkaContentFuzzTest {

    private static final Map<String, String> ANSWER = Map.of("answer", "yes");

    @DictionaryFile(resourcePath = FuzzTexts.JSON_WORDS)
    @FuzzTest
    void of(byte[] message) {
        ConsumerRecord<byte[], byte[]> record = record(FuzzedMessage.of(message));
        try {
            KafkaContent content = KafkaContent.of(record);
            assertCanBeAnswered(content.reply("1", Events.COMPLETED, Optional.empty(), ANSWER));
            KafkaRequest request = KafkaRequest.parse(record);
            assertTrue(!request.id().isEmpty() && !request.answerId().isEmpty());
            assertCanBeAnswered(
                    request.content().reply(request.answerId(), Events.CLASSIFIED, Optional.empty(), request.id()));
        } catch (SoftcallException e) {
            Reasons.ofTheSender(e);
        }
    }

    private static ConsumerRecord<byte[], byte[]> record(FuzzedMessage message) {
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>("requests", 0, 7, null, message.body());
        message.headers().forEach(header -> record.headers()
                .add(
                        header.name(),
                        header.value() == null ? null : header.value().getBytes(StandardCharsets.UTF_8)));
        return record;
    }

    private static ConsumerRecord<byte[], byte[]> answer(ProducerRecord<byte[], byte[]> written) {
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>("answers", 0, 0, null, written.value());
        written.headers().forEach(record.headers()::add);
        return record;
    }

    private static void assertCanBeAnswered(CloudEvent reply) {
        ProducerRecord<byte[], byte[]> written = KafkaMessageFactory.<byte[]>createWriter("answers", 0, (byte[]) null)
                .writeBinary(reply);
        KafkaContent read = KafkaContent.of(answer(written));
        CloudEvent attributes = ((KafkaContent.Event) read).event().attributes();
        assertEquals(reply.getId(), attributes.getId());
        assertEquals(reply.getSubject(), attributes.getSubject());
        assertEquals(reply.getExtensionNames(), attributes.getExtensionNames());
    }
}
