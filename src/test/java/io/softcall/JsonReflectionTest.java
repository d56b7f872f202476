package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaAnnotation;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMethod;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.softcall.api.Errors;
import io.softcall.api.json.ClassifyResponse;
import io.softcall.jobs.JobReport;
import io.softcall.jobs.JobReports;
import io.softcall.jobs.JobStatus;
import io.softcall.jobs.run.Folder;
import io.softcall.jobs.run.Plan;
import java.lang.reflect.RecordComponent;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Every record that Jackson reads or writes is registered for the native executable, in which Jackson finds no other's components.
 * A record is one of these if it has an annotation of Jackson, if its class is passed on (as {@code readValue} wants it), if a REST
 * method returns it, or if one of these has it as a component.
 */
class JsonReflectionTest {

    private static final String OURS = "io.softcall.";
    private static final String JACKSON = "com.fasterxml.jackson.annotation.";
    private static final String JAX_RS = "jakarta.ws.rs.";
    private static final Pattern CLASS_NAME = Pattern.compile("io\\.softcall\\.[\\w.$]+");

    /** Written as a plain {@code Object}, which their classes do not show. */
    private static final Set<Class<?>> WRITTEN = Set.of(Errors.Body.class, JobReports.class, ClassifyResponse.class);

    private final JavaClasses classes =
            new ClassFileImporter().withImportOption(new DoNotIncludeTests()).importPackages("io.softcall");

    @Test
    void everyRecordOfJsonIsRegistered() throws ClassNotFoundException {
        Set<String> missing = new TreeSet<>();
        for (Class<?> type : shapes()) {
            if (!type.isAnnotationPresent(RegisterForReflection.class)) {
                missing.add(type.getName());
            }
        }
        assertEquals(Set.of(), missing);
    }

    /** One of each kind is found, so that the test above does not pass for want of records. */
    @Test
    void recordsAreFound() throws ClassNotFoundException {
        Set<Class<?>> shapes = shapes();
        assertTrue(
                shapes.containsAll(Set.of(
                        Errors.Error.class, Plan.class, JobStatus.class, JobReport.class, ClassifyResponse.class)),
                shapes::toString);
    }

    private Set<Class<?>> shapes() throws ClassNotFoundException {
        Set<Class<?>> shapes = new TreeSet<>((a, b) -> a.getName().compareTo(b.getName()));
        for (Class<?> type : WRITTEN) {
            add(type, shapes);
        }
        for (JavaClass type : classes) {
            if (isAnnotated(type)) {
                add(type.reflect(), shapes);
            }
            if (readsJson(type)) {
                addAll(
                        type.getReferencedClassObjects().stream()
                                .map(each -> each.getRawType())
                                .filter(each -> !each.equals(type)),
                        shapes);
            }
            for (JavaMethod method : type.getMethods()) {
                if (isOf(JAX_RS, method.getAnnotations())) {
                    addNamed(method.reflect().getGenericReturnType().getTypeName(), shapes);
                }
            }
        }
        return shapes;
    }

    /** Or gives a class to {@link Folder}, which does. */
    private static boolean readsJson(JavaClass type) {
        return type.getDirectDependenciesFromSelf().stream()
                .map(dependency -> dependency.getTargetClass())
                .anyMatch(used -> used.getName().startsWith("com.fasterxml.jackson.databind.")
                        || used.isEquivalentTo(Folder.class));
    }

    private static boolean isAnnotated(JavaClass type) {
        return isOf(JACKSON, type.getAnnotations())
                || type.getFields().stream().anyMatch(field -> isOf(JACKSON, field.getAnnotations()));
    }

    private static boolean isOf(String library, Set<? extends JavaAnnotation<?>> annotations) {
        return annotations.stream()
                .anyMatch(annotation -> annotation.getRawType().getName().startsWith(library));
    }

    private static void addAll(Stream<JavaClass> types, Set<Class<?>> shapes) throws ClassNotFoundException {
        for (JavaClass type :
                types.filter(each -> each.getName().startsWith(OURS)).toList()) {
            add(type.reflect(), shapes);
        }
    }

    /** Adds a record and those that it has as components, also in lists and maps. */
    private static void add(Class<?> type, Set<Class<?>> shapes) throws ClassNotFoundException {
        if (type.isRecord() && shapes.add(type)) {
            for (RecordComponent component : type.getRecordComponents()) {
                addNamed(component.getGenericType().getTypeName(), shapes);
            }
        }
    }

    private static void addNamed(String type, Set<Class<?>> shapes) throws ClassNotFoundException {
        for (String name :
                CLASS_NAME.matcher(type).results().map(match -> match.group()).toList()) {
            add(Class.forName(name, false, JsonReflectionTest.class.getClassLoader()), shapes);
        }
    }
}
