package io.softcall.api;

import io.quarkus.test.junit.QuarkusTestProfile;
import io.softcall.Tiny;
import io.softcall.inference.GatedModel;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** A server on the tiny base, whose batches wait while a test keeps the gate shut. */
public abstract class GatedProfile implements QuarkusTestProfile {

    private final Map<String, String> settings = new TreeMap<>(Tiny.SETTINGS);

    /** A profile with one additional setting. */
    public GatedProfile(String name, String value) {
        settings.put(name, value);
    }

    @Override
    public Set<Class<?>> getEnabledAlternatives() {
        return Set.of(GatedModel.Producer.class);
    }

    @Override
    public Map<String, String> getConfigOverrides() {
        return settings;
    }
}
