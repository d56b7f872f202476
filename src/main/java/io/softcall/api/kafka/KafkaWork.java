package io.softcall.api.kafka;

import io.cloudevents.CloudEvent;
import io.softcall.SoftcallException;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * How to parse and process the records of a topic.
 *
 * @param <R> the parsed request of a record
 */
interface KafkaWork<R> {

    /** @throws SoftcallException when the record can never be processed */
    R parse(ConsumerRecord<byte[], byte[]> message);

    /**
     * Tries to process several requests together.
     *
     * @return one result for each, in their order
     */
    List<Result> attempt(List<R> requests);

    /** The result of an attempt. */
    sealed interface Result {}

    /** @param events the answers, in order; empty when there is nothing to report */
    record Done(List<CloudEvent> events) implements Result {}

    record Failed(SoftcallException problem) implements Result {}
}
