package io.softcall.jobs.run;

import io.quarkus.runtime.configuration.MemorySize;
import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Which files are classified, with which tasks, and where results go. */
@ConfigMapping(prefix = "softcall.jobs")
public interface JobsConfig {

    /** {@code s3://bucket/prefix} or {@code file:/dir} for results. None: jobs are off. */
    Optional<String> output();

    /** The only buckets that are read or written: names of S3 buckets, or {@code file:/dir}. */
    Optional<List<String>> buckets();

    /** Pattern of the keys whose files are classified, in which {@code *} stands for any characters; others are passed over. */
    @WithDefault("*")
    String keys();

    /** Tasks by a name of your choice; the first whose pattern fits a key is that of rows without a task. */
    Map<String, Rule> rules();

    /** Topics of SNS whose subscriptions to {@code POST /v1/jobs} are confirmed. */
    Optional<List<String>> snsTopics();

    /** Where parts are handed out as events. None: the instance does all parts itself. */
    Optional<URI> broker();

    /** Whether results name every label's probability. */
    @WithDefault("false")
    boolean scores();

    /** Cuts texts to this many tokens; -1: to as many as are accepted; 0: long texts are errors of their rows. */
    @WithDefault("0")
    int truncatePromptTokens();

    /** A part of uncompressed JSONL. */
    @WithDefault("1M")
    MemorySize partBytes();

    /** Rows of a part of any other file. */
    @WithDefault("10000")
    int partRows();

    /** A longer row is an error. */
    @WithDefault("1M")
    MemorySize rowBytes();

    /** A file that unpacks to more is bad. */
    @WithDefault("64G")
    MemorySize maxBytes();

    /** A file with more rows is bad; one that is split by its bytes, if a part of it has more. */
    @WithDefault("100000000")
    long maxRows();

    /** Rows of one job that wait or run at once. */
    @WithDefault("384")
    int rowsInFlight();

    /** Jobs, or parts of jobs, that run at once. */
    @WithDefault("2")
    int concurrent();

    /** Events that may wait for their turn; more are answered 429. */
    @WithDefault("1000")
    int waiting();

    /** How long a job goes on asking a store that does not answer. */
    @WithDefault("30s")
    Duration storePatience();

    /** A task for the rows of some files. */
    interface Rule {
        /** Pattern of keys, in which {@code *} stands for any characters. */
        String keys();

        String task();
    }
}
