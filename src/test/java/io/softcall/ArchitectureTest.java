package io.softcall;

import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.equivalentTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.name;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnxruntime.OrtEnvironment;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Checks docs/architecture.md: dependencies point one way, and a library is used only by its packages. */
@AnalyzeClasses(packages = "io.softcall", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {

    private static final int MAX_FILES = 16;
    private static final Path SOURCES = Path.of("src/main/java/io/softcall");

    /** Each package is a slice, but for the root: {@code Server} starts all, and the others there serve all. */
    private static final SliceAssignment PACKAGES = new SliceAssignment() {

        @Override
        public SliceIdentifier getIdentifierOf(JavaClass type) {
            String name = type.getPackageName();
            return name.equals("io.softcall") ? SliceIdentifier.ignore() : SliceIdentifier.of(name);
        }

        @Override
        public String getDescription() {
            return "packages";
        }
    };

    @ArchTest
    static final ArchRule LAYERS = layeredArchitecture()
            .consideringOnlyDependenciesInLayers()
            .layer("api")
            .definedBy("io.softcall.api..")
            .layer("jobs")
            .definedBy("io.softcall.jobs..")
            .layer("inference")
            .definedBy("io.softcall.inference..")
            .layer("task")
            .definedBy("io.softcall.task..")
            .layer("store")
            .definedBy("io.softcall.store..")
            .whereLayer("api")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("jobs")
            .mayOnlyBeAccessedByLayers("api")
            .whereLayer("inference")
            .mayOnlyBeAccessedByLayers("api", "jobs")
            .whereLayer("task")
            .mayOnlyBeAccessedByLayers("api", "jobs", "inference")
            .whereLayer("store")
            .mayOnlyBeAccessedByLayers("api", "jobs", "inference", "task");

    @ArchTest
    static final ArchRule NO_CYCLES = slices().assignedFrom(PACKAGES).should().beFreeOfCycles();

    /** Only the packages that open the model depend on the runtime that computes. */
    @ArchTest
    static final ArchRule MODEL_IS_THE_SEAM = noClasses()
            .that()
            .resideOutsideOfPackages(
                    "io.softcall.inference.onnx..",
                    "io.softcall.inference.cuda..",
                    "io.softcall.inference.memory..",
                    "io.softcall.inference.opening..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("io.softcall.inference.onnx..", "io.softcall.inference.cuda..", "ai.onnxruntime..");

    /** An environment that came from elsewhere would send telemetry. */
    @ArchTest
    static final ArchRule ONE_ENVIRONMENT = noClasses()
            .that()
            .doNotHaveFullyQualifiedName("io.softcall.inference.memory.OnnxRuntime")
            .should()
            .callMethodWhere(target(owner(equivalentTo(OrtEnvironment.class))).and(target(name("getEnvironment"))));

    /** The packages that know a library, and nobody else does. */
    private static final Map<String, List<String>> LIBRARIES = Map.of(
            "ai.djl..", List.of("io.softcall.inference.model.."),
            "software.amazon.awssdk..", List.of("io.softcall.store.s3.."),
            "org.apache.kafka..", List.of("io.softcall.api.kafka.."),
            "io.cloudevents..", List.of("io.softcall.api.events..", "io.softcall.api.kafka.."),
            "com.github.luben..", List.of("io.softcall.jobs.files..", "io.softcall.jobs.formats.."),
            "org.xerial..", List.of("io.softcall.jobs.formats.."));

    @ArchTest
    static void aLibraryIsKnownToFewPackages(JavaClasses classes) {
        LIBRARIES.forEach((library, packages) -> {
            noClasses()
                    .that()
                    .resideOutsideOfPackages(packages.toArray(String[]::new))
                    .should()
                    .dependOnClassesThat()
                    .resideInAPackage(library)
                    .check(classes);
            for (String known : packages) {
                assertTrue(
                        classes.that(resideInAPackage(known)).stream()
                                .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
                                .anyMatch(
                                        dependency -> resideInAPackage(library).test(dependency.getTargetClass())),
                        () -> known + " does not use " + library);
            }
        });
    }

    @ArchTest
    static final ArchRule HTTP = noClasses()
            .that()
            .resideOutsideOfPackage("io.softcall.api..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("jakarta.ws.rs..", "io.vertx..", "io.netty..", "io.quarkus.funqy..");

    @Test
    void aPackageHasAtMostSixteenFiles() throws IOException {
        try (Stream<Path> files = Files.walk(SOURCES)) {
            Map<Path, Long> sizes = files.filter(file -> file.toString().endsWith(".java"))
                    .collect(Collectors.groupingBy(Path::getParent, Collectors.counting()));
            List<Path> large = sizes.entrySet().stream()
                    .filter(one -> one.getValue() > MAX_FILES)
                    .map(Map.Entry::getKey)
                    .toList();
            assertEquals(List.of(), large);
        }
    }

    /** Every package has a description. */
    @Test
    void aPackageHasADescription() throws IOException {
        try (Stream<Path> folders = Files.walk(SOURCES)) {
            assertEquals(
                    List.of(),
                    folders.filter(Files::isDirectory)
                            .filter(folder -> !folder.equals(SOURCES))
                            .filter(ArchitectureTest::holdsClasses)
                            .filter(folder -> Files.notExists(folder.resolve("package-info.java")))
                            .toList());
        }
    }

    private static boolean holdsClasses(Path folder) {
        return folder.toFile().list((parent, name) -> name.endsWith(".java")).length > 0;
    }
}
