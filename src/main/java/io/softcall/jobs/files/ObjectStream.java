package io.softcall.jobs.files;

import io.softcall.store.Bucket;
import java.io.IOException;
import java.io.InputStream;

/**
 * One version of an object as a stream. Each block is a request of its own, so no request is open while rows are
 * classified.
 */
public final class ObjectStream extends InputStream {

    public static final int BLOCK_BYTES = 1 << 20;

    private final Bucket bucket;
    private final Input input;
    private long position;
    private byte[] block = new byte[0];
    private int used;

    public ObjectStream(Bucket bucket, Input input, long from) {
        this.bucket = bucket;
        this.input = input;
        this.position = from;
    }

    @Override
    public int read() throws IOException {
        return fill() ? block[used++] & 0xff : -1;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        if (!fill()) {
            return -1;
        }
        int read = Math.min(length, block.length - used);
        System.arraycopy(block, used, bytes, offset, read);
        used += read;
        return read;
    }

    /** Returns more than 0 before the end, because some readers take 0 for the end. */
    @Override
    public int available() {
        return (int) Math.min(Integer.MAX_VALUE, block.length - used + input.bytes() - position);
    }

    private boolean fill() throws IOException {
        if (used < block.length) {
            return true;
        }
        if (position >= input.bytes()) {
            return false;
        }
        int length = (int) Math.min(BLOCK_BYTES, input.bytes() - position);
        block = bucket.read(input.key(), input.etag(), position, length).orElseThrow(() -> JobFailure.inputGone(input));
        if (block.length == 0) {
            throw JobFailure.badFile("%s ends at byte %d of %d", input.key(), position, input.bytes());
        }
        used = 0;
        position += block.length;
        return true;
    }
}
