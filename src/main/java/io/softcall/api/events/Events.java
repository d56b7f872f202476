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
 * Handles CloudEvents. An event of type {@code io.softcall.classify} contains a request. Every other event contains the
 * notification of a stored file, because each delivery mechanism has its own event type. docs/events.md describes
 * answers and errors.
 */
@Singleton
public class Events {

    public static final String CLASSIFY = "io.softcall.classify";
    public static final String CLASSIFIED = "io.softcall.classified";
    public static final String COMPLETED = "io.softcall.job.completed";
    static final String JOB_FAILED = "io.softcall.job.failed";
    /** Type of an error event in a batch. An event that comes alone gets an HTTP status instead. */
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
     * Handles one event.
     *
     * @param cancellation completes when nobody waits for the answer any more
     * @return the answer; empty when there is nothing to report
     * @throws SoftcallException when the event cannot be handled
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
     * Handles a batch of events; the texts of one task share forward passes.
     *
     * @return one answer for each event, in order, without the events that have nothing to report
     * @throws SoftcallException when an event has a transient failure, after all others were handled
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

    /** A batch of events in progress. */
    private final class Batch {

        private final Optional<String> authorization;
        /** An answer is empty as long as it is not known, or when there is nothing to report. */
        private final List<Optional<CloudEvent>> answers = new ArrayList<>();

        private final List<Admitted> admitted = new ArrayList<>();
        private Optional<SoftcallException> transientFailure = Optional.empty();

        /** A classification request, with its event's position in the batch. */
        private record Admitted(int place, ReceivedEvent event, ClassifyRequest request) {}

        Batch(Optional<String> authorization, List<JsonNode> batch) {
            this.authorization = authorization;
            for (JsonNode message : batch) {
                answers.add(Optional.empty());
                begin(answers.size() - 1, message);
            }
        }

        /** Parses an event. A classification request is kept for later; everything else is handled at once. */
        private void begin(int place, JsonNode message) {
            Optional<ReceivedEvent> event = Optional.empty();
            try {
                event = Optional.of(endpoint.counted(() -> ReceivedEvent.structured(message)));
                if (event.get().type().equals(CLASSIFY)) {
                    admitted.add(new Admitted(place, event.get(), admit(authorization, event.get())));
                } else {
                    answers.set(place, job(authorization, event.get()));
                }
            } catch (SoftcallException e) {
                fail(place, event, e);
            }
        }

        void classify() {
            List<ClassificationRequest> calls =
                    admitted.stream().map(one -> one.request().classification()).toList();
            List<Coalescer.Outcome> outcomes = coalescer.classify(calls);
            for (int i = 0; i < outcomes.size(); i++) {
                Admitted one = admitted.get(i);
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
                transientFailure = Optional.of(problem);
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
            transientFailure.ifPresent(problem -> {
                throw problem;
            });
            return answers.stream().flatMap(Optional::stream).toList();
        }
    }

    private CloudEvent classified(ReceivedEvent event, ClassifyResponse response) {
        return event.reply(event.key(), CLASSIFIED, Optional.empty(), response);
    }

    /** Handles a storage event. The reply's id is the job's id, the same at each delivery. */
    private Optional<CloudEvent> job(Optional<String> authorization, ReceivedEvent event) {
        keys.caller(authorization).requireAll();
        JobReports ended = jobs.handle(event.data());
        return ended.body().map(body -> event.reply(ended.id(), jobEnded(ended.hasFailed()), ended.subject(), body));
    }

    public static String jobEnded(boolean failed) {
        return failed ? JOB_FAILED : COMPLETED;
    }
}
