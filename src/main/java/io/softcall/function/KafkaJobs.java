package io.softcall.function;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.jobs.JobReport;
import io.softcall.jobs.Jobs;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Jobs: a storage event a record, as {@link ClassifyObject} takes it over HTTP. */
final class KafkaJobs implements KafkaWork<JsonNode> {

    private final Jobs jobs;

    KafkaJobs(Jobs jobs) {
        this.jobs = jobs;
    }

    @Override
    public JsonNode parse(ConsumerRecord<byte[], byte[]> message) {
        return KafkaContent.of(message).data();
    }

    /** One after the other: a job fills the model's runs alone. */
    @Override
    public List<Outcome> attempt(List<JsonNode> events) {
        return events.stream().map(this::attempt).toList();
    }

    private Outcome attempt(JsonNode event) {
        try {
            return new Done(
                    jobs.handle(event).reports().stream().map(KafkaJobs::told).toList());
        } catch (SoftcallException e) {
            return new Failed(e);
        }
    }

    private static Event told(JobReport report) {
        return new Event(
                report.id(),
                report.hasFailed() ? ClassifyObject.FAILED : ClassifyObject.COMPLETED,
                Optional.ofNullable(report.key()),
                report);
    }
}
