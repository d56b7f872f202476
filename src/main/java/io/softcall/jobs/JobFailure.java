package io.softcall.jobs;

import io.softcall.Printable;
import java.io.IOException;

/** Why a job has no result, whoever tries again: its message names the file's fault. */
final class JobFailure extends IOException {

    private static final long serialVersionUID = 1L;

    /** What is at fault; README's table of errors is for calls, these two are for files. */
    enum Code {
        /** The file cannot be read: damaged, of an unknown format, or without a text. */
        BAD_FILE,
        /** This version of the file is no longer there. */
        INPUT_GONE
    }

    private final Code code;

    JobFailure(Code code, String message) {
        super(Printable.of(message));
        this.code = code;
    }

    static JobFailure badFile(String format, Object... arguments) {
        return new JobFailure(Code.BAD_FILE, format.formatted(arguments));
    }

    static JobFailure inputGone(Input input) {
        return new JobFailure(
                Code.INPUT_GONE,
                "%s in bucket %s is not, or no longer, the version %s: it was overwritten or deleted"
                        .formatted(input.key(), input.bucket(), input.etag()));
    }

    Code code() {
        return code;
    }
}
