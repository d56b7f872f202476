package io.softcall.api.funqy;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.funqy.Funq;
import io.quarkus.vertx.http.runtime.CurrentVertxRequest;
import io.quarkus.virtual.threads.VirtualThreads;
import io.smallrye.mutiny.Uni;
import io.softcall.api.http.Admission;
import io.softcall.api.http.HttpClassification;
import io.softcall.api.http.Paths;
import io.softcall.api.http.RouterErrors;
import io.softcall.api.json.ClassifyResponse;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.context.ApplicationScoped;
import java.util.concurrent.ExecutorService;

/**
 * Classification as a Funqy function over plain HTTP, {@code POST /classify-text}. Its requests, answers, headers and
 * errors are those of {@code /v1/classify}: {@link Admission} reads the requests of both, and {@link RouterErrors} maps
 * errors to statuses.
 */
@ApplicationScoped
public class ClassifyText {

    private final HttpClassification classification;
    private final CurrentVertxRequest request;
    private final ExecutorService executor;

    ClassifyText(
            HttpClassification classification, CurrentVertxRequest request, @VirtualThreads ExecutorService executor) {
        this.classification = classification;
        this.request = request;
        this.executor = executor;
    }

    /** @param body unused, because {@link Admission} has read it already */
    @Funq(Paths.CLASSIFY_FUNCTION)
    public Uni<ClassifyResponse> classifyText(JsonNode body) {
        RoutingContext context = request.getCurrent();
        return Uni.createFrom()
                .item(() -> {
                    HttpClassification.Answer answer = classification.answer(context);
                    answer.headers().forEach(context.response()::putHeader);
                    return answer.body();
                })
                .runSubscriptionOn(executor);
    }
}
