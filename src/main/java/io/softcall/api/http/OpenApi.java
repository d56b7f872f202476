package io.softcall.api.http;

import io.vertx.core.buffer.Buffer;
import io.vertx.ext.web.RoutingContext;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/** Answers with the OpenAPI document that the build wrote: as YAML, or as JSON on request. */
final class OpenApi {

    static final String PATH = "/q/openapi";
    static final String YAML = "application/yaml";
    static final String JSON = "application/json";

    private OpenApi() {}

    static void answer(RoutingContext context) {
        boolean json = "json".equalsIgnoreCase(context.request().getParam("format"))
                || JSON.equals(context.getAcceptableContentType());
        context.response()
                .putHeader("content-type", json ? JSON : YAML + ";charset=UTF-8")
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
