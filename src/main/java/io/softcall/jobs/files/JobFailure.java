package io.softcall.jobs.files;

import io.softcall.Printable;
import java.io.IOException;
import java.util.Locale;

/** Why a job has no result, whoever tries again: its message names the file's fault. */
public final class JobFailure extends IOException {

    private static final long serialVersionUID = 1L;

    /** What is at fault; docs/errors.md is for calls, these are for jobs. */
    public enum Code {
        /** The file cannot be read: damaged, of an unknown format, or without a text. */
        BAD_FILE,
        /** This version of the file is no longer there. */
        INPUT_GONE,
        /** Somebody wanted no more of it. */
        CANCELLED;

        /** As manifests and reports write it. */
        public String text() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private final Code code;

    JobFailure(Code code, String message) {
        super(Printable.of(message));
        this.code = code;
    }

    public static JobFailure badFile(String format, Object... arguments) {
        return new JobFailure(Code.BAD_FILE, format.formatted(arguments));
    }

    public static JobFailure inputGone(Input input) {
        return new JobFailure(
                Code.INPUT_GONE,
                "%s in bucket %s is not, or no longer, the version %s: it was overwritten or deleted"
                        .formatted(input.key(), input.bucket(), input.etag()));
    }

    public static JobFailure cancelled() {
        return new JobFailure(Code.CANCELLED, "the job was cancelled; without its folder it would begin anew");
    }

    public Code code() {
        return code;
    }
}
