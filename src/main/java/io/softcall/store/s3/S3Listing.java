package io.softcall.store.s3;

import java.util.List;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Request;
import software.amazon.awssdk.services.s3.model.S3Object;

/**
 * The answer to one question of a listing. One that is no listing reads as an error, not as an empty bucket.
 *
 * @param objects in ascending order of their keys
 * @param more whether others follow behind the last
 */
record S3Listing(List<S3Object> objects, boolean more) {

    /** The most that S3 gives at once. */
    static final int MAX_OBJECTS = 1_000;

    /**
     * @param uri of the store, for messages
     * @param start how the keys begin
     * @param after only keys greater than this one; empty for all
     * @param limit at most this many
     * @throws RuntimeException the SDK's, and what {@link S3Failures} makes of answers that are none
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
            throw S3Failures.strange(uri, "listed what was not asked for");
        }
        boolean more = response.isTruncated() && !objects.isEmpty();
        if (more && objects.getLast().key().equals(after)) {
            throw S3Failures.strange(uri, "lists the same keys again and again");
        }
        return new S3Listing(objects, more);
    }
}
