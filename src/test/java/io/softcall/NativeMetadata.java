package io.softcall;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Set;
import java.util.TreeSet;

/** The metadata of the native executable: what it keeps although no Java code names it. */
final class NativeMetadata {

    private static final String FILE = "/META-INF/native-image/io.softcall/softcall/reachability-metadata.json";

    private NativeMetadata() {}

    static JsonNode read() {
        try (InputStream in = NativeMetadata.class.getResourceAsStream(FILE)) {
            return new ObjectMapper().readTree(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the names of the classes whose constructors, methods or fields are found by name. */
    static Set<String> types() {
        Set<String> types = new TreeSet<>();
        for (JsonNode entry : read().get("reflection")) {
            if (entry.get("type").isTextual()) {
                types.add(entry.get("type").textValue());
            }
        }
        return types;
    }
}
