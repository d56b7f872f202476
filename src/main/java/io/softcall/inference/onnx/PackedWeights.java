package io.softcall.inference.onnx;

import io.softcall.Sha256;
import io.softcall.inference.memory.OnnxRuntime;
import io.softcall.inference.model.Bundle;
import io.softcall.inference.onnx.session.SessionResources;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jboss.logging.Logger;

/**
 * A variant's graph and weights, packed by ONNX Runtime for this processor. Packing costs time and anonymous memory at each
 * start, so the first start saves the packed weights, and the next ones map the file.
 *
 * @param folder the folder of the packed weights; empty if the features of this processor are unknown
 */
public record PackedWeights(Bundle.Variant variant, Optional<Path> folder) {

    private static final Logger LOG = Logger.getLogger(PackedWeights.class);

    private static final String GRAPH = "trunk.onnx";

    /** The file of the weights, beside the graph. */
    static final String WEIGHTS = "trunk.onnx.data";

    private static final int KEY_DIGITS = 16;

    /**
     * Derives the folder's name from everything that determines the layout: the weights, ONNX Runtime's version and the
     * processor's features.
     */
    public static PackedWeights of(Bundle.Variant variant, Optional<Path> cacheDir) {
        Path parent = cacheDir.orElse(variant.graph().toAbsolutePath().getParent());
        return new PackedWeights(
                variant, processorFeatures().map(features -> parent.resolve("prepacked-" + key(variant, features))));
    }

    /** Returns 16 hexadecimal digits that identify the weights, the runtime and the processor that they were packed for. */
    private static String key(Bundle.Variant variant, String processorFeatures) {
        String packedFor = variant.files() + OnnxRuntime.environment().getVersion() + processorFeatures;
        return Sha256.of(packedFor.getBytes(StandardCharsets.UTF_8)).substring(0, KEY_DIGITS);
    }

    private static Optional<String> processorFeatures() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            return lines.filter(line -> line.startsWith("flags") || line.startsWith("Features"))
                    .findFirst();
        } catch (IOException | UncheckedIOException e) {
            return Optional.empty();
        }
    }

    /**
     * Opens the variant. Uses the saved weights if they reproduce the golden row. Saves the weights if none are saved.
     *
     * @throws IllegalStateException if the variant itself cannot be opened, or does not reproduce the golden row
     */
    public Trunk open(Bundle bundle, SessionResources resources) {
        if (folder.isEmpty()) {
            return Trunk.packed(bundle, variant, resources).checked();
        }
        if (!Files.exists(folder.get())) {
            return save(bundle, resources, folder.get());
        }
        try {
            return Trunk.saved(bundle, variant, resources, folder.get().resolve(GRAPH))
                    .checked();
        } catch (IllegalStateException e) {
            LOG.warnf("%s; the packed weights are deleted, and this start does not use them", e.getMessage());
            delete(folder.get());
            return Trunk.packed(bundle, variant, resources).checked();
        }
    }

    /** Returns the graph of the saved weights, which are beside it; empty if none are saved. */
    Optional<Path> savedGraph() {
        return folder.map(saved -> saved.resolve(GRAPH)).filter(Files::exists);
    }

    /** Opens the saved weights once more; empty if none are saved, because another packed copy would take memory of its own. */
    public Optional<Trunk> openSaved(Bundle bundle, SessionResources resources) {
        return savedGraph()
                .map(graph -> Trunk.saved(bundle, variant, resources, graph).checked());
    }

    /** Packs and saves the weights. They are written elsewhere first, so that no process maps an incomplete file. */
    private Trunk save(Bundle bundle, SessionResources resources, Path folder) {
        Path unfinished = folder.resolveSibling(
                folder.getFileName() + "." + ProcessHandle.current().pid());
        Trunk trunk;
        try {
            Files.createDirectories(folder.getParent());
            Files.createDirectory(unfinished);
            trunk = Trunk.saving(bundle, variant, resources, unfinished.resolve(GRAPH))
                    .checked();
        } catch (IOException | IllegalStateException e) {
            delete(unfinished);
            LOG.infof(
                    "the packed weights cannot be saved (%s); softcall.base.cache-dir can name a writable folder for them",
                    e);
            return Trunk.packed(bundle, variant, resources).checked();
        }
        try {
            Files.move(unfinished, folder, StandardCopyOption.ATOMIC_MOVE);
            LOG.infof("saved the packed weights for the next start in %s", folder);
        } catch (IOException e) {
            // Another process was faster.
            delete(unfinished);
        }
        return trunk;
    }

    private static void delete(Path folder) {
        if (!Files.exists(folder)) {
            return;
        }
        try {
            for (Path path : List.of(folder.resolve(GRAPH), folder.resolve(WEIGHTS), folder)) {
                Files.deleteIfExists(path);
            }
        } catch (IOException e) {
            LOG.warnf("%s cannot be deleted: %s", folder, e);
        }
    }
}
