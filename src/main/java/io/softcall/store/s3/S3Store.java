package io.softcall.store.s3;

import io.softcall.Sha256;
import io.softcall.SoftcallException;
import io.softcall.store.Failures;
import io.softcall.store.Loading;
import io.softcall.store.Location;
import io.softcall.store.Store;
import io.softcall.store.TimeLimits;
import io.softcall.store.s3.S3Revalidation.Said;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ScheduledExecutorService;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.core.ResponseInputStream;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;

/** A bucket on any S3-compatible server. An object's version is its ETag without the quotes. */
public final class S3Store implements Store {

    /** The object's metadata in which {@code softcall push} records what it stores. */
    private static final String SHA256 = "softcall-sha256";

    /** The number of objects that a listing requests for each object of its limit, because other objects lie between them. */
    private static final int OBJECTS_OF_A_TASK = 2;

    private static final int OTHERS = 10;

    /** The bound on a content: an array must hold it and one more byte. */
    private static final long MAX_ARRAY = Integer.MAX_VALUE - 16;

    private static final int NOT_MODIFIED = 304;

    private final S3Client client;
    private final S3Revalidation revalidation;
    private final String bucket;
    private final String prefix;
    private final long maxBytes;
    private final TimeLimits limits;
    private final ScheduledExecutorService clock;

    /** @param prefix empty, or a key prefix that ends with {@code /} */
    public S3Store(S3Clients clients, String bucket, String prefix, long maxBytes, TimeLimits limits) {
        this.client = clients.client();
        this.revalidation = clients.revalidation();
        this.clock = clients.clock();
        this.limits = limits;
        this.bucket = bucket;
        this.prefix = prefix;
        this.maxBytes = Math.min(maxBytes, MAX_ARRAY);
    }

    @Override
    public Answer get(String key, Optional<String> known, Loading.Lease lease) {
        long end = System.nanoTime() + limits.answer().plus(limits.transfer()).toNanos();
        while (true) {
            try {
                return getOnce(key, known, lease);
            } catch (S3Transfer.ReplacedException e) {
                if (System.nanoTime() - end >= 0) {
                    throw Failures.lateTransfer(uri());
                }
            }
        }
    }

    private Answer getOnce(String key, Optional<String> known, Loading.Lease lease)
            throws S3Transfer.ReplacedException {
        long began = System.nanoTime();
        Said said = known.map(version -> revalidation.ask(bucket, prefix + key, version, limits.answer()))
                .orElse(Said.NOTHING);
        if (said == Said.UNCHANGED) {
            return new Unchanged();
        }
        Duration left = limits.answer().minusNanos(System.nanoTime() - began);
        if (!left.isPositive()) {
            throw Failures.late(uri());
        }
        var builder =
                GetObjectRequest.builder().bucket(bucket).key(prefix + key).overrideConfiguration(within(left));
        known.ifPresent(version -> builder.ifNoneMatch(ETag.header(version)));
        GetObjectRequest request = builder.build();
        try {
            // The stream is returned with the first byte, so the SDK's time limit is that of the answer.
            ResponseInputStream<GetObjectResponse> answer = client.getObject(request);
            return read(answer, request, lease);
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

    private Answer read(ResponseInputStream<GetObjectResponse> answer, GetObjectRequest request, Loading.Lease lease)
            throws S3Transfer.ReplacedException {
        try {
            GetObjectResponse response = answer.response();
            String version = ETag.version(uri(), response.eTag());
            Optional<Long> told = Optional.ofNullable(response.contentLength());
            if (told.filter(length -> length > maxBytes).isPresent()) {
                answer.abort();
                return new TooLarge(version, told.get(), maxBytes);
            }
            S3Transfer transfer = new S3Transfer(client, clock, uri(), limits);
            int most = Math.toIntExact(told.orElse(maxBytes + 1));
            lease.take(most);
            byte[] bytes = told.isPresent()
                    ? transfer.read(answer, request, response.eTag(), most)
                    : transfer.read(answer, most);
            if (bytes.length > maxBytes) {
                answer.abort();
                return new TooLarge(version, bytes.length, maxBytes);
            }
            return checked(response, version, bytes, lease);
        } catch (RuntimeException e) {
            answer.abort();
            throw e;
        }
    }

    private static Answer checked(GetObjectResponse response, String version, byte[] bytes, Loading.Lease lease) {
        Optional<String> recorded = Optional.ofNullable(response.metadata().get(SHA256));
        if (recorded.isPresent()) {
            String found = lease.run(() -> Sha256.of(bytes));
            if (!recorded.get().equals(found)) {
                return new Damaged(
                        version, "its SHA-256 is %s, and was %s when it was stored".formatted(found, recorded.get()));
            }
        }
        return new Found(version, orEpoch(response.lastModified()), bytes);
    }

    @Override
    public Page list(String start, String suffix, String after, int limit) {
        try {
            S3Listing listed = S3Listing.ask(
                    client,
                    uri(),
                    bucket,
                    prefix + start,
                    after.isEmpty() ? "" : prefix + after,
                    OTHERS + OBJECTS_OF_A_TASK * limit,
                    within(limits.answer()));
            List<Entry> entries = listed.objects().stream()
                    .filter(object -> object.key().endsWith(suffix))
                    .limit(limit)
                    .map(this::entry)
                    .toList();
            Optional<String> next = entries.size() == limit
                    ? Optional.of(entries.getLast().key())
                    : Optional.of(listed)
                            .filter(S3Listing::more)
                            .map(more -> more.objects().getLast().key().substring(prefix.length()));
            return new Page(entries, next, true);
        } catch (RuntimeException e) {
            throw failure(e);
        }
    }

    private Entry entry(S3Object object) {
        return new Entry(object.key().substring(prefix.length()), orEpoch(object.lastModified()));
    }

    /** Replaces a missing time, because some servers do not send it. */
    private static Instant orEpoch(Instant modified) {
        return modified == null ? Instant.EPOCH : modified;
    }

    @Override
    public String uri() {
        return Location.S3_SCHEME + bucket + "/" + prefix;
    }

    private static AwsRequestOverrideConfiguration within(Duration limit) {
        return AwsRequestOverrideConfiguration.builder().apiCallTimeout(limit).build();
    }

    private SoftcallException failure(RuntimeException e) {
        return S3Failures.of(uri(), e);
    }
}
