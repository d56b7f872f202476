package io.softcall.function;

import io.cloudevents.CloudEvent;
import io.softcall.SoftcallException;
import java.util.List;
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

    /** @param events that tell what was done, in order; none where there is nothing to tell */
    record Done(List<CloudEvent> events) implements Outcome {}

    record Failed(SoftcallException problem) implements Outcome {}
}
