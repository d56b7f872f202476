package io.softcall.api;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Classification;
import io.softcall.inference.ClassificationRequest;
import io.softcall.inference.Classifier;
import io.softcall.inference.generation.Generation;
import io.softcall.inference.generation.GenerationRequest;
import io.softcall.inference.generation.Generator;
import io.softcall.task.TaskName;
import jakarta.inject.Singleton;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Classification and generation for every protocol: authorises, admits and answers requests, and counts outcomes. It knows no wire
 * format; each protocol's package reads requests and writes answers.
 */
@Singleton
public class Endpoint {

    private final Keys keys;
    private final Classifier classifier;
    private final Generator generator;
    private final Counter answered;
    private final Map<Reason, Counter> failed = new EnumMap<>(Reason.class);

    Endpoint(Keys keys, Classifier classifier, Generator generator, MeterRegistry metrics) {
        this.keys = keys;
        this.classifier = classifier;
        this.generator = generator;
        this.answered = outcome(metrics, "ok");
        for (Reason reason : Reason.values()) {
            failed.put(reason, outcome(metrics, reason.name().toLowerCase(Locale.ROOT)));
        }
    }

    private static Counter outcome(MeterRegistry metrics, String outcome) {
        return Counter.builder("softcall.calls")
                .description("calls by their outcome")
                .tag("outcome", outcome)
                .register(metrics);
    }

    /**
     * Admits a request for classification, or refuses one that is not allowed, is malformed, or exceeds the queue. Does not block.
     *
     * @param authorization the caller's {@code Authorization} header
     * @param parse parses the protocol's request; called once the caller is known
     * @param classification returns the classification request that it contains
     * @return the result of {@code parse}
     * @throws SoftcallException when the request is refused
     */
    public <R> R admit(
            Optional<String> authorization, Supplier<R> parse, Function<R, ClassificationRequest> classification) {
        return admit(
                authorization,
                parse,
                classification,
                ClassificationRequest::task,
                request -> classifier.admit(request));
    }

    /** Admits a request for text, as {@link #admit} does one for classification. */
    public <R> R admitText(
            Optional<String> authorization, Supplier<R> parse, Function<R, GenerationRequest> generation) {
        return admit(authorization, parse, generation, GenerationRequest::task, request -> generator.admit(request));
    }

    private <R, Q> R admit(
            Optional<String> authorization,
            Supplier<R> parse,
            Function<R, Q> inner,
            Function<Q, TaskName> task,
            Consumer<Q> admission) {
        return counted(() -> {
            Keys.Caller caller = keys.caller(authorization);
            R parsed = parse.get();
            Q request = inner.apply(parsed);
            caller.require(task.apply(request));
            admission.accept(request);
            return parsed;
        });
    }

    /**
     * Classifies an admitted request.
     *
     * @param cancellation completes when nobody waits for the answer any more
     * @throws SoftcallException when there is no answer
     */
    public Classification classify(ClassificationRequest admitted, CompletableFuture<Void> cancellation) {
        return counted(() -> {
            Classification answer = classifier.classify(admitted, cancellation);
            countAnswer();
            return answer;
        });
    }

    /**
     * Answers an admitted request for text.
     *
     * @param cancellation completes when nobody waits for the answer any more
     * @param send sends the pieces of the answer, and returns when the last one has been sent
     * @throws SoftcallException when there is no answer, or it ends too early
     */
    public void generate(GenerationRequest admitted, CompletableFuture<Void> cancellation, Consumer<Generation> send) {
        counted(() -> {
            try (Generation generation = generator.start(admitted, cancellation)) {
                send.accept(generation);
            }
            countAnswer();
            return null;
        });
    }

    /** Runs a part of a call. A failure ends the call, and is counted. */
    public <T> T counted(Supplier<T> part) {
        try {
            return part.get();
        } catch (SoftcallException e) {
            count(e);
            throw e;
        }
    }

    public void count(SoftcallException problem) {
        failed.get(problem.reason()).increment();
    }

    public void countAnswer() {
        answered.increment();
    }
}
