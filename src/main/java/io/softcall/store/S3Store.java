package io.softcall.store;

import io.softcall.SoftcallException;
import io.softcall.store.S3Revalidation.Said;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.core.sync.ResponseTransformer;
import software.amazon.awssdk.http.AbortableInputStream;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;

/** A bucket on any S3-compatible server. An object's version is its ETag without the quotes. */
final class S3Store implements Store {

    /** The object's metadata in which {@code softcall push} records what it stores. */
    private static final String SHA256 = "softcall-sha256";

    /** A bound on the foreign objects that one listing looks past. */
    private static final int MAX_LIST_REQUESTS = 20;

    /** What fits into an array, and one byte more. */
    private static final long MAX_ARRAY = Integer.MAX_VALUE - 16;

    private static final int NOT_MODIFIED = 304;

    private final S3Client client;
    private final S3Revalidation revalidation;
    private final String bucket;
    private final String prefix;
    private final long maxBytes;
    private final Duration timeout;

    /**
     * @param prefix empty, or a key prefix that ends in {@code /}
     * @param timeout for one answer
     */
    S3Store(S3Clients clients, String bucket, String prefix, long maxBytes, Duration timeout) {
        this.client = clients.client();
        this.revalidation = clients.revalidation();
        this.timeout = timeout;
        this.bucket = bucket;
        this.prefix = prefix;
        this.maxBytes = Math.min(maxBytes, MAX_ARRAY);
    }

    @Override
    public Answer get(String key, Optional<String> known) {
        long began = System.nanoTime();
        Said said = known.map(version -> revalidation.ask(bucket, prefix + key, version, timeout))
                .orElse(Said.NOTHING);
        if (said == Said.UNCHANGED) {
            return new Unchanged();
        }
        Duration left = timeout.minusNanos(System.nanoTime() - began);
        if (!left.isPositive()) {
            throw S3Failures.late(uri());
        }
        var request =
                GetObjectRequest.builder().bucket(bucket).key(prefix + key).overrideConfiguration(within(left));
        known.ifPresent(version -> request.ifNoneMatch(ETag.header(version)));
        try {
            // A transformer runs inside the client's timeouts and retries; a plain stream would be read outside them.
            ResponseTransformer<GetObjectResponse, Answer> bounded = this::read;
            return client.getObject(request.build(), bounded);
        } catch (S3Exception e) {
            if (e.statusCode() == NOT_MODIFIED && known.isPresent()) {
                if (said == Said.SOMETHING_ELSE) {
                    revalidation.leaveToTheSdk(bucket, prefix + key);
                }
                return new Unchanged();
            }
            if (S3Failures.isMissing(e)) {
                return new Missing();
            }
            throw failure(e);
        } catch (RuntimeException e) {
            throw failure(e);
        }
    }

    private Answer read(GetObjectResponse response, AbortableInputStream body) throws IOException {
        String version = ETag.version(uri(), response.eTag());
        if (response.contentLength() != null && response.contentLength() > maxBytes) {
            body.abort();
            return new TooLarge(version, response.contentLength(), maxBytes);
        }
        byte[] bytes = response.contentLength() == null
                ? body.readNBytes((int) maxBytes + 1)
                : body.readNBytes(Math.toIntExact(response.contentLength()));
        if (bytes.length > maxBytes) {
            body.abort();
            return new TooLarge(version, bytes.length, maxBytes);
        }
        if (response.contentLength() != null && bytes.length < response.contentLength()) {
            throw new IOException(
                    "the connection ended after %d of %d bytes".formatted(bytes.length, response.contentLength()));
        }
        return Optional.ofNullable(response.metadata().get(SHA256))
                .filter(recorded -> !recorded.equals(Sha256.of(bytes)))
                .<Answer>map(recorded -> new Damaged(
                        version,
                        "its SHA-256 is %s, and was %s when it was stored".formatted(Sha256.of(bytes), recorded)))
                .orElseGet(() -> new Found(version, bytes));
    }

    @Override
    public Page list(String suffix, String after, int limit) {
        List<String> keys = new ArrayList<>();
        String startAfter = after.isEmpty() ? "" : prefix + after;
        try {
            for (int i = 0; i < MAX_LIST_REQUESTS; i++) {
                S3Listing listed = S3Listing.ask(
                        client, uri(), bucket, prefix, startAfter, S3Listing.MAX_OBJECTS, within(timeout));
                for (S3Object object : listed.objects()) {
                    startAfter = object.key();
                    if (object.key().endsWith(suffix)) {
                        keys.add(object.key().substring(prefix.length()));
                    }
                    if (keys.size() > limit) {
                        keys.removeLast();
                        return new Page(keys, Optional.of(keys.getLast()));
                    }
                }
                if (!listed.more()) {
                    return new Page(keys, Optional.empty());
                }
            }
        } catch (RuntimeException e) {
            throw failure(e);
        }
        return new Page(keys, Optional.of(startAfter.substring(prefix.length())));
    }

    @Override
    public String uri() {
        return "s3://" + bucket + "/" + prefix;
    }

    private static AwsRequestOverrideConfiguration within(Duration limit) {
        return AwsRequestOverrideConfiguration.builder().apiCallTimeout(limit).build();
    }

    private SoftcallException failure(RuntimeException e) {
        return S3Failures.of(uri(), e);
    }
}
