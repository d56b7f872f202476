package io.softcall.store.s3;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.softcall.PackagedServer;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Locale;
import java.util.Map;

/** {@link IdentityTest} for the packaged server, which is the native executable in the Maven profile {@code native}. */
class IdentityIT extends IdentityTest {

    @Override
    String listed(Map<String, String> environment) throws Exception {
        Map<String, String> settings = variables(environment);
        settings.putAll(Map.of("softcall.store.uri", "s3://bucket/", "softcall.store.timeout", "20S"));
        try (PackagedServer server = new PackagedServer(settings);
                HttpClient client = HttpClient.newHttpClient()) {
            HttpResponse<String> response = client.send(
                    HttpRequest.newBuilder(server.uri().resolve("/v1/models")).build(),
                    HttpResponse.BodyHandlers.ofString());
            JsonNode body = new JsonMapper().readTree(response.body());
            return response.statusCode() == 200
                    ? body.get("data").toString()
                    : body.at("/error/type").textValue().toUpperCase(Locale.ROOT) + " "
                            + body.at("/error/message").textValue();
        }
    }
}
