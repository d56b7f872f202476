package io.softcall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.fasterxml.jackson.databind.JsonNode;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.CodeElement;
import java.lang.classfile.MethodModel;
import java.lang.classfile.Opcode;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * The native executable can call only C functions of shapes that it knows when it is built. This test reads them out of the
 * classes that call such functions: ours, and those of zstd-jni, which creates the handles of all its functions at once.
 */
class DowncallsTest {

    private static final String ZSTD = "com.github.luben.zstd.ZstdBinding";
    private static final String DESCRIPTOR = FunctionDescriptor.class.getName().replace('.', '/');

    @Test
    void theMetadataHasTheShapeOfEveryFunctionThatIsCalled() throws IOException, ReflectiveOperationException {
        Set<String> called = new TreeSet<>();
        for (String name : callers()) {
            Set<String> shapes = shapes(Class.forName(name));
            assertFalse(shapes.isEmpty(), () -> name + " calls functions, but this test finds none of their shapes");
            called.addAll(shapes);
        }
        assertEquals(String.join("\n", called), String.join("\n", registered()));
    }

    private static Set<String> callers() {
        Set<String> callers = new ClassFileImporter()
                .withImportOption(new DoNotIncludeTests()).importPackages("io.softcall").stream()
                        .filter(type -> type.getMethodCallsFromSelf().stream()
                                .anyMatch(call -> call.getTargetOwner().isEquivalentTo(Linker.class)
                                        && call.getName().equals("downcallHandle")))
                        .map(type -> type.getName())
                        .collect(Collectors.toCollection(TreeSet::new));
        callers.add(ZSTD);
        return callers;
    }

    /**
     * The shapes in a class's calls of {@code FunctionDescriptor.of}, whose arguments must be static fields. That of a critical
     * call is among them twice, with and without the option.
     */
    private static Set<String> shapes(Class<?> type) throws IOException, ReflectiveOperationException {
        Set<String> shapes = new TreeSet<>();
        ClassModel model;
        try (InputStream in = type.getResourceAsStream(type.getSimpleName() + ".class")) {
            model = ClassFile.of().parse(in.readAllBytes());
        }
        for (MethodModel method : model.methods()) {
            List<MemoryLayout> layouts = new ArrayList<>();
            FunctionDescriptor descriptor = null;
            for (CodeElement element :
                    method.code().stream().flatMap(code -> code.elementStream()).toList()) {
                if (element instanceof FieldInstruction field && field.opcode() == Opcode.GETSTATIC) {
                    if (value(field) instanceof MemoryLayout layout) {
                        layouts.add(layout);
                    }
                } else if (element instanceof InvokeInstruction call) {
                    if (call.owner().asInternalName().equals(DESCRIPTOR)) {
                        descriptor = call.name().equalsString("ofVoid")
                                ? FunctionDescriptor.ofVoid(layouts.toArray(MemoryLayout[]::new))
                                : FunctionDescriptor.of(
                                        layouts.getFirst(),
                                        layouts.subList(1, layouts.size()).toArray(MemoryLayout[]::new));
                        shapes.add(shape(descriptor, false));
                    }
                    if (call.name().equalsString("downcallCritical")) {
                        shapes.add(shape(descriptor, true));
                    }
                    layouts.clear();
                }
            }
        }
        return shapes;
    }

    private static Object value(FieldInstruction instruction) throws ReflectiveOperationException {
        Field field = Class.forName(instruction.owner().asInternalName().replace('/', '.'))
                .getDeclaredField(instruction.name().stringValue());
        if (!MemoryLayout.class.isAssignableFrom(field.getType())) {
            return null;
        }
        field.setAccessible(true);
        return field.get(null);
    }

    private static String shape(FunctionDescriptor descriptor, boolean critical) {
        return "%s(%s)%s"
                .formatted(
                        descriptor.returnLayout().map(DowncallsTest::name).orElse("void"),
                        descriptor.argumentLayouts().stream()
                                .map(DowncallsTest::name)
                                .collect(Collectors.joining(", ")),
                        critical ? " critical" : "");
    }

    /** The name of a layout in GraalVM's metadata. */
    private static String name(MemoryLayout layout) {
        return switch (layout) {
            case AddressLayout address -> "void*";
            case ValueLayout value -> "j" + value.carrier().getName();
            case GroupLayout group ->
                "struct("
                        + group.memberLayouts().stream()
                                .map(DowncallsTest::name)
                                .collect(Collectors.joining(", "))
                        + ")";
            default -> throw new AssertionError("this test does not know the layout " + layout);
        };
    }

    private static Set<String> registered() {
        Set<String> shapes = new TreeSet<>();
        for (JsonNode entry : NativeMetadata.read().at("/foreign/downcalls")) {
            shapes.add("%s(%s)%s"
                    .formatted(
                            entry.get("returnType").asText(),
                            entry.get("parameterTypes")
                                    .valueStream()
                                    .map(JsonNode::asText)
                                    .collect(Collectors.joining(", ")),
                            entry.at("/options/critical").isMissingNode() ? "" : " critical"));
        }
        return shapes;
    }
}
