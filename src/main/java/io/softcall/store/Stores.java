package io.softcall.store;

import jakarta.enterprise.inject.Instance;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.net.URI;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.services.s3.S3ClientBuilder;

/** Opens the store that {@code softcall.store.uri} names. */
final class Stores {

    private static final Pattern S3 = Pattern.compile("s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/?");

    @Produces
    @Singleton
    Store store(StoreConfig config, Instance<S3ClientBuilder> s3) {
        String uri = config.uri();
        long maxBytes = config.maxArtifactBytes().asLongValue();
        Matcher matcher = S3.matcher(uri);
        if (matcher.matches()) {
            String path = matcher.group(2);
            return new S3Store(
                    client(s3.get(), config).build(),
                    matcher.group(1),
                    path == null || path.isEmpty() ? "" : path + "/",
                    maxBytes);
        }
        if (uri.startsWith("file:")) {
            String path = uri.startsWith("file:///") ? URI.create(uri).getPath() : uri.substring("file:".length());
            return new FileStore(Path.of(path), maxBytes);
        }
        throw new IllegalArgumentException(
                "softcall.store.uri=%s: expected s3://bucket/prefix or file:/dir".formatted(uri));
    }

    private static S3ClientBuilder client(S3ClientBuilder builder, StoreConfig config) {
        return builder
                // S3 look-alikes know neither virtual-hosted buckets nor the newer checksums.
                .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
                .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
                .overrideConfiguration(builder.overrideConfiguration().toBuilder()
                        .apiCallTimeout(config.timeout())
                        .retryStrategy(AwsRetryStrategy.standardRetryStrategy())
                        .build());
    }
}
