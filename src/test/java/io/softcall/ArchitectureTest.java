package io.softcall;

import static com.tngtech.archunit.library.Architectures.layeredArchitecture;

import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** Dependencies point one way: function, inference, task, store. */
@AnalyzeClasses(packages = "io.softcall", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {

    @ArchTest
    static final ArchRule ONE_WAY = layeredArchitecture()
            .consideringOnlyDependenciesInLayers()
            .layer("function")
            .definedBy("io.softcall.function..")
            .layer("inference")
            .definedBy("io.softcall.inference..")
            .layer("task")
            .definedBy("io.softcall.task..")
            .layer("store")
            .definedBy("io.softcall.store..")
            .whereLayer("function")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("inference")
            .mayOnlyBeAccessedByLayers("function")
            .whereLayer("task")
            .mayOnlyBeAccessedByLayers("function", "inference")
            .whereLayer("store")
            .mayOnlyBeAccessedByLayers("function", "inference", "task");
}
