package io.softcall.function;

import io.softcall.SoftcallException;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * What the records of a topic ask for, and how it is done.
 *
 * @param <R> what one record asks for
 */
interface KafkaWork<R> {

    /** @throws SoftcallException when the record asks for nothing that can ever be done */
    R parse(ConsumerRecord<byte[], byte[]> message);

    /** Tries what several records ask for, together. @return an outcome each, in their order */
    List<Outcome> attempt(List<R> requests);

    /** What became of an attempt. */
    sealed interface Outcome {}

    /** @param events what is told of it, in order */
    record Done(List<Event> events) implements Outcome {}

    record Failed(SoftcallException problem) implements Outcome {}

    /**
     * A CloudEvent that tells what was done.
     *
     * @param id the same however often the record is read
     * @param data becomes JSON
     */
    record Event(String id, String type, Optional<String> subject, Object data) {}
}
