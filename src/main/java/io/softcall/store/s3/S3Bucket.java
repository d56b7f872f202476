package io.softcall.store.s3;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import io.softcall.store.Bucket;
import io.softcall.store.Location;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.core.sync.ResponseTransformer;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.HeadObjectRequest;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;

/** A bucket on any S3-compatible server with conditional writes. An object's version is its ETag without the quotes. */
public final class S3Bucket implements Bucket {

    /**
     * The time limits of one request, with its retries. The client's own limit is shorter, because a caller waits for those
     * requests.
     */
    private static final AwsRequestOverrideConfiguration SLOW = AwsRequestOverrideConfiguration.builder()
            .apiCallTimeout(Duration.ofSeconds(60))
            .apiCallAttemptTimeout(Duration.ofSeconds(20))
            .build();

    private static final int PARTIAL_CONTENT = 206;

    private final S3Client client;
    private final String bucket;
    private final String prefix;

    /** @param prefix empty, or a key prefix that ends with {@code /} */
    public S3Bucket(S3Client client, String bucket, String prefix) {
        this.client = client;
        this.bucket = bucket;
        this.prefix = prefix;
    }

    @Override
    public Optional<Stat> stat(String key) {
        var request = HeadObjectRequest.builder()
                .bucket(bucket)
                .key(prefix + key)
                .overrideConfiguration(SLOW)
                .build();
        return unlessGone(() -> {
            var response = client.headObject(request);
            if (response.contentLength() == null) {
                throw S3Failures.strange(uri(), "answered without the length of an object");
            }
            return new Stat(ETag.version(uri(), response.eTag()), response.contentLength());
        });
    }

    @Override
    public Optional<byte[]> read(String key, String version, long from, int length) {
        var request = GetObjectRequest.builder()
                .bucket(bucket)
                .key(prefix + key)
                .ifMatch(ETag.header(version))
                .range("bytes=%d-%d".formatted(from, from + length - 1))
                .overrideConfiguration(SLOW)
                .build();
        ResponseTransformer<GetObjectResponse, byte[]> bounded = (response, body) -> {
            boolean whole = response.sdkHttpResponse().statusCode() != PARTIAL_CONTENT;
            if (whole && from > 0) {
                body.abort();
                throw S3Failures.strange(uri(), "answered a request for a range with the whole object");
            }
            byte[] bytes = body.readNBytes(length);
            if (whole) {
                body.abort();
            }
            return bytes;
        };
        return unlessGone(() -> client.getObject(request, bounded));
    }

    private <T> Optional<T> unlessGone(Supplier<T> request) {
        try {
            return Optional.of(request.get());
        } catch (S3Exception e) {
            if (e.statusCode() == 412 || S3Failures.isMissing(e)) {
                return Optional.empty();
            }
            throw S3Failures.of(uri(), e);
        } catch (RuntimeException e) {
            throw S3Failures.of(uri(), e);
        }
    }

    @Override
    public boolean create(String key, Path content) {
        return create(key, RequestBody.fromFile(content));
    }

    @Override
    public boolean create(String key, byte[] content) {
        return create(key, RequestBody.fromBytes(content));
    }

    private boolean create(String key, RequestBody body) {
        var request = PutObjectRequest.builder()
                .bucket(bucket)
                .key(prefix + key)
                .ifNoneMatch("*")
                .overrideConfiguration(SLOW)
                .build();
        try {
            client.putObject(request, body);
            return true;
        } catch (S3Exception e) {
            if (e.statusCode() == 412) {
                return false;
            }
            if (e.statusCode() == 409) {
                // Another caller is creating the object. A retry will find out whether it succeeded.
                throw new SoftcallException(Reason.STORE_UNAVAILABLE, "a write of the same object is in progress", e)
                        .withDetail("store %s, object %s", uri(), key);
            }
            throw S3Failures.of(uri(), e);
        } catch (RuntimeException e) {
            throw S3Failures.of(uri(), e);
        }
    }

    @Override
    public List<String> list(String start, int limit) {
        List<String> keys = new ArrayList<>();
        String startAfter = "";
        try {
            while (true) {
                S3Listing listed =
                        S3Listing.ask(client, uri(), bucket, prefix + start, startAfter, limit - keys.size(), SLOW);
                for (S3Object object : listed.objects()) {
                    startAfter = object.key();
                    keys.add(object.key().substring(prefix.length()));
                }
                if (!listed.more() || keys.size() >= limit) {
                    return keys;
                }
            }
        } catch (RuntimeException e) {
            throw S3Failures.of(uri(), e);
        }
    }

    @Override
    public String uri() {
        return Location.S3_SCHEME + bucket + "/" + prefix;
    }
}
