# What people do with this repository. Everything sets itself up; needed are make, Python 3.11 or newer and a JDK 25 or newer.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

maven := JAVA_HOME="$$(tools/java-home)" ./mvnw -B -ntp
# The whole of training-exporter, PyTorch included, in training-exporter/.venv.
developer := tools/uv run --quiet --frozen --all-extras --all-groups --directory training-exporter
# What `softcall` needs where PyTorch is not: a small environment of its own.
python := build/venv/bin/python
softcall := build/venv/bin/softcall
ruff_files := . ../tools ../bench ../deploy

environment := build/venv/complete
# The same with a client of Kafka.
events_python := build/venv-events/bin/python
events_environment := build/venv-events/complete
# The same with the clients of others.
clients_python := build/venv-clients/bin/python
clients_environment := build/venv-clients/complete
# The same, and what archives are compressed with.
edge_python := build/venv-edge/bin/python
edge_environment := build/venv-edge/complete
TASKS := banking77 spamassassin
PLATFORMS := x64 aarch64
archives := $(PLATFORMS:%=build/edge/softcall-edge-linux-%.tar.zst)
bundle := build/base/base.json
jar := target/quarkus-app/quarkus-run.jar
server := target/quarkus-app/server.aot
lambdas := target/lambda-http/quarkus-app/quarkus-run.jar target/lambda-events/quarkus-app/quarkus-run.jar

.PHONY: help
help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## set everything up, then show it: two tasks on one server, one of them replaced while it runs
	@python3 tools/prepare.py
	@$(python) tools/demo.py

.PHONY: events
events: $(events_environment) $(bundle) $(server) ## run S3, Kafka and the server: drop a file, see its results
	@$(events_python) tools/events.py $(EVENTS)

.PHONY: test
test: lint test-python base test-java test-native test-lambda server test-clients test-openapi test-jobs ## check everything, Python and Java

.PHONY: test-python
test-python: ## run the tests of training-exporter
	OMP_NUM_THREADS=1 $(developer) pytest --numprocesses auto --dist loadfile

.PHONY: test-java
test-java: base ## build the server and run its tests
	$(maven) verify

.PHONY: test-native
test-native: ## build all of the native executable but the compilation, for which there need be no GraalVM
	$(maven) package -Pnative -Dquarkus.native.sources-only=true -DskipTests -Dspotless.check.skip

# The executable that `make test-native` prepares is compiled by GRAALVM_HOME's compiler (GraalVM or Mandrel 25).
.PHONY: native-test
native-test: ## compile the native executable with GRAALVM_HOME's compiler, and run the integration tests against it (15 minutes)
	JAVA_HOME="$${GRAALVM_HOME:?set it to a GraalVM or Mandrel for JDK 25}" ./mvnw -B -ntp verify -Pnative \
		-Dtest='*ReflectionTest,ReachabilityMetadataTest,NativeSettingsTest,DowncallsTest' -Dspotless.check.skip

.PHONY: test-jobs
test-jobs: $(events_environment) $(server) ## kill servers in the middle of their work and fail their store, a few times
	@$(events_python) tools/chaos.py --kills 2 --rows 4000 --messages 4000

.PHONY: test-clients
test-clients: $(clients_environment) $(bundle) $(server) ## let OpenAI's own clients and LangChain list the tasks, and let the base write text for them
	@$(clients_python) tools/clients.py
	@PATH="$(CURDIR)/build/venv-clients/bin:$$PATH" npm ci --prefix tools/clients --ignore-scripts --no-audit --no-fund --silent
	@$(clients_python) tools/clients_text.py --completion whole --chat whole --serve-as whole --base build/base --variant int8

.PHONY: test-openapi
test-openapi: $(clients_environment) $(server) ## let Schemathesis hold the server to its OpenAPI document, and the document to it
	@$(clients_python) tools/openapi_check.py $(OPENAPI)

.PHONY: chaos
chaos: $(events_environment) $(server) ## the same, 20 times, and with 50,000 messages
	@$(events_python) tools/chaos.py --kills 20 --rows 40000 --messages 50000

.PHONY: soak
soak: $(events_environment) $(server) ## serve for MINUTES beside bad neighbours, and hold callers, memory and times to their bars
	@$(events_python) tools/soak.py $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: fuzz
fuzz: ## send whatever strangers could send to whatever reads it, for MINUTES in all
	@python3 tools/fuzz.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(ONLY),--only $(ONLY))

.PHONY: mutation
mutation: base ## count the small changes of task, store and inference that no test notices (target/pit-reports; an hour)
	$(maven) test-compile org.pitest:pitest-maven:mutationCoverage -Dspotless.check.skip

.PHONY: edge
edge: $(archives) ## make the archives for devices, build/edge/softcall-edge-linux-*.tar.zst (TASKS="...", PLATFORMS="x64 aarch64")

.PHONY: edge-check
edge-check: $(archives) $(server) ## hold them to docs/edge.md: memory, speed, power cuts, a flapping network (20 minutes, as root)
	@$(edge_python) tools/edge_check.py $(CHECK)

.PHONY: test-lambda
test-lambda: lambda ## run the builds for Lambda behind AWS's emulator
	$(maven) test -Dtest='Lambda*Test' -DexcludedGroups=none -Dspotless.check.skip

.PHONY: lambda
lambda: $(lambdas) ## package the two builds for AWS Lambda

.PHONY: environment
environment: $(environment) ## install the command line without PyTorch into build/venv

.PHONY: base
base: $(bundle) ## make the base bundle build/base (fetches 98 MB, once)

.PHONY: server
server: $(server) ## package the server, and train its AOT cache

.PHONY: serve
serve: $(bundle) $(server) ## run the server on port 8080 with the tasks of tasks/
	JAVA_HOME="$$(tools/java-home)" SOFTCALL_BASE_DIR=build/base SOFTCALL_STORE_URI=file:tasks \
	exec target/quarkus-app/softcall-server

.PHONY: score
score: $(environment) $(bundle) $(server) ## score the shipped tasks on their test sets over HTTP
	@$(python) tools/score.py

.PHONY: bench
bench: bench-environment ## measure Softcall beside PEFT, llama.cpp and ONNX Runtime (45 minutes; CORES: what is measured has these alone)
	@bench/.venv/bin/python -m softcall_bench $(if $(CORES),--cores $(CORES))

.PHONY: bench-quick
bench-quick: bench-environment ## the same with fewer and shorter rounds
	@bench/.venv/bin/python -m softcall_bench --quick $(if $(CORES),--cores $(CORES))

.PHONY: bench-batch
bench-batch: bench-environment ## measure jobs: 20,000 rows on the real base, 1,000,000 on a tiny one (20 minutes)
	@bench/.venv/bin/python -m softcall_bench.batch

.PHONY: bench-training
bench-training: ## measure training steps beside PEFT (DATA: labelled texts; 10 minutes)
	@tools/uv sync --frozen --inexact --project bench
	@bench/.venv/bin/python -m softcall_bench.training $(if $(DATA),--data $(DATA))

.PHONY: bench-charts
bench-charts: ## write the figures of the last bench into docs/benchmarks.md and docs/charts
	@bench/.venv/bin/python -m softcall_bench --publish

.PHONY: results
results: ## write docs/results.md from the recorded trainings, and say which bars they reach
	@tools/uv sync --quiet --frozen --inexact --project bench
	@bench/.venv/bin/python -m softcall_bench.results

.PHONY: agreement
agreement: bench-environment ## ask int8 for the labels that fp32 gives (DATA and PROMPTS: see bench/agreement/train.sh; half an hour)
	@bench/.venv/bin/python -m softcall_bench.agreement $(if $(DATA),--data $(DATA)) $(if $(PROMPTS),--prompts $(PROMPTS))
	@bench/.venv/bin/python -m softcall_bench.agreement_page

# llama.cpp is compiled for this machine, once, which takes minutes.
.PHONY: bench-environment
bench-environment: $(bundle) $(server)
	@tools/uv sync --frozen --project bench --extra llama || { \
		echo "bench: llama.cpp cannot be built here; it is left out" >&2; tools/uv sync --frozen --project bench; }

.PHONY: format
format: ## format Python and Java
	$(developer) ruff check --config pyproject.toml --fix $(ruff_files)
	$(developer) ruff format --config pyproject.toml $(ruff_files)
	$(maven) spotless:apply

.PHONY: lint
lint: lint-deploy ## check the style of Python and Java, and everything in deploy/
	$(developer) ruff check --config pyproject.toml $(ruff_files)
	$(developer) ruff format --config pyproject.toml --check $(ruff_files)
	$(maven) spotless:check

.PHONY: lint-deploy
lint-deploy: ## check manifests, templates and container files against their schemas, and the pages for lines, links and words
	tools/uv run --quiet --frozen --directory deploy/lint pytest -q

.PHONY: clean
clean: ## remove what was built; downloads stay in the caches of uv, Maven and softcall
	rm -rf build target

$(environment): training-exporter/pyproject.toml training-exporter/uv.lock
	UV_PROJECT_ENVIRONMENT="$(CURDIR)/build/venv" tools/uv sync --frozen --no-default-groups --directory training-exporter
	@touch $@

$(events_environment): training-exporter/pyproject.toml training-exporter/uv.lock
	UV_PROJECT_ENVIRONMENT="$(CURDIR)/build/venv-events" tools/uv sync --frozen --no-default-groups --group events --directory training-exporter
	@touch $@

$(clients_environment): training-exporter/pyproject.toml training-exporter/uv.lock
	UV_PROJECT_ENVIRONMENT="$(CURDIR)/build/venv-clients" tools/uv sync --frozen --no-default-groups --group clients --directory training-exporter
	@touch $@

$(edge_environment): training-exporter/pyproject.toml training-exporter/uv.lock
	UV_PROJECT_ENVIRONMENT="$(CURDIR)/build/venv-edge" tools/uv sync --frozen --no-default-groups --group edge --directory training-exporter
	@touch $@

$(bundle): $(wildcard training-exporter/src/softcall/graphs/*/*) | $(environment)
	$(softcall) base build/base --from-graph --replace

$(jar): pom.xml $(shell find src/main -type f)
	$(maven) package -DskipTests
	@touch $@

target/%/quarkus-app/quarkus-run.jar: pom.xml $(shell find src/main src/lambda src/lambda-events -type f)
	$(maven) package -P$* -Dmaven.test.skip -Dspotless.check.skip
	rm -f $(@D)/function.zip
	@touch $@

# Anew when other tasks are asked for, too.
build/edge/softcall-edge-linux-%.tar.zst: $(edge_environment) $(bundle) $(jar) $(wildcard deploy/edge/* tools/edge*.py) $(if $(findstring command,$(origin TASKS)),always)
	$(edge_python) tools/edge.py --platform $* --tasks $(TASKS)

.PHONY: always
always:

# Anew whenever the jars are: the cache fits only them.
$(server): $(jar) $(bundle) tools/aot_cache.py tools/local_server.py
	python3 tools/aot_cache.py
