package io.softcall.function;

import io.vertx.core.buffer.Buffer;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/** Describes the REST entry points, in the document that the build wrote: YAML, or JSON for those who ask for it. */
@Singleton
class OpenApi {

    private static final String PATH = "/q/openapi";

    void register(@Observes Router router) {
        router.get(PATH)
                .produces("application/yaml")
                .produces("application/json")
                .handler(OpenApi::answer);
    }

    private static void answer(RoutingContext context) {
        boolean json = "json".equalsIgnoreCase(context.request().getParam("format"))
                || "application/json".equals(context.getAcceptableContentType());
        context.response()
                .putHeader("content-type", json ? "application/json" : "application/yaml;charset=UTF-8")
                .end(document(json ? "openapi.json" : "openapi.yaml"));
    }

    private static Buffer document(String name) {
        try (InputStream document = OpenApi.class.getResourceAsStream(name)) {
            return Buffer.buffer(document.readAllBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
