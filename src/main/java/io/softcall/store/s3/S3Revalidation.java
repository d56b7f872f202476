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
 * Asks S3 whether an object still is the version that is known, which every call does. The SDK signs each request anew and makes
 * an exception of each 304: milliseconds of processor time, beside a text that takes tens. Here the request is signed once for some
 * minutes (presigned; {@code If-None-Match} is no part of what is signed) and sent as it is. Only 304 is understood: whatever
 * else comes, or does not come, is for the SDK to find out, with its retries, clock, regions and errors.
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
    /** Empty: the server does not answer such requests as it answers the SDK's. */
    private final Cache<Location, Optional<SdkHttpRequest>> signed = Caffeine.newBuilder()
            .maximumSize(MAX_SIGNED)
            .expireAfterWrite(USED_FOR)
            .build();

    private record Location(String bucket, String key) {}

    /** What the server said. */
    enum Said {
        UNCHANGED,
        SOMETHING_ELSE,
        NOTHING
    }

    /** @param clock ends what takes too long; not closed with this */
    S3Revalidation(SdkHttpClient http, ScheduledExecutorService clock, S3Presigner presigner) {
        this.http = http;
        this.clock = clock;
        this.presigner = presigner;
    }

    /**
     * @param version as {@link ETag} has it
     * @param limit for all of it
     */
    Said ask(String bucket, String key, String version, Duration limit) {
        Location location = new Location(bucket, key);
        try {
            Optional<SdkHttpRequest> known = signed.get(location, this::sign);
            return known.isEmpty() ? Said.NOTHING : ask(location, known.get(), version, limit);
        } catch (IOException | RuntimeException e) {
            // The SDK says it better.
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

    /** The SDK was told that the object is unchanged, and this was told something else: for a while only the SDK asks. */
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
