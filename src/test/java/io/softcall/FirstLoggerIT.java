package io.softcall;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * The log managers of Java and of JBoss are initialised before the threads that open the base. Otherwise one start of some sixty
 * hung: each of two threads initialised one of them, and waited for the other's.
 */
class FirstLoggerIT {

    @TempDir
    Path folder;

    @Test
    @DisabledIfSystemProperty(
            named = "native.image.path",
            matches = ".+",
            disabledReason = "initialised when it is compiled")
    void theMainThreadInitialisesIt() throws Exception {
        Path initialised = folder.resolve("initialised.log");
        ProcessBuilder builder = PackagedServer.process("classify", "--task", "sentiment");
        builder.environment().put("JAVA_TOOL_OPTIONS", "-Xlog:class+init=info:file=" + initialised + "::filecount=0");
        PackagedRun run = PackagedRun.of(builder, "A joy.\n");
        List<String> lines = Files.readAllLines(initialised).stream()
                .filter(line -> line.contains(" Initializing '"))
                .toList();
        int contexts = last(lines, "'org/jboss/logmanager/LogContext'");
        assertTrue(contexts >= 0 && contexts < last(lines, "'io/softcall/inference/opening/EarlyOpening'"), run::log);
        assertTrue(lines.get(contexts).contains("by thread \"main\""), lines.get(contexts));
    }

    private static int last(List<String> lines, String name) {
        int last = -1;
        for (int i = 0; i < lines.size(); i++) {
            if (lines.get(i).contains(name)) {
                last = i;
            }
        }
        return last;
    }
}
