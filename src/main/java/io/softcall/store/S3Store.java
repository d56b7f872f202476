package io.softcall.store;

import io.softcall.SoftcallException;
import io.softcall.store.S3Revalidation.Said;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.ResponseTransformer;
import software.amazon.awssdk.http.AbortableInputStream;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Request;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;

/** A bucket on any S3-compatible server. An object's version is its ETag without the quotes. */
final class S3Store implements Store {

    /** The object's metadata in which {@code softcall push} records what it stores. */
    private static final String SHA256 = "softcall-sha256";

    /** A bound on the foreign objects that one listing looks past. */
    private static final int MAX_LIST_REQUESTS = 20;

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
        this.maxBytes = maxBytes;
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
        var request = GetObjectRequest.builder()
                .bucket(bucket)
                .key(prefix + key)
                .overrideConfiguration(override -> override.apiCallTimeout(left));
        known.ifPresent(version -> request.ifNoneMatch('"' + version + '"'));
        try {
            // A transformer runs inside the client's timeouts and retries; a plain stream would be read outside them.
            ResponseTransformer<GetObjectResponse, Answer> bounded = this::read;
            return client.getObject(request.build(), bounded);
        } catch (NoSuchKeyException e) {
            return new Missing();
        } catch (S3Exception e) {
            return switch (e.statusCode()) {
                case 304 -> {
                    if (said == Said.SOMETHING_ELSE) {
                        revalidation.leaveToTheSdk(bucket, prefix + key);
                    }
                    yield new Unchanged();
                }
                case 404 -> missing(e);
                default -> throw failure(e);
            };
        } catch (SdkException e) {
            throw failure(e);
        }
    }

    private Answer read(GetObjectResponse response, AbortableInputStream body) throws IOException {
        String version = response.eTag().replace("\"", "");
        if (response.contentLength() > maxBytes) {
            body.abort();
            return new TooLarge(version, response.contentLength(), maxBytes);
        }
        byte[] bytes = body.readNBytes(Math.toIntExact(response.contentLength()));
        if (bytes.length < response.contentLength()) {
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

    private Answer missing(S3Exception e) {
        if (e.awsErrorDetails() != null
                && "NoSuchBucket".equals(e.awsErrorDetails().errorCode())) {
            throw failure(e);
        }
        return new Missing();
    }

    @Override
    public Page list(String suffix, String after, int limit) {
        List<String> keys = new ArrayList<>();
        String startAfter = after.isEmpty() ? "" : prefix + after;
        try {
            for (int i = 0; i < MAX_LIST_REQUESTS; i++) {
                var response = client.listObjectsV2(ListObjectsV2Request.builder()
                        .bucket(bucket)
                        .prefix(prefix)
                        .startAfter(startAfter)
                        .overrideConfiguration(override -> override.apiCallTimeout(timeout))
                        .build());
                for (S3Object object : response.contents()) {
                    startAfter = object.key();
                    if (object.key().endsWith(suffix)) {
                        keys.add(object.key().substring(prefix.length()));
                    }
                    if (keys.size() > limit) {
                        keys.removeLast();
                        return new Page(keys, Optional.of(keys.getLast()));
                    }
                }
                if (!response.isTruncated() || response.contents().isEmpty()) {
                    return new Page(keys, Optional.empty());
                }
            }
        } catch (SdkException e) {
            throw failure(e);
        }
        return new Page(keys, Optional.of(startAfter.substring(prefix.length())));
    }

    @Override
    public String uri() {
        return "s3://" + bucket + "/" + prefix;
    }

    private SoftcallException failure(SdkException e) {
        return S3Failures.of(uri(), e);
    }
}
