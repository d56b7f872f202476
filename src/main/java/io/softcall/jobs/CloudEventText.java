package io.softcall.jobs;

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
}
