package io.softcall.jobs.files;

import io.softcall.Printable;
import java.io.IOException;
import java.util.Locale;

/** The final failure of a job, which a retry would not change. The message names the fault of the file. */
public final class JobFailure extends IOException {

    private static final long serialVersionUID = 1L;

    /** The codes of failed jobs; docs/errors.md lists those of calls. */
    public enum Code {
        /** The file cannot be read: it is damaged, of an unknown format, or without a column of texts. */
        BAD_FILE,
        /** This version of the file no longer exists. */
        INPUT_GONE,
        /** A caller cancelled the job. */
        CANCELLED;

        /** Returns the code as manifests and reports write it. */
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
        return new JobFailure(Code.CANCELLED, "the job was cancelled; delete its folder to run it again");
    }

    public Code code() {
        return code;
    }
}
