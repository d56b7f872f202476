package io.softcall.store;

import io.softcall.SoftcallException;
import io.softcall.SoftcallException.Reason;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.core.sync.ResponseTransformer;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.HeadObjectRequest;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Request;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;

/** A bucket on any S3-compatible server with conditional writes. An object's version is its ETag without the quotes. */
final class S3Bucket implements Bucket {

    /** For one request, retries included; the client's own limit is that of a call that somebody waits for. */
    private static final AwsRequestOverrideConfiguration PATIENT = AwsRequestOverrideConfiguration.builder()
            .apiCallTimeout(Duration.ofSeconds(60))
            .apiCallAttemptTimeout(Duration.ofSeconds(20))
            .build();

    private final S3Client client;
    private final String bucket;
    private final String prefix;

    /** @param prefix empty, or a key prefix that ends in {@code /} */
    S3Bucket(S3Client client, String bucket, String prefix) {
        this.client = client;
        this.bucket = bucket;
        this.prefix = prefix;
    }

    @Override
    public Optional<Stat> stat(String key) {
        var request = HeadObjectRequest.builder()
                .bucket(bucket)
                .key(prefix + key)
                .overrideConfiguration(PATIENT)
                .build();
        return unlessGone(() -> {
            var response = client.headObject(request);
            return new Stat(response.eTag().replace("\"", ""), response.contentLength());
        });
    }

    @Override
    public Optional<byte[]> read(String key, String version, long from, int length) {
        var request = GetObjectRequest.builder()
                .bucket(bucket)
                .key(prefix + key)
                .ifMatch('"' + version + '"')
                .range("bytes=%d-%d".formatted(from, from + length - 1))
                .overrideConfiguration(PATIENT)
                .build();
        return unlessGone(
                () -> client.getObject(request, ResponseTransformer.toBytes()).asByteArrayUnsafe());
    }

    private <T> Optional<T> unlessGone(Supplier<T> request) {
        try {
            return Optional.of(request.get());
        } catch (S3Exception e) {
            boolean bucketIsGone = e.awsErrorDetails() != null
                    && "NoSuchBucket".equals(e.awsErrorDetails().errorCode());
            if (e.statusCode() == 412 || e.statusCode() == 404 && !bucketIsGone) {
                return Optional.empty();
            }
            throw S3Failures.of(uri(), e);
        } catch (SdkException e) {
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
                .overrideConfiguration(PATIENT)
                .build();
        try {
            client.putObject(request, body);
            return true;
        } catch (S3Exception e) {
            if (e.statusCode() == 412) {
                return false;
            }
            if (e.statusCode() == 409) {
                // Somebody else is creating it: who asks again will know.
                throw new SoftcallException(
                        Reason.STORE_UNAVAILABLE, "store %s: a write of %s is under way".formatted(uri(), key), e);
            }
            throw S3Failures.of(uri(), e);
        } catch (SdkException e) {
            throw S3Failures.of(uri(), e);
        }
    }

    @Override
    public List<String> list(String start, int limit) {
        List<String> keys = new ArrayList<>();
        String startAfter = "";
        try {
            while (true) {
                var response = client.listObjectsV2(ListObjectsV2Request.builder()
                        .bucket(bucket)
                        .prefix(prefix + start)
                        .startAfter(startAfter)
                        .overrideConfiguration(PATIENT)
                        .build());
                for (S3Object object : response.contents()) {
                    startAfter = object.key();
                    keys.add(object.key().substring(prefix.length()));
                    if (keys.size() == limit) {
                        return keys;
                    }
                }
                if (!response.isTruncated() || response.contents().isEmpty()) {
                    return keys;
                }
            }
        } catch (SdkException e) {
            throw S3Failures.of(uri(), e);
        }
    }

    @Override
    public String uri() {
        return "s3://" + bucket + "/" + prefix;
    }
}
