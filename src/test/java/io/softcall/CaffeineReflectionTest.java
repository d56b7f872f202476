package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.fasterxml.jackson.databind.JsonNode;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import java.lang.reflect.Field;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Caffeine looks up the classes of a cache and of its entries by names that it makes of the cache's options. The native executable
 * has those that its metadata lists: this test builds a cache with the options of each of ours, and looks which they are.
 */
class CaffeineReflectionTest {

    private static final String CAFFEINE = "com.github.benmanes.caffeine.cache.";

    @Test
    void theMetadataHasTheClassesOfEveryCache() throws ReflectiveOperationException {
        Set<String> used = new TreeSet<>();
        for (JavaClass type : new ClassFileImporter()
                .withImportOption(new DoNotIncludeTests())
                .importPackages("io.softcall")) {
            List<String> calls = type.getMethodCallsFromSelf().stream()
                    .filter(call -> call.getTargetOwner().isEquivalentTo(Caffeine.class))
                    .map(call -> call.getTarget().getName())
                    .toList();
            if (calls.contains("newBuilder")) {
                assertEquals(
                        1,
                        calls.stream().filter("newBuilder"::equals).count(),
                        () -> type.getName() + " has several caches, whose options this test would mix up");
                used.addAll(classes(calls));
            }
        }
        assertFalse(used.isEmpty());
        assertEquals(used, registered());
    }

    /** The names of the classes behind a cache with these options of its builder. */
    private static List<String> classes(List<String> options) throws ReflectiveOperationException {
        Caffeine<Object, Object> builder = Caffeine.newBuilder();
        for (String option : new TreeSet<>(options)) {
            switch (option) {
                case "maximumSize" -> builder.maximumSize(1);
                case "maximumWeight" -> builder.maximumWeight(1);
                case "weigher" -> builder.weigher((key, value) -> 1);
                case "expireAfterAccess" -> builder.expireAfterAccess(Duration.ofMinutes(1));
                case "expireAfterWrite" -> builder.expireAfterWrite(Duration.ofMinutes(1));
                case "executor" -> builder.executor(Runnable::run);
                case "removalListener" -> builder.removalListener((key, value, cause) -> {});
                case "evictionListener" -> builder.evictionListener((key, value, cause) -> {});
                // These have no say in the classes.
                case "newBuilder", "scheduler", "build", "buildAsync" -> {}
                default -> throw new AssertionError("this test does not know the option " + option);
            }
        }
        Object cache = field(options.contains("buildAsync") ? builder.buildAsync() : builder.build(), "cache");
        return Stream.of(cache, field(cache, "nodeFactory"))
                .map(each -> each.getClass().getName())
                .toList();
    }

    private static Object field(Object owner, String name) throws ReflectiveOperationException {
        for (Class<?> type = owner.getClass(); type != null; type = type.getSuperclass()) {
            for (Field field : type.getDeclaredFields()) {
                if (field.getName().equals(name)) {
                    field.setAccessible(true);
                    return field.get(owner);
                }
            }
        }
        throw new NoSuchFieldException(owner.getClass() + "." + name);
    }

    private static Set<String> registered() {
        Set<String> types = new TreeSet<>();
        for (JsonNode entry : NativeMetadata.read().get("reflection")) {
            if (entry.get("type").asText().startsWith(CAFFEINE)) {
                assertEquals("<init>", entry.at("/methods/0/name").asText(), entry::toString);
                types.add(entry.get("type").asText());
            }
        }
        return types;
    }
}
