package io.softcall.jobs.events;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** Attributes of CloudEvents as HTTP headers carry them: what is not printable ASCII, and space, quote and percent, in percent. */
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

    /** What {@link #encode} made, and what others encode; a percent sign that begins no byte stands for itself. */
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

    /** Old senders put values in double quotes. */
    private static String unquoted(String header) {
        boolean quoted = header.length() > 1 && header.startsWith("\"") && header.endsWith("\"");
        return quoted ? header.substring(1, header.length() - 1).replaceAll("\\\\(.)", "$1") : header;
    }
}
