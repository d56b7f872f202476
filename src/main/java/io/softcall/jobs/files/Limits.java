package io.softcall.jobs.files;

/**
 * How much of a file is read.
 *
 * @param rowBytes of a row, or characters
 * @param bytes of the whole file, unpacked
 * @param rows of the whole file
 */
public record Limits(int rowBytes, long bytes, long rows) {

    public JobFailure tooManyBytes() {
        return JobFailure.badFile("the file has more than %d bytes, unpacked (softcall.jobs.max-bytes)", bytes);
    }

    public JobFailure tooManyRows() {
        return JobFailure.badFile("the file has more than %d rows (softcall.jobs.max-rows)", rows);
    }
}
