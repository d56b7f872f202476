package io.softcall.store.s3;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
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
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Large objects, connections that break, and objects that are replaced during a transfer. */
class S3TransferTest {

    private static final Pattern RANGE = Pattern.compile("bytes=([0-9]+)-([0-9]+)");
    private static final int LARGE = 2 * S3Transfer.PART + 12_345;
    private static final Duration LONG = Duration.ofSeconds(20);
    private static final Map<String, String> TAG = Map.of("ETag", "\"one\"");

    private final Loading loading = new Loading(1 << 30, 1 << 30);
    private StandIn server;
    private S3Clients clients;
    private S3Store store;

    private void serve(Duration transfer, Function<Request, Reply> answers) throws IOException {
        server = new StandIn(answers);
        System.setProperty("aws.endpointUrl", server.uri().toString());
        System.setProperty("aws.accessKeyId", "test");
        System.setProperty("aws.secretAccessKey", "test");
        clients = new S3Clients(ConfigMappings.of(StoreConfig.class, Map.of()));
        store = new S3Store(clients, "bucket", "", 64 << 20, new TimeLimits(LONG, transfer));
    }

    @AfterEach
    void close() {
        clients.close();
        server.close();
        for (String property : List.of("aws.endpointUrl", "aws.accessKeyId", "aws.secretAccessKey")) {
            System.clearProperty(property);
        }
    }

    private Store.Answer get() {
        try (Loading.Lease lease = loading.lease(LONG)) {
            return store.get("a", Optional.empty(), lease);
        }
    }

    private static byte[] content(int bytes, long seed) {
        byte[] content = new byte[bytes];
        new Random(seed).nextBytes(content);
        return content;
    }

    /** Answers as S3 does: all, or the requested range if the object still has the requested ETag. */
    private static Reply s3(Request request, byte[] content, String tag) {
        Matcher range = RANGE.matcher(request.header("Range").orElse(""));
        if (request.header("If-match").filter(wanted -> !wanted.equals(tag)).isPresent()) {
            return Reply.of(412, Map.of(), "<Error><Code>PreconditionFailed</Code></Error>");
        }
        if (!range.matches()) {
            return Reply.of(200, Map.of("ETag", tag), content);
        }
        int from = Integer.parseInt(range.group(1));
        int to = Integer.parseInt(range.group(2)) + 1;
        return Reply.of(206, Map.of("ETag", tag), Arrays.copyOfRange(content, from, to));
    }

    /** Answers the first request in one way, and all others in another. */
    private static Function<Request, Reply> firstThen(Function<Request, Reply> first, Function<Request, Reply> others) {
        AtomicInteger requests = new AtomicInteger();
        return request -> (requests.getAndIncrement() == 0 ? first : others).apply(request);
    }

    @Test
    void aLargeObjectComesInRanges() throws IOException {
        byte[] content = content(LARGE, 1);
        serve(LONG, request -> s3(request, content, "\"one\""));
        Store.Found found = assertInstanceOf(Store.Found.class, get());
        assertArrayEquals(content, found.bytes());
        List<String> ranges = server.requests().stream()
                .flatMap(request -> request.header("Range").stream())
                .sorted()
                .toList();
        assertEquals(List.of("bytes=16777216-16789560", "bytes=8388608-16777215"), ranges);
        assertTrue(server.requests().stream().skip(1).allMatch(request -> request.header("If-match")
                .equals(Optional.of("\"one\""))));
    }

    @Test
    void aBrokenConnectionIsReplacedByOneForTheRest() throws IOException {
        byte[] content = content(LARGE, 2);
        AtomicInteger requests = new AtomicInteger();
        serve(LONG, request -> s3(request, content, "\"one\"").brokenAfter(1_000_000 * requests.incrementAndGet()));
        assertArrayEquals(content, assertInstanceOf(Store.Found.class, get()).bytes());
        assertTrue(server.requests().size() > 3, () -> server.requests().size() + " requests");
    }

    @Test
    void aConnectionThatNeverSendsAnythingIsGivenUp() throws IOException {
        byte[] content = content(1_000, 3);
        serve(LONG, request -> s3(request, content, "\"one\"").brokenAfter(0));
        SoftcallException e = assertThrows(SoftcallException.class, this::get);
        assertEquals(Reason.STORE_UNAVAILABLE, e.reason());
        assertEquals(3, server.requests().size());
    }

    @Test
    void anObjectThatIsReplacedMeanwhileIsReadAnew() throws IOException {
        byte[] one = content(LARGE, 4);
        byte[] other = content(LARGE, 5);
        serve(LONG, firstThen(request -> s3(request, one, "\"one\""), request -> s3(request, other, "\"other\"")));
        Store.Found found = assertInstanceOf(Store.Found.class, get());
        assertEquals("other", found.version());
        assertArrayEquals(other, found.bytes());
    }

    @Test
    void anObjectThatIsRemovedMeanwhileIsMissing() throws IOException {
        byte[] content = content(LARGE, 6);
        Reply gone = Reply.of(404, Map.of(), "<Error><Code>NoSuchKey</Code></Error>");
        serve(LONG, firstThen(request -> s3(request, content, "\"one\""), request -> gone));
        assertInstanceOf(Store.Missing.class, get());
    }

    @Test
    void aTransferEndsInTime() throws IOException {
        byte[] content = content(1_000_000, 7);
        serve(Duration.ofMillis(300), request -> {
            pause(20);
            return s3(request, content, "\"one\"").brokenAfter(1);
        });
        long began = System.nanoTime();
        SoftcallException e = assertThrows(SoftcallException.class, this::get);
        assertTrue(e.getMessage().contains("softcall.store.transfer-time"), e::getMessage);
        assertTrue(System.nanoTime() - began < LONG.toNanos());
    }

    @Test
    void aServerThatKnowsNoRangesIsSaidTo() throws IOException {
        byte[] content = content(LARGE, 8);
        serve(LONG, request -> Reply.of(200, TAG, content));
        SoftcallException e = assertThrows(SoftcallException.class, this::get);
        assertTrue(e.getMessage().contains("answered the request for a range, bytes="), e::getMessage);
    }

    private static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
