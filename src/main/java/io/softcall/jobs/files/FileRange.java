package io.softcall.jobs.files;

import io.softcall.store.Bucket;
import java.io.IOException;
import java.nio.ByteBuffer;

/** One version of a file, with random access to its bytes. */
public record FileRange(Bucket bucket, Input input) {

    public long bytes() {
        return input.bytes();
    }

    /**
     * Reads bytes of the file, block by block.
     *
     * @throws JobFailure when they are not within the file. The file's content is then at fault, and the store is not
     *     asked, because it would refuse, or not answer
     */
    public ByteBuffer read(long from, int length) throws IOException {
        if (from < 0 || length < 0 || length > bytes() - from) {
            throw JobFailure.badFile(
                    "the file has %d bytes, but its content refers to %d bytes from byte %d on", bytes(), length, from);
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
