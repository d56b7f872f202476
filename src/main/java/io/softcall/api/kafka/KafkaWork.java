package io.softcall.api.kafka;

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

    /** Tries what several records ask for, together. @return a result each, in their order */
    List<Result> attempt(List<R> requests);

    /** What became of an attempt. */
    sealed interface Result {}

    /** @param events that tell what was done, in order; none where there is nothing to tell */
    record Done(List<CloudEvent> events) implements Result {}

    record Failed(SoftcallException problem) implements Result {}
}
