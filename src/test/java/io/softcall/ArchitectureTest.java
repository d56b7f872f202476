package io.softcall;

import static com.tngtech.archunit.library.Architectures.layeredArchitecture;

import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** Dependencies point one way: function, jobs, inference, task, store. */
@AnalyzeClasses(packages = "io.softcall", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {

    @ArchTest
    static final ArchRule ONE_WAY = layeredArchitecture()
            .consideringOnlyDependenciesInLayers()
            .layer("function")
            .definedBy("io.softcall.function..")
            .layer("jobs")
            .definedBy("io.softcall.jobs..")
            .layer("inference")
            .definedBy("io.softcall.inference..")
            .layer("task")
            .definedBy("io.softcall.task..")
            .layer("store")
            .definedBy("io.softcall.store..")
            .whereLayer("function")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("jobs")
            .mayOnlyBeAccessedByLayers("function")
            .whereLayer("inference")
            .mayOnlyBeAccessedByLayers("function", "jobs")
            .whereLayer("task")
            .mayOnlyBeAccessedByLayers("function", "jobs", "inference")
            .whereLayer("store")
            .mayOnlyBeAccessedByLayers("function", "jobs", "inference", "task");
}
