package io.softcall.inference.memory;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * ONNX Runtime's environment, of which a process has one. It sends no telemetry.
 *
 * <p>Since version 1.29, ONNX Runtime collects events for Microsoft on Linux too. It begins before a program can turn it off, and
 * crashes meanwhile if the command line has more than some 4,000 bytes. Only an environment variable prevents both; {@code
 * docs/threat-model.md} says more.
 */
public final class OnnxRuntime {

    private static final String NO_TELEMETRY = "ORT_DISABLE_TELEMETRY";

    private static final OrtEnvironment ENVIRONMENT = create();

    private OnnxRuntime() {}

    private static OrtEnvironment create() {
        if (System.getenv(NO_TELEMETRY) == null) {
            set(NO_TELEMETRY, "1");
        }
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try {
            environment.setTelemetry(false);
        } catch (OrtException e) {
            throw new IllegalStateException("ONNX Runtime's telemetry cannot be turned off", e);
        }
        return environment;
    }

    /** Returns the environment. The first call loads ONNX Runtime's native library. */
    public static OrtEnvironment environment() {
        return ENVIRONMENT;
    }

    /** Sets an environment variable of this process, which Java cannot. Does nothing where the C library has no such function. */
    private static void set(String name, String value) {
        Linker linker = Linker.nativeLinker();
        SymbolLookup library = linker.defaultLookup();
        library.find("setenv").ifPresent(function -> {
            MethodHandle setenv = linker.downcallHandle(
                    function,
                    FunctionDescriptor.of(
                            ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment[] texts = {arena.allocateFrom(name), arena.allocateFrom(value)};
                Native.call(() -> setenv.invoke(texts[0], texts[1], 1));
            }
        });
    }
}
