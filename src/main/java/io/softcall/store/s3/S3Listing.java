package io.softcall.store.s3;

import java.util.List;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Request;
import software.amazon.awssdk.services.s3.model.S3Object;

/**
 * The answer to one request for a listing. An invalid answer is an error, so that it does not look like an empty bucket.
 *
 * @param objects in ascending order of their keys
 * @param more whether other objects follow after the last one
 */
record S3Listing(List<S3Object> objects, boolean more) {

    /** S3's limit on the objects of one answer. */
    static final int MAX_OBJECTS = 1_000;

    /**
     * Requests a listing.
     *
     * @param uri the address of the store, for messages
     * @param start the prefix of the keys
     * @param after a key; only greater keys are listed; empty for all
     * @param limit the largest number of objects
     * @throws RuntimeException an exception of the SDK, or that of {@link S3Failures#strange} for an invalid answer
     */
    static S3Listing ask(
            S3Client client,
            String uri,
            String bucket,
            String start,
            String after,
            int limit,
            AwsRequestOverrideConfiguration timeouts) {
        var response = client.listObjectsV2(ListObjectsV2Request.builder()
                .bucket(bucket)
                .prefix(start)
                .startAfter(after)
                .maxKeys(Math.min(limit, MAX_OBJECTS))
                .overrideConfiguration(timeouts)
                .build());
        if (response.isTruncated() == null) {
            throw S3Failures.strange(uri, "answered a listing without IsTruncated");
        }
        List<S3Object> objects = response.contents();
        if (objects.stream()
                .anyMatch(object -> object.key() == null || !object.key().startsWith(start))) {
            throw S3Failures.strange(uri, "listed objects that were not requested");
        }
        boolean more = response.isTruncated() && !objects.isEmpty();
        if (more && objects.getLast().key().equals(after)) {
            throw S3Failures.strange(uri, "listed the same keys repeatedly");
        }
        return new S3Listing(objects, more);
    }
}
