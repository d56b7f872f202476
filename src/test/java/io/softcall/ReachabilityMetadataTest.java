package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.inference.memory.OnnxRuntime;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.instruction.InvokeInstruction;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.eclipse.microprofile.config.ConfigProvider;
import org.junit.jupiter.api.Test;

/** The entries of the native executable's metadata exist, and cover all that ONNX Runtime's native library looks up. */
class ReachabilityMetadataTest {

    private static final String FILE = "META-INF/native-image/io.softcall/softcall/reachability-metadata.json";
    private static final ClassLoader LOADER = ReachabilityMetadataTest.class.getClassLoader();
    private static final JsonNode METADATA = metadata();

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

    /** The build finds only the services of Quarkus's extensions. Ours need their file, and their classes by name. */
    @Test
    void everyServiceIsKept() throws IOException, ReflectiveOperationException {
        List<String> included = included();
        try (Stream<Path> services = Files.list(Path.of("src/main/resources/META-INF/services"))) {
            for (Path service : services.toList()) {
                assertTrue(included.contains("META-INF/services/" + service.getFileName()), service::toString);
                for (String provider : Files.readAllLines(service)) {
                    assertTrue(type(provider).isAnnotationPresent(RegisterForReflection.class), provider);
                }
            }
        }
    }

    /** Clients that the AWS SDK creates by itself, such as those of STS, look for an HTTP client among the services. */
    @Test
    void theHttpClientOfTheAwsSdkIsKept() throws IOException {
        String service = "META-INF/services/software.amazon.awssdk.http.SdkHttpService";
        assertTrue(included().contains(service));
        Set<String> kept = StreamSupport.stream(METADATA.get("reflection").spliterator(), false)
                .map(entry -> entry.get("type").asText())
                .collect(Collectors.toSet());
        List<URL> files = Collections.list(LOADER.getResources(service));
        assertFalse(files.isEmpty());
        for (URL file : files) {
            try (InputStream in = file.openStream()) {
                String provider = new String(in.readAllBytes(), StandardCharsets.UTF_8)
                        .lines()
                        .filter(line -> !line.isBlank() && !line.startsWith("#"))
                        .collect(Collectors.joining(" "));
                assertTrue(kept.contains(provider), provider);
            }
        }
    }

    private static List<String> included() {
        return List.of(ConfigProvider.getConfig()
                .getValue("quarkus.native.resources.includes", String.class)
                .split(","));
    }

    /** The home of whoever builds must not become a part of the executable. Tokens of SSO would be looked for there. */
    @Test
    void whatLooksForTheHomeAtItsInitialisationDoesSoAtRunTime() throws IOException {
        String arguments = ConfigProvider.getConfig().getValue("quarkus.native.additional-build-args", String.class);
        Set<String> found = new TreeSet<>();
        for (String jar : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (jar.contains("awssdk") && jar.endsWith(".jar")) {
                try (JarFile file = new JarFile(jar)) {
                    for (JarEntry entry : Collections.list(file.entries())) {
                        if (entry.getName().endsWith(".class")) {
                            byte[] bytes = file.getInputStream(entry).readAllBytes();
                            if (looksForTheHome(bytes)) {
                                found.add(entry.getName().replace('/', '.').replace(".class", ""));
                            }
                        }
                    }
                }
            }
        }
        assertFalse(found.isEmpty());
        found.forEach(name -> assertTrue(arguments.contains(name), name));
    }

    private static boolean looksForTheHome(byte[] type) {
        if (!new String(type, StandardCharsets.ISO_8859_1).contains("userHomeDirectory")) {
            return false;
        }
        return ClassFile.of().parse(type).methods().stream()
                .filter(method -> method.methodName().equalsString("<clinit>"))
                .flatMap(method -> method.code().stream())
                .flatMap(code -> code.elementStream())
                .anyMatch(element ->
                        element instanceof InvokeInstruction call && call.name().equalsString("userHomeDirectory"));
    }

    /** What Quarkus initialises when it builds would become a part of the executable. A native library's objects cannot. */
    @Test
    void whatHoldsObjectsOfNativeLibrariesIsInitialisedAtRunTime() {
        String arguments = ConfigProvider.getConfig().getValue("quarkus.native.additional-build-args", String.class);
        Set<String> holders = new TreeSet<>();
        for (JavaClass type : new ClassFileImporter()
                .withImportOption(new DoNotIncludeTests())
                .importPackages("io.softcall")) {
            type.getFields().stream()
                    .filter(field -> field.getModifiers().contains(JavaModifier.STATIC))
                    .map(JavaField::getRawType)
                    .filter(held -> held.getPackageName().matches("ai\\.(onnxruntime|djl)\\b.*") && !held.isEnum())
                    .forEach(held -> holders.add(type.getName()));
        }
        assertTrue(holders.contains(OnnxRuntime.class.getName()), holders::toString);
        holders.forEach(
                holder -> assertTrue(arguments.matches(".*[=,]" + Pattern.quote(holder) + "[\\\\,].*"), holder));
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
        Set<String> kept = StreamSupport.stream(METADATA.get("reflection").spliterator(), false)
                .map(entry -> entry.get("type").asText())
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

    private static JsonNode metadata() {
        try (InputStream in = LOADER.getResourceAsStream(FILE)) {
            return new ObjectMapper().readTree(in);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
