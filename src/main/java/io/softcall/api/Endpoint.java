package io.softcall.api;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Classification;
import io.softcall.inference.ClassificationRequest;
import io.softcall.inference.Classifier;
import jakarta.inject.Singleton;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Classification behind every protocol: authorises, admits, classifies, and counts outcomes. Requests and answers are internal here;
 * how they are written is the business of each protocol's own package.
 */
@Singleton
public class Endpoint {

    private final Keys keys;
    private final Classifier classifier;
    private final Counter answered;
    private final Map<Reason, Counter> failed = new EnumMap<>(Reason.class);

    Endpoint(Keys keys, Classifier classifier, MeterRegistry metrics) {
        this.keys = keys;
        this.classifier = classifier;
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
     * Admits a call: refuses one that is not allowed, is malformed, or finds no room. Waits for nothing.
     *
     * @param authorization the caller's {@code Authorization} header
     * @param parse parses the protocol's request; called once the caller is known
     * @param classification the internal request in it
     * @return what {@code parse} gave
     * @throws SoftcallException the reason
     */
    public <R> R admit(
            Optional<String> authorization, Supplier<R> parse, Function<R, ClassificationRequest> classification) {
        return counted(() -> {
            Keys.Caller caller = keys.caller(authorization);
            R parsed = parse.get();
            ClassificationRequest request = classification.apply(parsed);
            caller.require(request.task());
            classifier.admit(request);
            return parsed;
        });
    }

    /**
     * Classifies a request that was admitted.
     *
     * @param cancellation completes when nobody waits for the answer any more
     * @throws SoftcallException why there is no answer
     */
    public Classification classify(ClassificationRequest admitted, CompletableFuture<Void> cancellation) {
        return counted(() -> {
            Classification answer = classifier.classify(admitted, cancellation);
            countAnswer();
            return answer;
        });
    }

    /** Does a part of a call. A failure ends the call, and is counted. */
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
