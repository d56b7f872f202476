package io.softcall.jobs.events;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.store.RetryPolicy;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

/** Sends parts to a broker, as CloudEvents in binary mode over HTTP, which Knative's sinks accept. */
public final class Broker {

    static final String PART_TYPE = "io.softcall.job.part";

    private final URI uri;
    private final RetryPolicy retryPolicy;
    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(5))
            .build();

    public Broker(URI uri, RetryPolicy retryPolicy) {
        this.uri = uri;
        this.retryPolicy = retryPolicy;
    }

    /**
     * Sends one part to the broker.
     *
     * @throws SoftcallException {@code STORE_UNAVAILABLE} when the broker still does not accept it after all retries
     */
    public void hand(String job, int part) {
        String data = JsonNodeFactory.instance
                .objectNode()
                .put("job", job)
                .put("part", part)
                .toString();
        HttpRequest request = HttpRequest.newBuilder(uri)
                .timeout(Duration.ofSeconds(20))
                .header("content-type", "application/json")
                .header("ce-specversion", "1.0")
                .header("ce-id", CloudEventText.encode(job + "/" + part))
                .header("ce-source", "softcall")
                .header("ce-type", PART_TYPE)
                .header("ce-subject", CloudEventText.encode(job))
                .POST(HttpRequest.BodyPublishers.ofString(data))
                .build();
        retryPolicy.call(() -> send(request));
    }

    private Void send(HttpRequest request) {
        try {
            int status =
                    client.send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
            if (status / 100 != 2) {
                throw new SoftcallException(
                        Reason.STORE_UNAVAILABLE, "the broker %s answered %d to a part".formatted(uri, status));
            }
            return null;
        } catch (IOException e) {
            throw new SoftcallException(
                    Reason.STORE_UNAVAILABLE, "the broker %s does not accept parts: %s".formatted(uri, e), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
        }
    }
}
