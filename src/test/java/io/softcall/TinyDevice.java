package io.softcall;

import io.quarkus.test.common.QuarkusTestResourceLifecycleManager;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** The tiny base in half precision alone, as devices have their base without full precision, and a folder with tasks. */
public final class TinyDevice implements QuarkusTestResourceLifecycleManager {

    private ScratchFolder folder;

    @Override
    public Map<String, String> start() {
        try {
            folder = ScratchFolder.named("device");
            Path base = folder.path().resolve("base");
            copy(Tiny.BASE, base);
            Path description = base.resolve("base.json");
            Files.writeString(description, Files.readString(description).replace("\"fp32\": {", "\"absent\": {"));
            for (String task : Tiny.TASKS) {
                put(task, Tiny.artifact(task));
            }
            Map<String, String> settings = new TreeMap<>(Tiny.SETTINGS);
            settings.put("softcall.base.dir", base.toString());
            settings.put("softcall.base.variant", "fp16");
            settings.put("softcall.prefix.cache-bytes", "1M");
            settings.put("softcall.store.uri", "file:" + folder.path().resolve("tasks"));
            return settings;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Path copy = to.resolve(from.relativize(file));
                Files.createDirectories(copy.getParent());
                Files.copy(file, copy);
            }
        }
    }

    /** Stores a task's artifact. */
    public void put(String task, byte[] artifact) {
        Path file = folder.path().resolve("tasks").resolve(task).resolve("adapter_model.safetensors");
        try {
            Files.createDirectories(file.getParent());
            Files.write(file, artifact);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void inject(TestInjector injector) {
        injector.injectIntoFields(this, new TestInjector.MatchesType(TinyDevice.class));
    }

    @Override
    public void stop() {
        if (folder != null) {
            folder.close();
        }
    }
}
