package io.softcall.jobs.events;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/**
 * Encodes attributes of CloudEvents as HTTP headers. Bytes that are not printable ASCII, spaces, quotes and percent
 * signs are percent-encoded.
 */
public final class CloudEventText {

    private CloudEventText() {}

    public static String encode(String value) {
        StringBuilder encoded = new StringBuilder();
        for (byte unit : value.getBytes(StandardCharsets.UTF_8)) {
            boolean plain = unit > 0x20 && unit < 0x7f && unit != '"' && unit != '%';
            encoded.append(plain ? String.valueOf((char) unit) : "%%%02X".formatted(unit & 0xff));
        }
        return encoded.toString();
    }

    /**
     * Decodes the output of {@link #encode} and of other encoders; a percent sign without two hexadecimal digits is
     * kept.
     */
    public static String decode(String header) {
        String value = unquoted(header);
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream decoded = new ByteArrayOutputStream(bytes.length);
        for (int i = 0; i < bytes.length; i++) {
            int high = bytes[i] == '%' && i + 2 < bytes.length ? Character.digit(bytes[i + 1], 16) : -1;
            int low = high < 0 ? -1 : Character.digit(bytes[i + 2], 16);
            if (low < 0) {
                decoded.write(bytes[i]);
            } else {
                decoded.write(high * 16 + low);
                i += 2;
            }
        }
        return decoded.toString(StandardCharsets.UTF_8);
    }

    /** Removes double quotes around a value, which old senders add. */
    private static String unquoted(String header) {
        boolean quoted = header.length() > 1 && header.startsWith("\"") && header.endsWith("\"");
        return quoted ? header.substring(1, header.length() - 1).replaceAll("\\\\(.)", "$1") : header;
    }
}
