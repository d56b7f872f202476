package io.softcall.store.s3;

import io.softcall.store.StoreConfig;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.http.SdkHttpClient;
import software.amazon.awssdk.http.apache.ApacheHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.regions.providers.AwsProfileRegionProvider;
import software.amazon.awssdk.regions.providers.AwsRegionProviderChain;
import software.amazon.awssdk.regions.providers.SystemSettingsRegionProvider;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/**
 * Creates the S3 client. The AWS SDK finds credentials, endpoint and region: in the environment, system properties, a profile
 * or a role. This is a bean of its own, so that servers with a file store do not create a client.
 */
@Singleton
public class S3Clients {

    private static final int MAX_CONNECTIONS = 256;
    private static final Duration CONNECTION_TIMEOUT = Duration.ofSeconds(1);

    private final SdkHttpClient http = ApacheHttpClient.builder()
            .maxConnections(MAX_CONNECTIONS)
            .connectionTimeout(CONNECTION_TIMEOUT)
            .build();
    /** Shared by both clients, so that the credentials of a role are requested once. */
    private final DefaultCredentialsProvider credentials =
            DefaultCredentialsProvider.builder().build();

    /** Ends requests that take too long. */
    private final ScheduledThreadPoolExecutor clock = newClock();

    private final S3Client client;
    private final S3Revalidation revalidation;

    S3Clients(StoreConfig config) {
        Region region = region();
        client = S3Client.builder()
                .region(region)
                .credentialsProvider(credentials)
                .httpClient(http)
                .overrideConfiguration(
                        override -> override.apiCallTimeout(config.timeout()).scheduledExecutorService(clock))
                // Servers other than AWS's need these settings.
                .forcePathStyle(true)
                .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
                .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
                .build();
        S3Configuration paths =
                S3Configuration.builder().pathStyleAccessEnabled(true).build();
        revalidation = new S3Revalidation(
                http,
                clock,
                S3Presigner.builder()
                        .region(region)
                        .credentialsProvider(credentials)
                        .serviceConfiguration(paths)
                        .build());
    }

    /**
     * Creates the clock. It removes cancelled tasks at once, because each one would keep a whole request in memory until its
     * time.
     */
    private static ScheduledThreadPoolExecutor newClock() {
        ScheduledThreadPoolExecutor clock = new ScheduledThreadPoolExecutor(
                1, Thread.ofPlatform().name("s3-clock").daemon().factory());
        clock.setRemoveOnCancelPolicy(true);
        return clock;
    }

    /**
     * Finds the region. The SDK's last resort, a request to the machine's metadata service, is left out: elsewhere than on AWS
     * nothing answers it, and any region will do.
     */
    private static Region region() {
        return new AwsRegionProviderChain(
                        new SystemSettingsRegionProvider(),
                        () -> Optional.ofNullable(System.getenv("AWS_DEFAULT_REGION"))
                                .map(Region::of)
                                .orElse(null),
                        new AwsProfileRegionProvider(),
                        () -> Region.US_EAST_1)
                .getRegion();
    }

    public S3Client client() {
        return client;
    }

    /** Returns the clock that ends requests. */
    ScheduledExecutorService clock() {
        return clock;
    }

    S3Revalidation revalidation() {
        return revalidation;
    }

    @PreDestroy
    void close() {
        revalidation.close();
        client.close();
        credentials.close();
        http.close();
        clock.shutdownNow();
    }
}
