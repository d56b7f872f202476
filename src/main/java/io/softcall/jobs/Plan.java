package io.softcall.jobs;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.quarkus.runtime.annotations.RegisterForReflection;
import java.time.Instant;
import java.util.List;
import java.util.OptionalInt;

/**
 * A job as it was begun: every setting that has a say in its results. Whoever works on the job follows the one that is stored.
 *
 * @param task for rows that name none; null: there is none
 * @param scores whether results name every label's probability
 * @param truncate tokens to which texts are cut; -1: as many as are accepted; 0: not
 * @param partRows rows of a part where the file is read whole
 * @param parts null where the file can only be read from its start, so that parts show while it is read
 */
@RegisterForReflection
@JsonInclude(JsonInclude.Include.NON_NULL)
record Plan(
        Input input,
        Format format,
        Compression compression,
        String task,
        boolean scores,
        int truncate,
        int rowBytes,
        int partRows,
        List<Range> parts,
        Instant started) {

    /** Parts of one job; a larger file has larger parts. */
    static final int MAX_PARTS = 10_000;

    /** Bytes [from, to) of JSONL, or rows [from, to) of Parquet. */
    @RegisterForReflection
    record Range(long from, long to) {}

    boolean isSplit() {
        return parts != null;
    }

    OptionalInt truncateTokens() {
        return truncate == 0 ? OptionalInt.empty() : OptionalInt.of(truncate < 0 ? Integer.MAX_VALUE : truncate);
    }
}
