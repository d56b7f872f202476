package io.softcall.inference.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class OnnxRuntimeTest {

    /** The C library's variable counts, because ONNX Runtime reads that one. Java's own copy is from the start of the process. */
    @Test
    void telemetryIsDisabledBeforeTheEnvironmentExists() throws Throwable {
        assertSame(OnnxRuntime.environment(), OnnxRuntime.environment());
        Linker linker = Linker.nativeLinker();
        var getenv = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("getenv"),
                FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS));
        try (Arena arena = Arena.ofConfined()) {
            var value = (MemorySegment) getenv.invoke(arena.allocateFrom("ORT_DISABLE_TELEMETRY"));
            assertEquals("1", value.reinterpret(2).getString(0));
        }
    }
}
