package io.softcall.api.events;

import com.fasterxml.jackson.databind.JsonNode;
import io.cloudevents.CloudEvent;
import io.softcall.SoftcallException;
import io.softcall.api.Coalescer;
import io.softcall.api.Endpoint;
import io.softcall.api.Errors;
import io.softcall.api.Keys;
import io.softcall.api.json.ClassifyRequest;
import io.softcall.api.json.ClassifyResponse;
import io.softcall.inference.Classification;
import io.softcall.inference.ClassificationRequest;
import io.softcall.inference.model.InferenceConfig;
import io.softcall.jobs.JobReports;
import io.softcall.jobs.Jobs;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * Does what CloudEvents ask for: those of type {@code io.softcall.classify} carry a request, all others the notification of a
 * stored file, since each way to deliver such a notification has a type of its own. Answers and errors: docs/events.md.
 */
@Singleton
public class Events {

    public static final String CLASSIFY = "io.softcall.classify";
    public static final String CLASSIFIED = "io.softcall.classified";
    public static final String COMPLETED = "io.softcall.job.completed";
    static final String JOB_FAILED = "io.softcall.job.failed";
    /** In a batch, in place of the status that the event would have had alone. */
    static final String FAILED = "io.softcall.failed";

    private final Endpoint endpoint;
    private final Coalescer coalescer;
    private final Jobs jobs;
    private final Keys keys;
    private final int mostEvents;

    Events(Endpoint endpoint, Coalescer coalescer, Jobs jobs, Keys keys, InferenceConfig config) {
        this.endpoint = endpoint;
        this.coalescer = coalescer;
        this.jobs = jobs;
        this.keys = keys;
        this.mostEvents = config.limits().texts();
    }

    /**
     * Does what one event asks for.
     *
     * @param cancellation completes when nobody waits for the answer any more
     * @return the answer; empty when there is nothing to tell
     * @throws SoftcallException whatever stands in the way
     */
    Optional<CloudEvent> handle(
            Optional<String> authorization, ReceivedEvent event, CompletableFuture<Void> cancellation) {
        if (!event.type().equals(CLASSIFY)) {
            return job(authorization, event);
        }
        ClassifyRequest request = admit(authorization, event);
        Classification answer = endpoint.classify(request.classification(), cancellation);
        return Optional.of(classified(event, ClassifyResponse.of(request, answer)));
    }

    private ClassifyRequest admit(Optional<String> authorization, ReceivedEvent event) {
        return endpoint.admit(authorization, () -> ClassifyRequest.of(event.data()), ClassifyRequest::classification);
    }

    /**
     * Does what each of several events asks for; the texts of one task share runs.
     *
     * @return an answer an event, in order, without those that there is nothing to tell of
     * @throws SoftcallException when one of them should come again, after all others were done
     */
    List<CloudEvent> handle(Optional<String> authorization, List<JsonNode> batch) {
        if (batch.isEmpty() || batch.size() > mostEvents) {
            throw SoftcallException.invalid(
                    "the batch has %d events, expected 1 to %d (softcall.limits.texts)", batch.size(), mostEvents);
        }
        keys.caller(authorization);
        Batch all = new Batch(authorization, batch);
        all.classify();
        return all.answers();
    }

    /** Events that came together. */
    private final class Batch {

        private final Optional<String> authorization;
        /** Empty where there is no answer yet, or none at all. */
        private final List<Optional<CloudEvent>> answers = new ArrayList<>();

        private final List<Asked> asked = new ArrayList<>();
        private Optional<SoftcallException> again = Optional.empty();

        /** A request in the event at a place of the batch. */
        private record Asked(int place, ReceivedEvent event, ClassifyRequest request) {}

        Batch(Optional<String> authorization, List<JsonNode> batch) {
            this.authorization = authorization;
            for (JsonNode message : batch) {
                answers.add(Optional.empty());
                begin(answers.size() - 1, message);
            }
        }

        /** Parses a request; does everything else. */
        private void begin(int place, JsonNode message) {
            Optional<ReceivedEvent> event = Optional.empty();
            try {
                event = Optional.of(endpoint.counted(() -> ReceivedEvent.structured(message)));
                if (event.get().type().equals(CLASSIFY)) {
                    asked.add(new Asked(place, event.get(), admit(authorization, event.get())));
                } else {
                    answers.set(place, job(authorization, event.get()));
                }
            } catch (SoftcallException e) {
                fail(place, event, e);
            }
        }

        void classify() {
            List<ClassificationRequest> calls =
                    asked.stream().map(one -> one.request().classification()).toList();
            List<Coalescer.Outcome> outcomes = coalescer.classify(calls);
            for (int i = 0; i < outcomes.size(); i++) {
                Asked one = asked.get(i);
                switch (outcomes.get(i)) {
                    case Coalescer.Answered(var answer) -> {
                        endpoint.countAnswer();
                        answers.set(
                                one.place(),
                                Optional.of(classified(one.event(), ClassifyResponse.of(one.request(), answer))));
                    }
                    case Coalescer.Failed(var problem) -> {
                        endpoint.count(problem);
                        fail(one.place(), Optional.of(one.event()), problem);
                    }
                }
            }
        }

        private void fail(int place, Optional<ReceivedEvent> event, SoftcallException problem) {
            if (!Errors.isFinal(problem)) {
                again = Optional.of(problem);
                return;
            }
            Errors.Body body = Errors.body(problem, keys.isAdmin(authorization));
            answers.set(
                    place,
                    Optional.of(event.map(known -> known.reply(known.key(), FAILED, Optional.empty(), body))
                            .orElseGet(() -> ReceivedEvent.replyToNone(
                                    UUID.randomUUID().toString(), FAILED, Optional.empty(), body))));
        }

        List<CloudEvent> answers() {
            again.ifPresent(problem -> {
                throw problem;
            });
            return answers.stream().flatMap(Optional::stream).toList();
        }
    }

    private CloudEvent classified(ReceivedEvent event, ClassifyResponse response) {
        return event.reply(event.key(), CLASSIFIED, Optional.empty(), response);
    }

    /** The id is the job's, however often its end is told. */
    private Optional<CloudEvent> job(Optional<String> authorization, ReceivedEvent event) {
        keys.caller(authorization).requireAll();
        JobReports ended = jobs.handle(event.data());
        return ended.body().map(body -> event.reply(ended.id(), jobEnded(ended.hasFailed()), ended.subject(), body));
    }

    public static String jobEnded(boolean failed) {
        return failed ? JOB_FAILED : COMPLETED;
    }
}
