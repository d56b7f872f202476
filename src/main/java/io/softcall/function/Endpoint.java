package io.softcall.function;

import io.micrometer.core.instrument.MeterRegistry;
import io.softcall.SoftcallException;
import io.softcall.inference.Classification;
import io.softcall.inference.Classifier;
import jakarta.inject.Singleton;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;

/** What REST, Funqy and CloudEvents have in common: who calls, what is asked, the answer. */
@Singleton
class Endpoint {

    private final Keys keys;
    private final Classifier classifier;
    private final MeterRegistry metrics;

    Endpoint(Keys keys, Classifier classifier, MeterRegistry metrics) {
        this.keys = keys;
        this.classifier = classifier;
        this.metrics = metrics;
    }

    /** An answer, and the response headers that say where the time went. */
    record Answer(ClassifyResponse response, Map<String, String> headers) {}

    /**
     * Authorises, then classifies.
     *
     * @param request parses the request; called once the caller is known
     * @throws SoftcallException whatever stands in the way
     */
    Answer classify(Optional<String> authorization, Supplier<ClassifyRequest> request) {
        try {
            Keys.Caller caller = keys.caller(authorization);
            ClassifyRequest asked = request.get();
            caller.require(asked.call().task());
            Classification answer = classifier.classify(asked.call());
            count("ok");
            return new Answer(ClassifyResponse.of(asked, answer), headers(answer));
        } catch (SoftcallException e) {
            count(e.reason().name().toLowerCase(Locale.ROOT));
            throw e;
        }
    }

    private void count(String outcome) {
        metrics.counter("softcall.calls", "outcome", outcome).increment();
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

    private static String ms(long nanos) {
        return String.format(Locale.ROOT, "%.2f", nanos / 1e6);
    }
}
