package io.softcall.api.openai;

import io.quarkus.test.junit.QuarkusTestProfile;
import io.softcall.Tiny;
import io.softcall.inference.generation.ScriptedGenerator;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** A server on the tiny base that answers prompts as a test has written. */
public final class ScriptedProfile implements QuarkusTestProfile {

    static final long SLOW_READER_MS = 2_000;

    @Override
    public Set<Class<?>> getEnabledAlternatives() {
        return Set.of(ScriptedGenerator.class);
    }

    @Override
    public Map<String, String> getConfigOverrides() {
        Map<String, String> settings = new TreeMap<>(Tiny.SETTINGS);
        settings.put("softcall.generation.slow-reader", SLOW_READER_MS + "MS");
        settings.put("softcall.http.max-held-bytes", "1M");
        return settings;
    }
}
