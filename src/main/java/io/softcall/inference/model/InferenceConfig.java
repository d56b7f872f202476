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

/** The settings of the base, and the bounds on requests. */
@ConfigMapping(prefix = "softcall")
public interface InferenceConfig {

    /** The device on which ONNX Runtime computes. */
    enum Provider {
        CPU,
        /** A GPU; startup fails without one. */
        CUDA,
        /** A GPU if there is one, otherwise the processor. */
        AUTO
    }

    Base base();

    @WithDefault("cpu")
    Provider provider();

    Cuda cuda();

    /** The number of threads that all batches share; 0: one per core. */
    @WithDefault("0")
    int threads();

    /**
     * How long these threads spin for the next operation before they sleep, in microseconds; 0: they sleep at once. The next
     * operation usually comes within a few microseconds, which is faster than waking up.
     */
    @WithDefault("20")
    int spinMicros();

    /** Whether the memory of a forward pass is kept for the next one; otherwise it is returned to the system. */
    @WithDefault("true")
    boolean keepMemory();

    Prefix prefix();

    Batch batch();

    Limits limits();

    /** The settings of the GPU. */
    interface Cuda {
        /** ONNX Runtime's kernels for attention. */
        enum Attention {
            /** Memory-efficient attention, which is faster for short texts. */
            EFFICIENT(2),
            /** Flash attention, which computes blocks of 128 rows. A short text fills only a small part of a block. */
            FLASH(1);

            private static final int UNFUSED = 16;

            /**
             * The bits of the option {@code sdpa_kernel}. Attention that this kernel cannot compute is computed step by step.
             */
            public final int bits;

            Attention(int bit) {
                this.bits = bit | UNFUSED;
            }
        }

        /** The number of the GPU among those that CUDA sees. */
        @WithDefault("0")
        int device();

        /** The bound on memory for weights and forward passes; memory for prefixes is extra. */
        @WithDefault("4G")
        MemorySize memoryLimit();

        /**
         * Whether products of float32 numbers use 10 bits of the mantissa instead of 23; faster, but no longer equal to
         * PyTorch's.
         */
        @WithDefault("false")
        boolean tf32();

        /** The kernel for attention. */
        @WithDefault("efficient")
        Attention attention();
    }

    /** The exported model. */
    interface Base {
        /** The folder of the base bundle, which {@code softcall base} wrote. */
        @WithDefault("base")
        Path dir();

        /** The variant that is served; empty: the one that suits the device. */
        Optional<String> variant();

        /** A folder for weights that are packed for this processor, which the next start maps; empty: beside the variant. */
        Optional<Path> cacheDir();

        /** The name under which the base itself writes text, without a prompt; empty: it does not. */
        @WithName("serve-as")
        Optional<String> serveAs();

        /** Fingerprints of other bases; the operator vouches that their prompts fit this base. */
        Optional<Set<String>> accept();
    }

    /** The KV caches of prompts. */
    interface Prefix {
        /**
         * The bound on memory for prefixes, outside the Java heap, or on the GPU if one computes; the least used ones are
         * evicted first.
         */
        @WithDefault("512M")
        MemorySize cacheBytes();

        /** How long the full-precision trunk stays open after its last prompt, if another variant is served. */
        @WithDefault("5s")
        Duration encoderIdle();
    }

    /** The bounds on batches. Empty settings have the defaults of the {@link Device}. */
    interface Batch {
        /** The padded tokens of one batch, without prefixes; a longer input is computed alone. */
        OptionalInt tokens();

        /** The padding tokens of one batch; a good value is what the overhead of another batch costs, in tokens. */
        OptionalInt paddingTokens();

        /**
         * The prefix tokens of one batch: its inputs times the tokens of their prefix. An input behind a longer prefix is
         * computed alone.
         */
        OptionalInt prefixTokens();

        /** The number of inputs that may wait; a task may have as many as places are free. Others are answered 429 at once. */
        OptionalInt queueRows();

        /**
         * The number of batches that are computed at the same time. On a processor they share the cores; on a GPU one is
         * prepared while the other is computed.
         */
        OptionalInt runs();
    }

    /** The bounds on calls. */
    interface Limits {
        /** The number of calls in progress at the same time; others are answered 429. */
        @WithDefault("512")
        int calls();

        /** The number of inputs (texts or pairs) of one call. */
        @WithDefault("256")
        int texts();

        /** The characters (UTF-16 units) of one text. */
        @WithDefault("65536")
        int characters();

        /** The tokens of one input with its template, without the prompt. */
        @WithDefault("1024")
        int tokens();

        /** The tokens of a prompt. */
        @WithDefault("2048")
        int promptTokens();

        /** The time limit of one call. */
        @WithDefault("30s")
        @WithName("call-time")
        Duration callTime();
    }
}
