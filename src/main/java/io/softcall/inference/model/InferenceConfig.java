package io.softcall.inference.model;

import io.quarkus.runtime.configuration.MemorySize;
import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import io.smallrye.config.WithName;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** The base that is served, and the bounds on what it is asked. */
@ConfigMapping(prefix = "softcall")
public interface InferenceConfig {

    /** Where ONNX Runtime computes. */
    enum Provider {
        CPU,
        /** A GPU; a start without one fails. */
        CUDA,
        /** A GPU where there is one, else the processor. */
        AUTO
    }

    Base base();

    @WithDefault("cpu")
    Provider provider();

    Cuda cuda();

    /** Threads that runs share; 0: one a core. */
    @WithDefault("0")
    int threads();

    /**
     * How long these threads spin for the next piece of a run before they sleep; 0: not at all. Between two pieces lie a few
     * microseconds, and waking up takes longer.
     */
    @WithDefault("20")
    int spinMicros();

    /** Whether the memory of a run is kept for the next; else it goes back to the system. */
    @WithDefault("true")
    boolean keepMemory();

    Prefix prefix();

    Batch batch();

    Limits limits();

    /** The GPU. */
    interface Cuda {
        /** ONNX Runtime's kernels for attention. */
        enum Attention {
            /** Memory-efficient attention, the faster one for short texts. */
            EFFICIENT(2),
            /** Flash attention: it computes blocks of 128 rows, of which a short text fills few. */
            FLASH(1);

            private static final int UNFUSED = 16;

            /** Of the option {@code sdpa_kernel}: where this kernel cannot, attention is computed step by step. */
            public final int bits;

            Attention(int bit) {
                this.bits = bit | UNFUSED;
            }
        }

        /** Its number among those that CUDA sees. */
        @WithDefault("0")
        int device();

        /** Memory for weights and runs; that for prefixes is besides. */
        @WithDefault("4G")
        MemorySize memoryLimit();

        /** Products of float32 in 10 bits instead of 23: faster, and no longer equal to PyTorch's. */
        @WithDefault("false")
        boolean tf32();

        /** The kernel for attention. */
        @WithDefault("efficient")
        Attention attention();
    }

    /** The exported model. */
    interface Base {
        /** A base bundle: the folder that {@code softcall base} wrote. */
        @WithDefault("base")
        Path dir();

        /** Empty: the one that suits what computes. */
        Optional<String> variant();

        /** A folder for weights as this processor wants them, which the next start maps; empty: beside the variant. */
        Optional<Path> cacheDir();

        /** Fingerprints of other bases whose prompts the operator vouches for. */
        Optional<Set<String>> accept();
    }

    /** The KV caches of prompts. */
    interface Prefix {
        /** Memory for prefixes, outside the Java heap, on a GPU if that computes; the least used leave first. */
        @WithDefault("512M")
        MemorySize cacheBytes();

        /** How long the full-precision trunk stays open after its last prompt, where another variant is served. */
        @WithDefault("5s")
        Duration encoderIdle();
    }

    /** Rows that share a run. What is empty follows what computes: {@link Device}. */
    interface Batch {
        /** Padded tokens of one run, prefixes not counted; a longer text runs alone. */
        OptionalInt tokens();

        /** Tokens of a run that are only padding: as many as another run would cost. */
        OptionalInt paddingTokens();

        /** Rows that may wait, of one task as many as are free; more are answered 429 at once. */
        OptionalInt queueRows();

        /** Runs under way at once: on a processor they share its cores, on a GPU one is prepared while the other computes. */
        OptionalInt runs();
    }

    /** Bounds on one call. */
    interface Limits {
        /** Calls under way at once; more are answered 429. */
        @WithDefault("512")
        int calls();

        /** Texts, or pairs, of one call. */
        @WithDefault("256")
        int texts();

        /** Characters (UTF-16 units) of one text. */
        @WithDefault("65536")
        int characters();

        /** Tokens of one text with its template, the prompt not counted. */
        @WithDefault("1024")
        int tokens();

        /** Tokens of a prompt. */
        @WithDefault("128")
        int promptTokens();

        /** Time for one call. */
        @WithDefault("30s")
        @WithName("call-time")
        Duration callTime();
    }
}
