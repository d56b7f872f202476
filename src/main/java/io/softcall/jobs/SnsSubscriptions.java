package io.softcall.jobs;

import com.fasterxml.jackson.databind.JsonNode;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.jobs.run.JobsConfig;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jboss.logging.Logger;

/**
 * Confirms subscriptions of SNS topics to {@code POST /v1/jobs}: SNS sends nothing before the receiver has confirmed
 * the subscription. Only topics that the operator names are confirmed. The request never goes to the address in the
 * message, because then every caller could make this server send requests to any address.
 *
 * @see <a href="https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html">SNS and HTTP endpoints</a>
 */
@Singleton
public class SnsSubscriptions {

    private static final Logger LOG = Logger.getLogger(SnsSubscriptions.class);

    private static final Pattern TOPIC = Pattern.compile(
            "arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}[a-z0-9-]{1,30}):[0-9]{12}:[A-Za-z0-9_.-]{1,256}");
    private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9_-]{1,1024}");

    private static final Duration CONNECTION_LIMIT = Duration.ofSeconds(5);
    private static final Duration ANSWER_LIMIT = Duration.ofSeconds(10);
    private static final int OK = 200;

    private final Set<String> topics;

    SnsSubscriptions(JobsConfig config) {
        this.topics = Set.copyOf(config.snsTopics().orElse(List.of()));
        for (String topic : topics) {
            if (!TOPIC.matcher(topic).matches()) {
                throw new IllegalArgumentException(
                        "softcall.jobs.sns-topics: \"%s\" is not a topic, expected arn:aws:sns:REGION:ACCOUNT:NAME"
                                .formatted(topic));
            }
        }
    }

    /**
     * Handles messages about the subscription.
     *
     * @return false when the message is of another kind
     * @throws SoftcallException {@code FORBIDDEN} when the topic is not configured; {@code INVALID_REQUEST} when the
     *     confirmation is malformed; {@code STORE_UNAVAILABLE} when SNS does not accept it
     */
    public boolean handle(JsonNode message) {
        return switch (message.path("Type").asText()) {
            case "SubscriptionConfirmation" -> {
                confirm(message.path("TopicArn").asText(), message.path("Token").asText());
                yield true;
            }
            case "UnsubscribeConfirmation" -> true;
            default -> false;
        };
    }

    private void confirm(String topic, String token) {
        Matcher parts = TOPIC.matcher(topic);
        if (!parts.matches() || !TOKEN.matcher(token).matches()) {
            throw SoftcallException.invalid("the confirmation of a subscription has no valid TopicArn and Token");
        }
        if (!topics.contains(topic)) {
            throw new SoftcallException(
                    Reason.FORBIDDEN, "topic %s is not among softcall.jobs.sns-topics".formatted(topic));
        }
        int status = ask(URI.create("%s/?Action=ConfirmSubscription&Version=2010-03-31&TopicArn=%s&Token=%s"
                .formatted(
                        endpoint(parts.group(1), parts.group(2)),
                        URLEncoder.encode(topic, StandardCharsets.UTF_8),
                        URLEncoder.encode(token, StandardCharsets.UTF_8))));
        if (status != OK) {
            throw new SoftcallException(
                    Reason.STORE_UNAVAILABLE, "SNS answered %d to the confirmation of %s".formatted(status, topic));
        }
        LOG.infof("the subscription to %s is confirmed", topic);
    }

    /** Returns the endpoint of SNS, which the settings of AWS's own tools can replace. */
    private static String endpoint(String partition, String region) {
        return Optional.ofNullable(System.getProperty("aws.endpointUrlSns"))
                .or(() -> Optional.ofNullable(System.getenv("AWS_ENDPOINT_URL_SNS")))
                .orElseGet(() ->
                        "https://sns.%s.amazonaws.com%s".formatted(region, partition.equals("aws-cn") ? ".cn" : ""));
    }

    private static int ask(URI uri) {
        try (HttpClient client =
                HttpClient.newBuilder().connectTimeout(CONNECTION_LIMIT).build()) {
            HttpRequest request =
                    HttpRequest.newBuilder(uri).timeout(ANSWER_LIMIT).build();
            return client.send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
        } catch (IOException e) {
            throw new SoftcallException(Reason.STORE_UNAVAILABLE, "SNS does not answer", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new SoftcallException(Reason.STOPPING, "the server is stopping", e);
        }
    }
}
