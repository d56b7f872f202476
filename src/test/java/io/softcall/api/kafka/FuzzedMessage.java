package io.softcall.api.kafka;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A message from the bytes of a fuzzer: one header per line, an empty line, and the body. A line without a colon is a header
 * without a value.
 */
public record FuzzedMessage(List<Header> headers, byte[] body) {

    private static final int MOST_HEADERS = 50;

    /** @param value null if it has none */
    public record Header(String name, String value) {}

    public static FuzzedMessage of(byte[] bytes) {
        List<Header> headers = new ArrayList<>();
        int from = 0;
        while (from < bytes.length && headers.size() < MOST_HEADERS) {
            int end = from;
            while (end < bytes.length && bytes[end] != '\n') {
                end++;
            }
            String line = new String(bytes, from, end - from, StandardCharsets.UTF_8);
            from = Math.min(bytes.length, end + 1);
            if (line.isEmpty()) {
                break;
            }
            int colon = line.indexOf(':');
            headers.add(
                    colon < 0
                            ? new Header(line, null)
                            : new Header(
                                    line.substring(0, colon),
                                    line.substring(colon + 1).strip()));
        }
        return new FuzzedMessage(headers, Arrays.copyOfRange(bytes, from, bytes.length));
    }
}
