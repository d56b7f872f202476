package io.softcall.jobs.files;

/**
 * Limits of the part of a file that is read.
 *
 * @param rowBytes bytes of a row, or characters in CSV
 * @param bytes uncompressed bytes of the whole file
 * @param rows rows of the whole file
 */
public record Limits(int rowBytes, long bytes, long rows) {

    public JobFailure tooManyBytes() {
        return JobFailure.badFile("the file has more than %d bytes, unpacked (softcall.jobs.max-bytes)", bytes);
    }

    public JobFailure tooManyRows() {
        return JobFailure.badFile("the file has more than %d rows (softcall.jobs.max-rows)", rows);
    }
}
