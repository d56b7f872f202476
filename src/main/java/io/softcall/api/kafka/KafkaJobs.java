package io.softcall.api.kafka;

import io.cloudevents.CloudEvent;
import io.softcall.SoftcallException;
import io.softcall.api.events.Events;
import io.softcall.jobs.JobReport;
import io.softcall.jobs.Jobs;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Jobs: a storage event a record, as {@link Events} takes it over HTTP. */
final class KafkaJobs implements KafkaWork<KafkaContent> {

    private final Jobs jobs;

    KafkaJobs(Jobs jobs) {
        this.jobs = jobs;
    }

    @Override
    public KafkaContent parse(ConsumerRecord<byte[], byte[]> message) {
        return KafkaContent.of(message);
    }

    /** One after the other: a job fills the model's runs alone. */
    @Override
    public List<Result> attempt(List<KafkaContent> events) {
        return events.stream().map(this::attempt).toList();
    }

    private Result attempt(KafkaContent event) {
        try {
            return new Done(jobs.handle(event.data()).reports().stream()
                    .map(report -> told(event, report))
                    .toList());
        } catch (SoftcallException e) {
            return new Failed(e);
        }
    }

    private static CloudEvent told(KafkaContent event, JobReport report) {
        return event.reply(report.id(), Events.jobEnded(report.hasFailed()), Optional.ofNullable(report.key()), report);
    }
}
