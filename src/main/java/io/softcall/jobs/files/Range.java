package io.softcall.jobs.files;

import io.quarkus.runtime.annotations.RegisterForReflection;

/** A part of a file: bytes [from, to) of JSONL, or rows [from, to) of Parquet. */
@RegisterForReflection
public record Range(long from, long to) {

    /** Maximum number of parts of one job; a larger file has larger parts. */
    public static final int MAX_PARTS = 10_000;

    public Range {
        if (from < 0 || from > to) {
            throw new IllegalArgumentException("a part's range must not be negative or reversed");
        }
    }
}
