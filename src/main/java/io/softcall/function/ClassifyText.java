package io.softcall.function;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.funqy.Funq;
import io.quarkus.funqy.knative.events.CloudEventMapping;
import io.quarkus.vertx.http.runtime.CurrentVertxRequest;
import io.quarkus.virtual.threads.VirtualThreads;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.context.ApplicationScoped;
import java.util.Optional;
import java.util.concurrent.ExecutorService;

/**
 * Classification as a Funqy function: {@code POST /classify-text} over plain HTTP, and CloudEvents of type {@code
 * io.softcall.classify} that are answered with {@code io.softcall.classified}. Request and answer are those of {@code
 * /v1/classify}; errors become statuses in {@link RouterErrors}.
 */
@ApplicationScoped
public class ClassifyText {

    private final Endpoint endpoint;
    private final CurrentVertxRequest request;
    private final ExecutorService executor;

    ClassifyText(Endpoint endpoint, CurrentVertxRequest request, @VirtualThreads ExecutorService executor) {
        this.endpoint = endpoint;
        this.request = request;
        this.executor = executor;
    }

    @Funq("classify-text")
    @CloudEventMapping(
            trigger = "io.softcall.classify",
            responseSource = "softcall",
            responseType = "io.softcall.classified")
    public Uni<ClassifyResponse> classifyText(JsonNode body) {
        RoutingContext context = request.getCurrent();
        Optional<String> authorization = Optional.ofNullable(context.request().getHeader("authorization"));
        return Uni.createFrom()
                .item(() -> {
                    Endpoint.Answer answer =
                            endpoint.classify(authorization, () -> ClassifyRequest.of(body), HangUps.of(context));
                    return answer.response();
                })
                .runSubscriptionOn(executor);
    }
}
