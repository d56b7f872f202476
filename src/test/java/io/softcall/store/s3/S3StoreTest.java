package io.softcall.store.s3;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.ConfigMappings;
import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.StandIn;
import io.softcall.StandIn.Reply;
import io.softcall.StandIn.Request;
import io.softcall.store.Loading;
import io.softcall.store.Store;
import io.softcall.store.StoreConfig;
import io.softcall.store.TimeLimits;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Answers of servers in S3's place: proxies, gateways, and S3 in another region. They must never be misunderstood. */
class S3StoreTest {

    private static final String KEY = "acme/intent/adapter_model.safetensors";
    private static final byte[] CONTENT = "content".getBytes(StandardCharsets.UTF_8);
    private static final int MAX_BYTES = 1_000;
    private static final String HTML = "<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>";
    private static final String SECRET = "AWS4-HMAC-SHA256 Credential=test/20261130/us-east-1/s3/aws4_request";

    private static final Duration LIMIT = Duration.ofSeconds(10);

    private final Loading loading = new Loading(1 << 20, 1 << 20);
    private StandIn server;
    private S3Clients clients;
    private S3Store store;
    private S3Bucket bucket;

    private void serve(Function<Request, Reply> answers) throws IOException {
        close();
        server = new StandIn(answers);
        System.setProperty("aws.endpointUrl", server.uri().toString());
        System.setProperty("aws.accessKeyId", "test");
        System.setProperty("aws.secretAccessKey", "test");
        StoreConfig config = ConfigMappings.of(StoreConfig.class, Map.of());
        clients = new S3Clients(config);
        store = new S3Store(clients, "bucket", "secret/prefix/", MAX_BYTES, new TimeLimits(LIMIT, LIMIT));
        bucket = new S3Bucket(clients.client(), "bucket", "secret/prefix/");
    }

    @AfterEach
    void close() {
        if (server != null) {
            clients.close();
            server.close();
            Stream.of("aws.endpointUrl", "aws.accessKeyId", "aws.secretAccessKey")
                    .forEach(System::clearProperty);
        }
    }

    /** An answer that does not come from S3, with its description. */
    private record Foreign(String what, Reply reply) {

        @Override
        public String toString() {
            return what;
        }
    }

    static Stream<Foreign> foreign() {
        Map<String, String> html = Map.of("Content-Type", "text/html");
        return Stream.of(
                new Foreign("a proxy's 502", Reply.of(502, html, HTML)),
                new Foreign("a proxy's 404", Reply.of(404, html, HTML.replace("502", "404"))),
                new Foreign("404 without a body", Reply.of(404, Map.of(), "")),
                new Foreign("500 without a body", Reply.of(500, Map.of(), "")),
                new Foreign("400 without a body", Reply.of(400, Map.of(), "")),
                new Foreign("a redirect", Reply.of(301, Map.of("Location", "https://example.com/"), "")),
                new Foreign("a temporary redirect", Reply.of(307, Map.of("Location", "https://example.com/"), HTML)),
                new Foreign("304 to nobody who asked", Reply.of(304, Map.of(), "")),
                new Foreign("JSON", Reply.of(503, Map.of(), "{\"error\": \"busy\"}")),
                new Foreign(
                        "another XML",
                        Reply.of(
                                500,
                                Map.of("Content-Type", "application/xml"),
                                "<problem><title>no</title></problem>")),
                new Foreign("XML that ends", Reply.of(503, Map.of(), "<?xml version=\"1.0\"?><Error><Code>Slow")),
                new Foreign("an object without an ETag", Reply.of(200, Map.of(), "content")));
    }

    @ParameterizedTest
    @MethodSource("foreign")
    void isAStoreThatIsAway(Foreign answer) throws IOException {
        serve(request -> answer.reply);
        assertAway(() -> get(Optional.empty()));
        assertAway(() -> store.list("", "/adapter_model.safetensors", "", 10));
        assertAway(() -> bucket.list("", 10));
        if (answer.reply.status() != 200) {
            assertAway(() -> get(Optional.of("known")), answer.reply.status() == 304);
            assertAway(() -> bucket.read("key", "version", 0, 10));
        }
        // The answer to HEAD has no body, so S3's own 404 looks like any other.
        if (answer.reply.status() != 404) {
            assertAway(() -> bucket.stat("key"));
        }
    }

    private Store.Answer get(Optional<String> known) {
        try (Loading.Lease lease = loading.lease(LIMIT)) {
            return store.get(KEY, known, lease);
        }
    }

    private void assertAway(Runnable request) {
        assertAway(request, false);
    }

    private void assertAway(Runnable request, boolean allowed) {
        if (allowed) {
            return;
        }
        SoftcallException e = assertThrows(SoftcallException.class, request::run);
        assertEquals(Reason.STORE_UNAVAILABLE, e.reason(), e::getMessage);
        assertTrue(e.getMessage().contains("s3://bucket/secret/prefix/"), e::getMessage);
        assertFalse(e.publicMessage().contains("secret"), e::publicMessage);
    }

    @Test
    void anObjectInChunksIsServed() throws IOException {
        serve(request -> Reply.of(200, Map.of("ETag", "\"x\""), "content").chunked());
        Store.Found found = assertInstanceOf(Store.Found.class, get(Optional.empty()));
        assertEquals("x", found.version());
        assertArrayEquals(CONTENT, found.bytes());
        assertArrayEquals(CONTENT, bucket.read("key", "x", 0, 100).orElseThrow());
    }

    @Test
    void anObjectInChunksIsBounded() throws IOException {
        serve(request ->
                Reply.of(200, Map.of("ETag", "\"x\""), "x".repeat(100_000)).chunked());
        assertInstanceOf(Store.TooLarge.class, get(Optional.empty()));
        assertEquals(10, bucket.read("key", "x", 0, 10).orElseThrow().length);
    }

    @Test
    void aServerThatKnowsNoRangesIsNotReadAsIfItDid() throws IOException {
        serve(request -> Reply.of(200, Map.of("ETag", "\"x\""), "content"));
        assertArrayEquals(
                "con".getBytes(StandardCharsets.UTF_8),
                bucket.read("key", "x", 0, 3).orElseThrow());
        assertAway(() -> bucket.read("key", "x", 3, 3));
    }

    @Test
    void aWeakETagGoesBackAsItCame() throws IOException {
        String weak = "W/\"x\"";
        serve(request -> request.header("If-none-match").filter(weak::equals).isPresent()
                ? Reply.of(304, Map.of("ETag", weak), "")
                : Reply.of(200, Map.of("ETag", weak), "content"));
        Store.Found found = assertInstanceOf(Store.Found.class, get(Optional.empty()));
        assertInstanceOf(Store.Unchanged.class, get(Optional.of(found.version())));
        String version = bucket.stat("key").orElseThrow().version();
        assertEquals("W-x", version);
        assertTrue(bucket.read("key", version, 0, 3).isPresent());
        assertEquals(Optional.of(weak), server.requests().getLast().header("If-match"));
    }

    /** The answers of AWS and MinIO to requests to the wrong region. */
    static Stream<Foreign> anotherRegion() {
        return Stream.of(
                new Foreign(
                        "PermanentRedirect",
                        Reply.of(
                                301,
                                Map.of("x-amz-bucket-region", "eu-west-1"),
                                error("PermanentRedirect", "The bucket must be addressed otherwise."))),
                new Foreign(
                        "AuthorizationHeaderMalformed",
                        Reply.of(
                                400,
                                Map.of(),
                                error(
                                        "AuthorizationHeaderMalformed",
                                        "The authorization header is malformed; the region 'us-east-1' is wrong;"
                                                + " expecting 'eu-west-1'"))),
                new Foreign(
                        "IllegalLocationConstraintException",
                        Reply.of(
                                400,
                                Map.of("x-amz-bucket-region", "eu-west-1"),
                                error("IllegalLocationConstraintException", "incompatible"))),
                new Foreign("no body, as to HEAD", Reply.of(400, Map.of("x-amz-bucket-region", "eu-west-1"), "")));
    }

    @ParameterizedTest
    @MethodSource("anotherRegion")
    void theWrongRegionIsNamed(Foreign answer) throws IOException {
        serve(request -> answer.reply);
        for (Runnable request : List.<Runnable>of(
                () -> get(Optional.empty()),
                () -> get(Optional.of("known")),
                () -> store.list("", "/adapter_model.safetensors", "", 10),
                () -> bucket.read("key", "version", 0, 10))) {
            SoftcallException e = assertThrows(SoftcallException.class, request::run);
            assertEquals(Reason.STORE_DENIED, e.reason(), e::getMessage);
            assertTrue(e.detail().contains("eu-west-1"), e::getMessage);
        }
    }

    @Test
    void s3sOwn404IsATaskThatIsGone() throws IOException {
        serve(request -> Reply.of(404, Map.of(), error("NoSuchKey", "The specified key does not exist.")));
        assertInstanceOf(Store.Missing.class, get(Optional.of("known")));
        assertEquals(Optional.empty(), bucket.stat("key"));
        serve(request -> Reply.of(404, Map.of(), error("NoSuchBucket", "The specified bucket does not exist")));
        SoftcallException e = assertThrows(SoftcallException.class, () -> get(Optional.empty()));
        assertEquals(Reason.STORE_DENIED, e.reason());
    }

    @Test
    void nothingOfARequestIsRepeated() throws IOException {
        for (int status : new int[] {400, 403, 500}) {
            serve(request -> Reply.of(status, Map.of(), error("Wrong", "you sent Authorization: " + SECRET)));
            SoftcallException e = assertThrows(SoftcallException.class, () -> get(Optional.empty()));
            assertFalse(e.getMessage().contains("Credential"), e::getMessage);
            assertTrue(e.getMessage().contains("answered %d Wrong".formatted(status)), e::getMessage);
        }
    }

    @Test
    void aListingThatIsNoneIsNoEmptyStore() throws IOException {
        for (String body : List.of("", "<html/>", HTML, "{}", "<ListBucketResult/>")) {
            serve(request -> Reply.of(200, Map.of("Content-Type", "text/html"), body));
            assertAway(() -> store.list("", "/adapter_model.safetensors", "", 10));
            assertAway(() -> bucket.list("", 10));
        }
    }

    /** Servers that do not know {@code start-after} answer like this. */
    @Test
    void aListingThatNeverEndsIsGivenUp() throws IOException {
        serve(request -> Reply.of(
                200,
                Map.of(),
                "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>secret/prefix/a</Key></Contents>"
                        + "</ListBucketResult>"));
        assertAway(() -> bucket.list("", 10));
    }

    private static String error(String code, String message) {
        return "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>%s</Code><Message>%s</Message></Error>"
                .formatted(code, message);
    }
}
