package io.softcall.function;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.funqy.Funq;
import io.quarkus.funqy.knative.events.CloudEvent;
import io.quarkus.funqy.knative.events.CloudEventBuilder;
import io.quarkus.funqy.knative.events.CloudEventMapping;
import io.quarkus.vertx.http.runtime.CurrentVertxRequest;
import io.quarkus.virtual.threads.VirtualThreads;
import io.smallrye.mutiny.Uni;
import io.softcall.jobs.CloudEventText;
import io.softcall.jobs.JobReports;
import io.softcall.jobs.Jobs;
import jakarta.enterprise.context.ApplicationScoped;
import java.util.Optional;
import java.util.concurrent.ExecutorService;

/**
 * Classification of stored files as a Funqy function. It takes CloudEvents of every type that no other function takes, since
 * each way to deliver a storage event has a type of its own; the data tells. Answers and errors: docs/jobs.md.
 */
@ApplicationScoped
public class ClassifyObject {

    static final String COMPLETED = "io.softcall.job.completed";
    static final String FAILED = "io.softcall.job.failed";

    private final Jobs jobs;
    private final Keys keys;
    private final CurrentVertxRequest request;
    private final ExecutorService executor;

    ClassifyObject(Jobs jobs, Keys keys, CurrentVertxRequest request, @VirtualThreads ExecutorService executor) {
        this.jobs = jobs;
        this.keys = keys;
        this.request = request;
        this.executor = executor;
    }

    @Funq("classify-object")
    @CloudEventMapping(trigger = "*", responseSource = "softcall", responseType = COMPLETED)
    public Uni<CloudEvent<Object>> classifyObject(JsonNode data) {
        Optional<String> authorization =
                Optional.ofNullable(request.getCurrent().request().getHeader("authorization"));
        return Uni.createFrom()
                .item(() -> {
                    keys.caller(authorization).requireAll();
                    JobReports ended = jobs.handle(data);
                    return ended.body().map(body -> reply(ended, body)).orElse(null);
                })
                .runSubscriptionOn(executor);
    }

    /** The id is the job's, however often its end is told. */
    private static CloudEvent<Object> reply(JobReports ended, Object body) {
        CloudEventBuilder event = CloudEventBuilder.create()
                .id(CloudEventText.encode(ended.id()))
                .source("softcall")
                .type(ended.hasFailed() ? FAILED : COMPLETED);
        ended.subject().ifPresent(key -> event.subject(CloudEventText.encode(key)));
        return event.build(body);
    }
}
