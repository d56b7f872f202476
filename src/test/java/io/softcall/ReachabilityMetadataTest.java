package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The entries of the native executable's metadata exist, and cover all that ONNX Runtime's native library looks up. */
class ReachabilityMetadataTest {

    private static final ClassLoader LOADER = ReachabilityMetadataTest.class.getClassLoader();
    private static final JsonNode METADATA = NativeMetadata.read();

    @Test
    void everyTypeAndMethodExists() throws ReflectiveOperationException {
        for (JsonNode entry : METADATA.get("reflection")) {
            JsonNode type = entry.get("type");
            if (type.isObject()) {
                for (JsonNode proxied : type.get("proxy")) {
                    assertTrue(type(proxied.asText()).isInterface(), proxied.asText());
                }
                continue;
            }
            Class<?> owner = type(type.asText());
            for (JsonNode field : entry.path("fields")) {
                assertNotNull(owner.getDeclaredField(field.get("name").asText()));
            }
            for (JsonNode method : entry.path("methods")) {
                List<Class<?>> parameters = new ArrayList<>();
                for (JsonNode parameter : method.get("parameterTypes")) {
                    parameters.add(type(parameter.asText()));
                }
                Class<?>[] types = parameters.toArray(Class[]::new);
                String name = method.get("name").asText();
                assertNotNull(
                        name.equals("<init>")
                                ? owner.getDeclaredConstructor(types)
                                : owner.getDeclaredMethod(name, types));
            }
        }
    }

    @Test
    void everyResourceExists() {
        for (JsonNode resource : METADATA.get("resources")) {
            String name = resource.get("glob").asText();
            assertNotNull(LOADER.getResource(name), name);
        }
    }

    /** The C code names a class by a string with slashes, so the library contains this string. */
    @Test
    void everyClassThatOnnxRuntimeLooksUp() throws IOException {
        String library = "ai/onnxruntime/native/linux-x64/libonnxruntime4j_jni.so";
        Set<String> named = new TreeSet<>();
        try (InputStream in = LOADER.getResourceAsStream(library)) {
            Pattern.compile("\0ai/onnxruntime/(\\w+)(?=\0)")
                    .matcher(new String(in.readAllBytes(), StandardCharsets.ISO_8859_1))
                    .results()
                    .forEach(match -> named.add("ai.onnxruntime." + match.group(1)));
        }
        Set<String> kept = NativeMetadata.types().stream()
                .filter(type -> type.startsWith("ai.onnxruntime."))
                .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(named, kept);
    }

    private static Class<?> type(String name) throws ClassNotFoundException {
        return switch (name) {
            case "boolean" -> boolean.class;
            case "int" -> int.class;
            case "long" -> long.class;
            default ->
                name.endsWith("[]")
                        ? type(name.substring(0, name.length() - 2)).arrayType()
                        : Class.forName(name, false, LOADER);
        };
    }
}
