#!/usr/bin/env bash
# Builds QueueMaaS and runs all its tests, against embedded parts and against a real RabbitMQ, PostgreSQL and Redis.
# Sets up what it needs itself, says what it does, and ends with "N passed, N failed". A skipped test fails the run.
#
#   ./test.sh                   everything
#   ./test.sh --filter NAME     only the test projects with NAME in their name, without the format check
#   ./test.sh faults            the fault suite in full (200 faults, 20,000 jobs; QUEUEMAAS_FAULTS, _FAULT_JOBS, _FAULT_SEED change that), which the others run in short,
#                               and batch jobs of a million rows (QUEUEMAAS_FAULT_ROWS) whose worker, broker and database go away
#   ./test.sh faults batch      only the batch jobs
#   ./test.sh upgrade COMMIT    builds that earlier version and replaces its processes by this one's, one by one, under load
#   ./test.sh containers        the product's image, docker-compose.yml with its killed containers, and tests on servers in containers; where no Docker engine
#                               answers (on Debian or Ubuntu, as root), one is installed and started for the run, with images made of Debian's packages
#
# QUEUEMAAS_TEST_SERVERS=containers|local fixes where the servers come from (see tests/QueueMaaS.TestServers).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
# Tests end before code is compiled a second time by what was observed of it; observing costs every process that they start.
export DOTNET_TieredPGO=0
configuration=Release
results=$PWD/TestResults
servers=tests/QueueMaaS.TestServers/bin/$configuration/net10.0/QueueMaaS.TestServers.dll

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'test.sh: %s\n' "$*" >&2; exit 1; }

# The number in attribute $2 of the <assembly> element of result file $1.
count() {
  [ -f "$1" ] || return 0
  sed -n "s/.*<assembly [^>]*[[:space:]]$2=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1
}

# Installs a Debian package for the commands that are missing, without starting what it brings as a service.
need() {
  local package=$1 command why=$2
  shift 2
  for command in "$@"; do
    command -v "$command" >/dev/null && continue
    if [ "$(id -u)" -ne 0 ] || [ ! -f /etc/debian_version ]; then
      fail "$command is needed $why (Debian, Ubuntu: sudo apt-get install $package)"
    fi
    echo "Installing $package with apt-get …"
    local policy=/usr/sbin/policy-rc.d own=0 status=0
    if [ ! -e "$policy" ]; then
      own=1
      printf '#!/bin/sh\nexit 101\n' >"$policy"
      chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=180 update || status=$?
    # shellcheck disable=SC2086 # several packages are several words
    apt-get -qq -o DPkg::Lock::Timeout=180 -o Dpkg::Use-Pty=0 install -y --no-install-recommends $package >/dev/null || status=$?
    if [ "$own" -eq 1 ]; then rm -f "$policy"; fi
    [ "$status" -eq 0 ] || fail "$package could not be installed"
    return
  done
}

node_clients() {
  need "nodejs npm" "for an independent producer and webhook receiver" node npm
  echo "Node.js $(node --version)"
  (cd tests/node && npm ci --no-audit --no-fund --loglevel=error)
}

# The tests of result file $1 that failed, each with the beginning of its reason: in a log of many thousand lines they would have to be looked for.
failures() {
  [ -f "$1" ] || return 0
  python3 - "$1" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

for test in tree.parse(sys.argv[1]).iter("test"):
    if test.get("result") == "Fail":
        message = (test.findtext("failure/message") or "").strip()
        trace = (test.findtext("failure/stack-trace") or "").strip()
        own = next((line.strip() for line in trace.splitlines() if "Tests" in line and ":line" in line), "")
        print(f"FAILED {test.get('name')}\n    {message[:600]}\n    {own}")
PYTHON
}

# Runs inside the servers' exec: each test project in turn, going on after failures.
run_projects() {
  local passed=0 failed=0 skipped=0 project name result p f s e status
  for project in "$@"; do
    name=$(basename "$project")
    result=$results/$name.xml
    say "$name"
    status=0
    # A test that waits for ever must not hold up the others' results; it is named by then.
    timeout --kill-after=30 40m dotnet "$project/bin/$configuration/net10.0/$name.dll" -result-xml "$result" -noColor -longRunning 120 </dev/null || status=$?
    p=$(count "$result" passed) f=$(count "$result" failed)
    s=$(count "$result" skipped) e=$(count "$result" errors)
    f=$((${f:-0} + ${e:-0}))
    # A crash leaves no result, or one that does not tell of it: it counts as one failure.
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
      printf '%s ended with exit code %d\n' "$name" "$status"
      f=1
    fi
    if [ "$((${p:-0} + f + ${s:-0}))" -eq 0 ]; then
      printf '%s holds no tests\n' "$name"
      f=1
    fi
    passed=$((passed + ${p:-0})) failed=$((failed + f)) skipped=$((skipped + ${s:-0}))
  done
  printf '%d %d %d\n' "$passed" "$failed" "$skipped" >"$results/totals"
}

if [ "${1:-}" = --run-projects ]; then
  shift
  run_projects "$@"
  exit 0
fi

if [ "${1:-}" = faults ]; then
  dotnet build tests/QueueMaaS.TestServers --configuration "$configuration" --nologo --verbosity quiet
  dotnet build tests/QueueMaaS.Behaviour.Tests --configuration "$configuration" --nologo --verbosity quiet
  mkdir -p "$results"
  rm -f "$results/faults.txt"
  export QUEUEMAAS_FAULT_REPORT=$results/faults.txt
  behaviour=tests/QueueMaaS.Behaviour.Tests/bin/$configuration/net10.0/QueueMaaS.Behaviour.Tests.dll
  status=0
  if [ "${2:-}" != batch ]; then
    QUEUEMAAS_FAULTS=${QUEUEMAAS_FAULTS:-200} QUEUEMAAS_FAULT_JOBS=${QUEUEMAAS_FAULT_JOBS:-20000} QUEUEMAAS_FAULT_RECOVERY=${QUEUEMAAS_FAULT_RECOVERY:-30} \
      dotnet "$servers" exec dotnet "$behaviour" -class '*FaultSuite' -noColor </dev/null || status=$?
  fi
  QUEUEMAAS_FAULT_ROWS=${QUEUEMAAS_FAULT_ROWS:-1000000} \
    dotnet "$servers" exec dotnet "$behaviour" -method '*A_batch_job_whose_worker_broker_and_database_die*' -noColor </dev/null || status=$?
  [ -f "$results/faults.txt" ] && cat "$results/faults.txt"
  exit "$status"
fi

if [ "${1:-}" = upgrade ]; then
  [ -n "${2:-}" ] || fail "name the commit or tag to upgrade from: ./test.sh upgrade COMMIT"
  earlier=$(mktemp -d)
  trap 'rm -rf "$earlier"' EXIT
  say "Building $2"
  git archive "$2" | tar -x -C "$earlier"
  dotnet build "$earlier/src/QueueMaaS" --configuration "$configuration" --nologo --verbosity quiet
  say "Building this version"
  dotnet build tests/QueueMaaS.TestServers --configuration "$configuration" --nologo --verbosity quiet
  dotnet build tests/QueueMaaS.Behaviour.Tests --configuration "$configuration" --nologo --verbosity quiet
  QUEUEMAAS_UPGRADE_FROM=$earlier/src/QueueMaaS/bin/$configuration/net10.0/QueueMaaS.dll \
    dotnet "$servers" exec dotnet "tests/QueueMaaS.Behaviour.Tests/bin/$configuration/net10.0/QueueMaaS.Behaviour.Tests.dll" -class '*UpgradeSuite' -explicit only -noColor </dev/null
  exit
fi

# Names each test of the result files and counts them: "PASS …" and "FAIL …", then the line that everything ends with.
report() {
  local passed failed
  cat "$@" 2>/dev/null | grep -o '<test [^>]*>' | sed -n 's/.* name="QueueMaaS\.Behaviour\.Tests\.\([^"]*\)".* result="\(Pass\|Fail\)".*/\U\2\E \1/p' | sed 's/\\*&quot;/"/g; s/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g' >"$results/checks" || true
  cat "$results/checks"
  passed=$(grep -c '^PASS' "$results/checks" || true) failed=$(grep -c '^FAIL' "$results/checks" || true)
  # What ended without a result has failed.
  if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

if [ "${1:-}" = containers ]; then
  # shellcheck source=tests/containers/engine.sh
  source tests/containers/engine.sh
  say "Checking the tools"
  node_clients
  prepare_engine
  say "Building the tests"
  dotnet build tests/QueueMaaS.TestServers --configuration "$configuration" --nologo --verbosity quiet
  dotnet build tests/QueueMaaS.Behaviour.Tests --configuration "$configuration" --nologo --verbosity quiet
  mkdir -p "$results"
  rm -f "$results"/containers-*.xml
  behaviour=tests/QueueMaaS.Behaviour.Tests/bin/$configuration/net10.0/QueueMaaS.Behaviour.Tests.dll
  status=0
  say "Tests on RabbitMQ, PostgreSQL and Redis in containers"
  QUEUEMAAS_TEST_SERVERS=containers dotnet "$servers" exec dotnet "$behaviour" -method '*.Servers_jobs.*' -method '*.Servers_bus.*' -method '*.Jobs_accepted_while_the_broker_is_down*' \
    -result-xml "$results/containers-servers.xml" -noColor -longRunning 120 </dev/null || status=$?
  say "The image and docker-compose.yml"
  dotnet "$behaviour" -class '*.ImageSuite' -class '*.ComposeSuite' -explicit only -result-xml "$results/containers-compose.xml" -noColor -longRunning 300 </dev/null || status=$?
  say "Checks"
  report "$results"/containers-*.xml
  exit
fi

filter=
format=0
vulnerable=0
case "${1:-}" in
  "") ;;
  --filter) filter=${2:?--filter needs a name} ;;
  *) fail "unknown argument '$1'; usage: ./test.sh [--filter NAME | faults [batch] | upgrade COMMIT | containers]" ;;
esac

projects=()
for project in tests/*.Tests/; do
  project=${project%/}
  case "$project" in *"$filter"*) projects+=("$project") ;; esac
done
[ "${#projects[@]}" -gt 0 ] || fail "no test project has '$filter' in its name"

say "Checking the tools"
command -v dotnet >/dev/null || fail "the .NET 10 SDK is needed: https://dotnet.microsoft.com/download/dotnet/10.0"
sdk=$(dotnet --version 2>/dev/null) || fail "the .NET 10 SDK is needed (global.json); found only: $(dotnet --list-sdks | tr '\n' ' ')"
echo ".NET SDK $sdk"
node_clients
need python3 "for the worked example" python3
need prometheus "to check metrics and alert rules" promtool
promtool --version 2>&1 | head -n 1
need kubernetes-client "to render the Kubernetes manifests" kubectl

mkdir -p "$results"
rm -f "$results"/*.xml "$results/totals"

# Known holes in the libraries, where the package source has the data; one that has none must not look like one that knows of none.
vulnerabilities() {
  local source report
  source=$(dotnet nuget list source --format Short | sed -n 's/^E[MU]* //p' | head -n 1)
  if ! curl --silent --fail --max-time 20 "$source" | grep -q VulnerabilityInfo; then
    echo "NOT CHECKED: $source has no data on vulnerabilities"
    return 0
  fi
  report=$(dotnet list QueueMaaS.sln package --vulnerable --include-transitive --format json) || { echo "NOT CHECKED: $report"; return 0; }
  if grep -q '"vulnerabilities"' <<<"$report"; then
    echo "$report"
    return 1
  fi
  echo "None is known."
}

if [ -z "$filter" ]; then
  say "Building the solution"
  dotnet build QueueMaaS.sln --configuration "$configuration" --nologo --verbosity quiet
  say "Checking the format"
  # Bad layout fails the run, but it need not hide what the tests say.
  dotnet format QueueMaaS.sln --no-restore --verify-no-changes || format=1
  say "Asking for known vulnerabilities of the packages"
  vulnerabilities || vulnerable=1
else
  say "Building ${projects[*]}"
  for project in tests/QueueMaaS.TestServers "${projects[@]}"; do
    dotnet build "$project" --configuration "$configuration" --nologo --verbosity quiet
  done
fi

say "Starting the servers"
status=0
dotnet "$servers" exec bash ./test.sh --run-projects "${projects[@]}" || status=$?
[ -f "$results/totals" ] || fail "the tests did not run to their end (exit code $status)"
read -r passed failed skipped <"$results/totals"
if [ "$format" -ne 0 ]; then
  echo "The format check failed: run dotnet format QueueMaaS.sln"
  failed=$((failed + 1))
fi
if [ "$vulnerable" -ne 0 ]; then
  echo "A package has a known vulnerability (above): take a version without it"
  failed=$((failed + 1))
fi
# Servers that could not be stopped are a failure too.
if [ "$status" -ne 0 ]; then failed=$((failed + 1)); fi

for result in "$results"/*.xml; do failures "$result"; done
line="$passed passed, $failed failed"
if [ "$skipped" -gt 0 ]; then line="$line, $skipped skipped"; fi
printf '\n%s\n' "$line"
[ "$failed" -eq 0 ] && [ "$skipped" -eq 0 ]
