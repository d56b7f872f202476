package io.softcall.jobs.run;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.jobs.files.Compression;
import io.softcall.jobs.files.Input;
import io.softcall.jobs.files.Limits;
import io.softcall.jobs.files.Range;
import io.softcall.jobs.formats.Format;
import java.time.Instant;
import java.util.List;
import java.util.OptionalInt;

/**
 * The plan of a job: every setting that affects its results. All instances follow the stored plan.
 *
 * @param task the task of rows that name none; null when there is none
 * @param scores whether results contain the probability of every label
 * @param truncate number of tokens to which texts are cut; -1: as many as are accepted; 0: texts are not cut
 * @param partRows number of rows in a part of a file that is not split
 * @param maxBytes maximum uncompressed size of the file; 0 in old plans: no bound
 * @param maxRows maximum number of rows in the file; 0 in old plans: no bound
 * @param parts null when the file can only be read from its start; its parts are then found while it is read
 */
@RegisterForReflection
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Plan(
        Input input,
        Format format,
        Compression compression,
        String task,
        boolean scores,
        int truncate,
        int rowBytes,
        int partRows,
        long maxBytes,
        long maxRows,
        List<Range> parts,
        Instant started) {

    public Plan {
        require(input != null && format != null && compression != null && started != null, "a field");
        require(rowBytes > 0 && partRows > 0 && maxBytes >= 0 && maxRows >= 0, "a bound");
        parts = parts == null ? null : List.copyOf(parts);
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new IllegalArgumentException(what + " is missing or impossible");
        }
    }

    public boolean isSplit() {
        return parts != null;
    }

    public Limits limits() {
        return new Limits(rowBytes, maxBytes == 0 ? Long.MAX_VALUE : maxBytes, maxRows == 0 ? Long.MAX_VALUE : maxRows);
    }

    OptionalInt truncateTokens() {
        return truncate == 0 ? OptionalInt.empty() : OptionalInt.of(truncate < 0 ? Integer.MAX_VALUE : truncate);
    }
}
