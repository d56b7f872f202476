package io.softcall.function;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.funqy.Funq;
import io.quarkus.vertx.http.runtime.CurrentVertxRequest;
import io.quarkus.virtual.threads.VirtualThreads;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.context.ApplicationScoped;
import java.util.concurrent.ExecutorService;

/**
 * Classification as a Funqy function over plain HTTP, {@code POST /classify-text}. Request, answer, headers and errors are those of
 * {@code /v1/classify}: {@link Admission} reads the request of both, {@link RouterErrors} gives errors their statuses.
 */
@ApplicationScoped
public class ClassifyText {

    private static final String NAME = "classify-text";
    static final String PATH = "/" + NAME;

    private final Endpoint endpoint;
    private final CurrentVertxRequest request;
    private final ExecutorService executor;

    ClassifyText(Endpoint endpoint, CurrentVertxRequest request, @VirtualThreads ExecutorService executor) {
        this.endpoint = endpoint;
        this.request = request;
        this.executor = executor;
    }

    /** @param body was read already, by {@link Admission} */
    @Funq(NAME)
    public Uni<ClassifyResponse> classifyText(JsonNode body) {
        RoutingContext context = request.getCurrent();
        return Uni.createFrom()
                .item(() -> {
                    Endpoint.Answer answer = endpoint.answer(Admission.of(context), HangUps.of(context));
                    answer.headers().forEach(context.response()::putHeader);
                    return answer.response();
                })
                .runSubscriptionOn(executor);
    }
}
