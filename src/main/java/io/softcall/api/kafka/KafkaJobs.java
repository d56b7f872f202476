package io.softcall.api.kafka;

import io.cloudevents.CloudEvent;
import io.softcall.SoftcallException;
import io.softcall.api.events.Events;
import io.softcall.jobs.JobReport;
import io.softcall.jobs.Jobs;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Runs jobs: each record contains a storage event, in the same form as {@link Events} accepts over HTTP. */
final class KafkaJobs implements KafkaWork<KafkaContent> {

    private final Jobs jobs;

    KafkaJobs(Jobs jobs) {
        this.jobs = jobs;
    }

    @Override
    public KafkaContent parse(ConsumerRecord<byte[], byte[]> message) {
        return KafkaContent.of(message);
    }

    /** Handles one event after the other: a single job keeps the model busy. */
    @Override
    public List<Result> attempt(List<KafkaContent> events) {
        return events.stream().map(this::attempt).toList();
    }

    private Result attempt(KafkaContent event) {
        try {
            return new Done(jobs.handle(event.data()).reports().stream()
                    .map(report -> reply(event, report))
                    .toList());
        } catch (SoftcallException e) {
            return new Failed(e);
        }
    }

    private static CloudEvent reply(KafkaContent event, JobReport report) {
        return event.reply(report.id(), Events.jobEnded(report.hasFailed()), Optional.ofNullable(report.key()), report);
    }
}
