package io.softcall.api.events;

import static io.restassured.RestAssured.given;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.is;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.net.httpserver.HttpServer;
import io.quarkus.test.common.ResourceArg;
import io.quarkus.test.common.WithTestResource;
import io.quarkus.test.junit.QuarkusTest;
import io.restassured.response.ValidatableResponse;
import io.softcall.S3Server;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** An SNS topic with a subscription to {@code POST /v1/jobs}. A server stands in for SNS. */
@QuarkusTest
@WithTestResource(
        value = S3Server.class,
        initArgs = {
            @ResourceArg(name = "softcall.jobs.output", value = "s3://softcall-tests/results"),
            @ResourceArg(name = "softcall.jobs.buckets", value = "softcall-tests"),
            @ResourceArg(name = "softcall.jobs.sns-topics", value = "arn:aws:sns:eu-west-1:123456789012:files"),
        })
class SnsTest {

    private static final String TOPIC = "arn:aws:sns:eu-west-1:123456789012:files";

    private final List<String> asked = new CopyOnWriteArrayList<>();
    private volatile int status = 200;
    private HttpServer sns;

    @BeforeEach
    void start() throws IOException {
        sns = HttpServer.create(new InetSocketAddress("localhost", 0), 0);
        sns.createContext("/", exchange -> {
            asked.add(exchange.getRequestURI().toString());
            exchange.sendResponseHeaders(status, -1);
            exchange.close();
        });
        sns.start();
        System.setProperty(
                "aws.endpointUrlSns", "http://localhost:" + sns.getAddress().getPort());
    }

    @AfterEach
    void stop() {
        System.clearProperty("aws.endpointUrlSns");
        sns.stop(0);
    }

    private static ValidatableResponse send(String type, String topic) {
        return given().contentType("text/plain; charset=UTF-8")
                .header("x-amz-sns-message-type", type)
                .body("""
                        {"Type": "%s", "TopicArn": "%s", "Token": "2336412f37", "Message": "{\\"Records\\": []}",
                         "SubscribeURL": "http://169.254.169.254/latest/meta-data"}""".formatted(type, topic))
                .post("/v1/jobs")
                .then();
    }

    @Test
    void confirmsATopicThatIsNamedAndAsksNobodyElse() {
        send("SubscriptionConfirmation", TOPIC).statusCode(204);
        assertEquals(
                List.of("/?Action=ConfirmSubscription&Version=2010-03-31"
                        + "&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Afiles&Token=2336412f37"),
                asked);
    }

    @Test
    void refusesOtherTopics() {
        send("SubscriptionConfirmation", TOPIC + "2")
                .statusCode(403)
                .body("error.message", containsString("softcall.jobs.sns-topics"));
        send("SubscriptionConfirmation", "arn:aws:sns:evil.example.com/?x:123456789012:files")
                .statusCode(400);
        assertEquals(List.of(), asked);
    }

    @Test
    void bringsAConfirmationBackThatFailed() {
        status = 500;
        send("SubscriptionConfirmation", TOPIC).statusCode(503).body("error.type", is("store_unavailable"));
    }

    @Test
    void takesNotificationsInSnssOwnContentType() {
        send("Notification", TOPIC).statusCode(204);
        send("UnsubscribeConfirmation", TOPIC).statusCode(204);
    }
}
