package io.softcall;

import io.quarkus.test.common.QuarkusTestResourceLifecycleManager;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The real base, which {@code make base} builds, and a file store with the shipped tasks and two plain PEFT folders that were
 * stored with {@code softcall push}.
 */
public final class RealBase implements QuarkusTestResourceLifecycleManager {

    public static final List<String> SHIPPED = List.of("banking77", "spamassassin");
    public static final List<String> PEFT_FOLDERS = List.of("english", "japanese");
    public static final Path PEFT = Path.of("src/test/resources/peft");

    public static final Path BASE = Path.of("build/base").toAbsolutePath();

    /** The folder for packed weights. */
    public static final Path PACKED = Path.of("target/packed").toAbsolutePath();

    private String variant = "fp32";
    private ScratchFolder folder;

    /** Reads the argument {@code variant}, the name of the served variant. */
    @Override
    public void init(Map<String, String> arguments) {
        variant = arguments.getOrDefault("variant", variant);
    }

    @Override
    public Map<String, String> start() {
        try {
            if (!Files.exists(BASE.resolve("base.json"))) {
                throw new IllegalStateException("there is no real base in build/base: run `make base` first");
            }
            folder = ScratchFolder.named("store");
            Path store = folder.path();
            for (String task : SHIPPED) {
                Files.createDirectories(store.resolve(task));
                Files.copy(
                        Path.of("tasks", task, "adapter_model.safetensors"),
                        store.resolve(task).resolve("adapter_model.safetensors"));
            }
            for (String folder : PEFT_FOLDERS) {
                push(PEFT.resolve(folder), "peft/" + folder, store);
            }
            // The time limit is long, because 32 texts of 256 tokens take ten seconds on two idle cores, and other
            // tests run too.
            return Map.of(
                    "softcall.base.dir",
                    BASE.toString(),
                    "softcall.base.variant",
                    variant,
                    "softcall.base.cache-dir",
                    PACKED.toString(),
                    "softcall.store.uri",
                    "file:" + store,
                    "softcall.limits.call-time",
                    "300s");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void push(Path folder, String task, Path store) throws IOException {
        List<String> command = new ArrayList<>(List.of("build/venv/bin/softcall", "push"));
        command.addAll(List.of(folder.toString(), task, "--base", BASE.toString(), "--store", "file:" + store));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes());
        if (process.onExit().join().exitValue() != 0) {
            throw new IllegalStateException(String.join(" ", command) + ": " + output);
        }
    }

    @Override
    public void stop() {
        if (folder != null) {
            folder.close();
        }
    }
}
