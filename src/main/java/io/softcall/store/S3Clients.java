package io.softcall.store;

import jakarta.inject.Singleton;
import software.amazon.awssdk.services.s3.S3Client;

/** Holds the S3 client that Quarkus configures. A bean of its own, so that file stores never pay for a client. */
@Singleton
class S3Clients {

    private final S3Client client;

    S3Clients(S3Client client) {
        this.client = client;
    }

    S3Client client() {
        return client;
    }
}
