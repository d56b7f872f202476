package io.softcall.jobs.formats;

import io.softcall.jobs.files.Compression;
import io.softcall.jobs.files.JobFailure;
import java.util.Arrays;
import java.util.List;

/** The format of a file, by the suffix of its name. */
public enum Format {
    JSONL(".jsonl", ".ndjson"),
    CSV(".csv"),
    PARQUET(".parquet");

    private final List<String> suffixes;

    Format(String... suffixes) {
        this.suffixes = List.of(suffixes);
    }

    /** @throws JobFailure when the name has no known suffix */
    static Format of(String key) throws JobFailure {
        Compression compression = Compression.of(key);
        String name = compression.strip(key);
        return Arrays.stream(values())
                .filter(format -> format.suffixes.stream().anyMatch(name::endsWith))
                .filter(format -> format != PARQUET || compression == Compression.NONE)
                .findFirst()
                .orElseThrow(() -> JobFailure.badFile(
                        "%s is of no known format, expected .jsonl, .ndjson or .csv, each also with .gz or .zst, or .parquet",
                        key));
    }
}
