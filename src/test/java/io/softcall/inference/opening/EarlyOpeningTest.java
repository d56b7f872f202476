package io.softcall.inference.opening;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.softcall.ConfigMappings;
import io.softcall.Tiny;
import io.softcall.inference.model.Device;
import io.softcall.inference.model.InferenceConfig;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class EarlyOpeningTest {

    /** Removes what tests of a running server have left in this process. */
    private final Map<String, String> setAside = new HashMap<>();

    @BeforeEach
    void setAside() {
        for (String name : System.getProperties().stringPropertyNames()) {
            if (name.startsWith("softcall.")) {
                setAside.put(name, System.clearProperty(name));
            }
        }
    }

    @AfterEach
    void putBack() {
        setAside.forEach(System::setProperty);
    }

    @Test
    void whatTheEnvironmentSaysIsWhatTheConfigurationSays() {
        assertEquals(configured(Map.of()), EarlyOpening.Wanted.ofEnvironment());
        Map<String, String> settings = Map.of(
                "softcall.base.dir", "elsewhere",
                "softcall.base.variant", "fp32",
                "softcall.base.cache-dir", "cache",
                "softcall.threads", "3",
                "softcall.spin-micros", "50");
        withProperties(settings, () -> assertEquals(configured(settings), EarlyOpening.Wanted.ofEnvironment()));
    }

    @Test
    void whatIsOpenedEarlyIsHandedOutOnceAndToTheOneThatWantsIt() {
        withProperties(tiny(), () -> {
            EarlyOpening.begin();
            EarlyOpening.Wanted wanted = EarlyOpening.Wanted.ofEnvironment();
            EarlyOpening early = EarlyOpening.take(wanted).orElseThrow();
            early.trunk().orElseThrow().close();
            early.tokenizer().orElseThrow().close();
            assertTrue(EarlyOpening.take(wanted).isEmpty());

            EarlyOpening.begin();
            var other = new EarlyOpening.Wanted(
                    Device.CPU, Path.of("other"), List.of("fp32"), Optional.empty(), wanted.resources());
            assertTrue(EarlyOpening.take(other).isEmpty());
            assertTrue(EarlyOpening.take(wanted).isEmpty());
        });
    }

    @Test
    void whatCannotBeOpenedOrReadIsLeftToTheConfiguration() {
        withProperties(Map.of("softcall.base.dir", "no-such-folder"), () -> {
            EarlyOpening.begin();
            EarlyOpening early =
                    EarlyOpening.take(EarlyOpening.Wanted.ofEnvironment()).orElseThrow();
            assertTrue(early.trunk().isEmpty());
            assertTrue(early.tokenizer().isEmpty());
        });
        withProperties(Map.of("softcall.threads", "many"), EarlyOpening::begin);
        assertTrue(EarlyOpening.take(configured(Map.of())).isEmpty());
    }

    @Test
    void whereAGpuMayServeNothingIsOpenedBeforeThatIsKnown() {
        withProperties(Map.of("softcall.provider", "auto"), () -> {
            EarlyOpening.begin();
            assertTrue(EarlyOpening.take(EarlyOpening.Wanted.ofEnvironment()).isEmpty());
        });
    }

    private static Map<String, String> tiny() {
        return Map.of(
                "softcall.base.dir", Tiny.BASE.toString(),
                "softcall.base.variant", "fp32",
                "softcall.base.cache-dir", Tiny.PACKED.toString());
    }

    private static EarlyOpening.Wanted configured(Map<String, String> settings) {
        return EarlyOpening.Wanted.of(ConfigMappings.of(InferenceConfig.class, settings), Device.CPU);
    }

    private static void withProperties(Map<String, String> settings, Runnable action) {
        settings.forEach(System::setProperty);
        try {
            action.run();
        } finally {
            settings.keySet().forEach(System::clearProperty);
        }
    }
}
