package io.softcall;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

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
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.eclipse.microprofile.config.ConfigProvider;
import org.junit.jupiter.api.Test;

/** What {@code application.properties} tells the build of the native executable. */
class NativeSettingsTest {

    private static final ClassLoader LOADER = NativeSettingsTest.class.getClassLoader();
    private static final String AT_RUN_TIME = "--initialize-at-run-time=";

    /** The build finds only the services of Quarkus's extensions. Ours need their file, and their classes by name. */
    @Test
    void everyServiceIsKept() throws IOException, ReflectiveOperationException {
        List<String> included = setting("resources.includes");
        try (Stream<Path> services = Files.list(Path.of("src/main/resources/META-INF/services"))) {
            for (Path service : services.toList()) {
                assertTrue(included.contains("META-INF/services/" + service.getFileName()), service::toString);
                for (String provider : Files.readAllLines(service)) {
                    assertTrue(Class.forName(provider).isAnnotationPresent(RegisterForReflection.class), provider);
                }
            }
        }
    }

    /** Clients that the AWS SDK creates by itself, such as those of STS, look for an HTTP client among the services. */
    @Test
    void theHttpClientOfTheAwsSdkIsKept() throws IOException {
        String service = "META-INF/services/software.amazon.awssdk.http.SdkHttpService";
        assertTrue(setting("resources.includes").contains(service));
        Set<String> kept = NativeMetadata.types();
        List<URL> files = Collections.list(LOADER.getResources(service));
        assertFalse(files.isEmpty());
        for (URL file : files) {
            try (InputStream in = file.openStream()) {
                new String(in.readAllBytes(), StandardCharsets.UTF_8)
                        .lines()
                        .filter(line -> !line.isBlank() && !line.startsWith("#"))
                        .forEach(provider -> assertTrue(kept.contains(provider), provider));
            }
        }
    }

    /** The home of whoever builds must not become a part of the executable. Tokens of SSO would be looked for there. */
    @Test
    void whatLooksForTheHomeAtItsInitialisationDoesSoAtRunTime() throws IOException {
        List<String> atRunTime = initialisedAtRunTime();
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
        found.forEach(name -> assertTrue(atRunTime.contains(name), name));
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
        List<String> atRunTime = initialisedAtRunTime();
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
        holders.forEach(name -> assertTrue(atRunTime.contains(name), name));
    }

    /** Returns the classes and packages that are not initialised when the executable is built. */
    private static List<String> initialisedAtRunTime() {
        String names = setting("additional-build-args").stream()
                .filter(argument -> argument.startsWith(AT_RUN_TIME))
                .collect(Collectors.joining(","));
        return List.of(names.substring(AT_RUN_TIME.length()).split(","));
    }

    /** Returns a list, in which a backslash precedes a comma that separates nothing. */
    private static List<String> setting(String name) {
        String value = ConfigProvider.getConfig().getValue("quarkus.native." + name, String.class);
        return Stream.of(value.split("(?<!\\\\),"))
                .map(element -> element.replace("\\,", ","))
                .toList();
    }
}
