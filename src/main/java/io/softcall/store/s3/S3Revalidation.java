package io.softcall.store.s3;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.http.Abortable;
import software.amazon.awssdk.http.ExecutableHttpRequest;
import software.amazon.awssdk.http.HttpExecuteRequest;
import software.amazon.awssdk.http.HttpExecuteResponse;
import software.amazon.awssdk.http.SdkHttpClient;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/**
 * Asks S3 whether an object still has the known version, at every call. The SDK would sign each request and turn each 304 into
 * an exception. That takes milliseconds of processor time, while a text takes tens. So this class signs a request once for some
 * minutes (presigned; {@code If-None-Match} is not a part of the signature) and sends it unchanged. It understands only 304.
 * All other answers and failures are left to the SDK, with its retries, clock, regions and errors.
 */
final class S3Revalidation implements AutoCloseable {

    private static final Duration SIGNED_FOR = Duration.ofMinutes(15);
    private static final Duration USED_FOR = Duration.ofMinutes(10);
    private static final int MAX_SIGNED = 10_000;
    private static final int CHANGED = 200;
    private static final int NOT_MODIFIED = 304;

    private final SdkHttpClient http;
    private final ScheduledExecutorService clock;
    private final S3Presigner presigner;
    /** Signed requests. An empty value means that the server answers such requests differently from those of the SDK. */
    private final Cache<Location, Optional<SdkHttpRequest>> signed = Caffeine.newBuilder()
            .maximumSize(MAX_SIGNED)
            .expireAfterWrite(USED_FOR)
            .build();

    private record Location(String bucket, String key) {}

    /** The server's answer. */
    enum Said {
        UNCHANGED,
        SOMETHING_ELSE,
        NOTHING
    }

    /** @param clock ends requests that take too long; not closed with this */
    S3Revalidation(SdkHttpClient http, ScheduledExecutorService clock, S3Presigner presigner) {
        this.http = http;
        this.clock = clock;
        this.presigner = presigner;
    }

    /**
     * Revalidates an object.
     *
     * @param version as {@link ETag} returns it
     * @param limit the time limit of the whole revalidation
     */
    Said ask(String bucket, String key, String version, Duration limit) {
        Location location = new Location(bucket, key);
        try {
            Optional<SdkHttpRequest> known = signed.get(location, this::sign);
            return known.isEmpty() ? Said.NOTHING : ask(location, known.get(), version, limit);
        } catch (IOException | RuntimeException e) {
            // The SDK sends the request again, and its error explains more.
            signed.invalidate(location);
            return Said.NOTHING;
        }
    }

    private Said ask(Location location, SdkHttpRequest known, String version, Duration limit) throws IOException {
        SdkHttpRequest request = known.copy(builder -> builder.putHeader("If-None-Match", ETag.header(version)));
        ExecutableHttpRequest call = http.prepareRequest(
                HttpExecuteRequest.builder().request(request).build());
        Future<?> timer = clock.schedule(call::abort, limit.toNanos(), TimeUnit.NANOSECONDS);
        try {
            HttpExecuteResponse response = call.call();
            response.responseBody().ifPresent(Abortable::abort);
            int status = response.httpResponse().statusCode();
            if (status != NOT_MODIFIED && status != CHANGED) {
                signed.invalidate(location);
            }
            return status == NOT_MODIFIED ? Said.UNCHANGED : Said.SOMETHING_ELSE;
        } finally {
            timer.cancel(false);
        }
    }

    /**
     * Leaves an object to the SDK for some minutes, because the server told the SDK that it is unchanged, but gave this class
     * another answer.
     */
    void leaveToTheSdk(String bucket, String key) {
        signed.put(new Location(bucket, key), Optional.empty());
    }

    private Optional<SdkHttpRequest> sign(Location location) {
        return Optional.of(presigner
                .presignGetObject(presign -> presign.signatureDuration(SIGNED_FOR)
                        .getObjectRequest(get -> get.bucket(location.bucket()).key(location.key())))
                .httpRequest());
    }

    @Override
    public void close() {
        presigner.close();
    }
}
