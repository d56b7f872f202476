package io.softcall.jobs.files;

import io.softcall.store.Bucket;
import java.io.IOException;
import java.nio.ByteBuffer;

/** One version of a file, of which any bytes may be asked for. */
public record FileRange(Bucket bucket, Input input) {

    public long bytes() {
        return input.bytes();
    }

    /**
     * Bytes of the file, in blocks.
     *
     * @throws JobFailure when they are not in the file, which is then at fault: a store that is asked for them refuses, or waits
     */
    public ByteBuffer read(long from, int length) throws IOException {
        if (from < 0 || length < 0 || length > bytes() - from) {
            throw JobFailure.badFile(
                    "the file has %d bytes, but says of itself that there are %d from byte %d on",
                    bytes(), length, from);
        }
        ByteBuffer bytes = ByteBuffer.allocate(length);
        while (bytes.hasRemaining()) {
            int wanted = Math.min(bytes.remaining(), ObjectStream.BLOCK_BYTES);
            byte[] block = bucket.read(input.key(), input.etag(), from + bytes.position(), wanted)
                    .orElseThrow(() -> JobFailure.inputGone(input));
            if (block.length == 0) {
                throw JobFailure.badFile("%s is shorter than %d bytes", input.key(), from + length);
            }
            bytes.put(block);
        }
        return bytes.flip();
    }
}
