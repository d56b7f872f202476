package io.softcall.api.http;

import io.softcall.api.Endpoint;
import io.softcall.api.json.ClassifyRequest;
import io.softcall.api.json.ClassifyResponse;
import io.softcall.inference.Classification;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;

/** Admits and answers requests for classification, for REST and Funqy. */
@Singleton
public class HttpClassification implements Admission.Entrance {

    private final Endpoint endpoint;

    HttpClassification(Endpoint endpoint) {
        this.endpoint = endpoint;
    }

    @Override
    public List<Paths> paths() {
        return List.of(Paths.CLASSIFY, Paths.VLLM_CLASSIFY, Paths.CLASSIFY_TEXT);
    }

    @Override
    public Object admit(Paths path, Optional<String> authorization, Supplier<byte[]> body) {
        return endpoint.admit(authorization, () -> ClassifyRequest.parse(body.get()), ClassifyRequest::classification);
    }

    /** An answer, and the response headers with the version and the time of each stage. */
    public record Answer(ClassifyResponse body, Map<String, String> headers) {}

    /**
     * Classifies the inputs of an admitted request. Blocks.
     *
     * @throws io.softcall.SoftcallException when there is no answer
     */
    public Answer answer(RoutingContext context) {
        ClassifyRequest request = Admission.of(context, ClassifyRequest.class);
        Classification answer = endpoint.classify(request.classification(), Cancellations.of(context));
        return new Answer(ClassifyResponse.of(request, answer), headers(answer));
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

    /** Returns milliseconds with two decimals. A {@code Formatter} would be measurably slow at six headers a call. */
    private static String ms(long nanos) {
        long hundredths = (nanos + 5_000) / 10_000;
        return hundredths / 100 + (hundredths % 100 < 10 ? ".0" : ".") + hundredths % 100;
    }
}
