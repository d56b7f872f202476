package io.softcall.jobs.run;

import io.quarkus.runtime.configuration.MemorySize;
import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Which files jobs classify, with which tasks, and where results go. */
@ConfigMapping(prefix = "softcall.jobs")
public interface JobsConfig {

    /** {@code s3://bucket/prefix} or {@code file:/dir} for results. When absent, jobs are off. */
    Optional<String> output();

    /** The only buckets that are read or written: names of S3 buckets, or {@code file:/dir}. */
    Optional<List<String>> buckets();

    /** Pattern of the keys whose files are classified; {@code *} matches any characters. Other files are ignored. */
    @WithDefault("*")
    String keys();

    /**
     * Rules by a name that the operator chooses. The first rule that matches a key gives the task of rows that name
     * none.
     */
    Map<String, Rule> rules();

    /** SNS topics whose subscriptions to {@code POST /v1/jobs} are confirmed. */
    Optional<List<String>> snsTopics();

    /** URL to which parts are sent as events. When absent, the instance does all parts itself. */
    Optional<URI> broker();

    /** Whether results contain the probability of every label. */
    @WithDefault("false")
    boolean scores();

    /** Number of tokens to which texts are cut; -1: as many as are accepted; 0: long texts are errors of their rows. */
    @WithDefault("0")
    int truncatePromptTokens();

    /** Size of a part of an uncompressed JSONL file. */
    @WithDefault("1M")
    MemorySize partBytes();

    /** Rows in a part of any other file. */
    @WithDefault("10000")
    int partRows();

    /** Maximum size of a row; a longer row is an error. */
    @WithDefault("1M")
    MemorySize rowBytes();

    /** Maximum uncompressed size of a file; a larger file is refused. */
    @WithDefault("64G")
    MemorySize maxBytes();

    /**
     * Maximum number of rows in a file; for a file that is split by bytes, in each part. A file with more rows is
     * refused.
     */
    @WithDefault("100000000")
    long maxRows();

    /** Maximum number of rows of one job that wait or are classified at a time. */
    @WithDefault("384")
    int rowsInFlight();

    /** Maximum number of jobs, or parts of jobs, in progress. */
    @WithDefault("2")
    int concurrent();

    /** Maximum number of waiting events; more are refused with 429. */
    @WithDefault("1000")
    int waiting();

    /** How long a job retries requests to a store that does not answer. */
    @WithDefault("30s")
    Duration storePatience();

    /** The task of the rows in some files. */
    interface Rule {
        /** Pattern of keys; {@code *} matches any characters. */
        String keys();

        String task();
    }
}
