package io.softcall.function;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.inference.Classification;
import io.softcall.inference.Classifier;
import jakarta.inject.Singleton;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/** What REST, Funqy and CloudEvents have in common: who calls, what is asked, the answer. */
@Singleton
class Endpoint {

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
                .description("calls by what became of them")
                .tag("outcome", outcome)
                .register(metrics);
    }

    /** An answer, and the response headers that say where the time went. */
    record Answer(ClassifyResponse response, Map<String, String> headers) {}

    /**
     * Authorises, then classifies.
     *
     * @param request parses the request; called once the caller is known
     * @param hungUp completes when nobody waits for the answer any more
     * @throws SoftcallException whatever stands in the way
     */
    Answer classify(Optional<String> authorization, Supplier<ClassifyRequest> request, CompletableFuture<Void> hungUp) {
        return answer(admit(authorization, request), hungUp);
    }

    /**
     * The first part of {@link #classify}, which waits for nothing: refuses what is not allowed, is wrong, or finds no room.
     *
     * @param request as for {@link #classify}
     * @throws SoftcallException the reason
     */
    ClassifyRequest admit(Optional<String> authorization, Supplier<ClassifyRequest> request) {
        return counted(() -> {
            Keys.Caller caller = keys.caller(authorization);
            ClassifyRequest asked = request.get();
            caller.require(asked.call().task());
            classifier.admit(asked.call());
            return asked;
        });
    }

    /**
     * The second part: classifies what was admitted.
     *
     * @param hungUp as for {@link #classify}
     * @throws SoftcallException whatever stands in the way
     */
    Answer answer(ClassifyRequest asked, CompletableFuture<Void> hungUp) {
        return counted(() -> {
            Classification answer = classifier.classify(asked.call(), hungUp);
            countAnswer();
            return new Answer(ClassifyResponse.of(asked, answer), headers(answer));
        });
    }

    /** Does a part of a call; a failure ends the call, and is counted. */
    <T> T counted(Supplier<T> part) {
        try {
            return part.get();
        } catch (SoftcallException e) {
            count(e);
            throw e;
        }
    }

    void count(SoftcallException problem) {
        failed.get(problem.reason()).increment();
    }

    void countAnswer() {
        answered.increment();
    }

    private static Map<String, String> headers(Classification answer) {
        Classification.Timings timings = answer.timings();
        Map<String, String> headers = new TreeMap<>();
        headers.put("x-softcall-version", answer.task().version());
        headers.put("x-softcall-fetch-ms", ms(timings.fetch()));
        headers.put("x-softcall-tokenize-ms", ms(timings.tokenize()));
        headers.put("x-softcall-prefix-ms", ms(timings.prefix()));
        headers.put("x-softcall-queue-ms", ms(timings.queue()));
        headers.put("x-softcall-infer-ms", ms(timings.infer()));
        answer.staleness().ifPresent(age -> headers.put("x-softcall-stale-ms", Long.toString(age.toMillis())));
        return headers;
    }

    /** Milliseconds with two decimals. By hand: six times a call, a {@code Formatter} would show. */
    static String ms(long nanos) {
        long hundredths = (nanos + 5_000) / 10_000;
        return hundredths / 100 + (hundredths % 100 < 10 ? ".0" : ".") + hundredths % 100;
    }
}
