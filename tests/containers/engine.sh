# shellcheck shell=bash
# Sourced by test.sh: a Docker engine with Compose. Where one answers, it is used, with the images that it has or pulls.
# Else, as root on Debian or Ubuntu, one is installed and started for this run, and images are made of Debian's packages
# under the names that docker-compose.yml and compose/Dockerfile ask for. They stay in the cache folder for the next run.

container_cache=${XDG_CACHE_HOME:-$HOME/.cache}/queuemaas/containers
container_run=/run/queuemaas-containers
debian=queuemaas-test/debian:13

prepare_engine() {
  if docker info >/dev/null 2>&1; then
    docker compose version >/dev/null 2>&1 || fail "a Docker engine answers, but Docker Compose is missing: https://docs.docker.com/compose/install"
    echo "Using the Docker engine that answers, and the images that it has or pulls."
  else
    need "docker.io iptables" "to run containers, and no Docker engine answers" docker dockerd iptables
    need debootstrap "to make images of Debian's packages" debootstrap
    start_engine
    make_base
    add_plugins
    make_images
  fi
  # Testcontainers asks for the newest protocol otherwise, which an older engine refuses.
  DOCKER_API_VERSION=$(docker version --format '{{.Server.APIVersion}}')
  export DOCKER_API_VERSION
}

start_engine() {
  mkdir -p "$container_cache" "$container_run"
  exec 9>"$container_run/lock"
  flock --nonblock 9 || fail "another ./test.sh containers runs on this machine"
  # One that was left behind by a run that was killed.
  stop_engine
  trap stop_engine EXIT
  echo "Starting a Docker engine; its images are kept in $container_cache …"
  # In a session of its own, so that Ctrl-C does not take it away from the containers that are still to be removed.
  setsid dockerd --host "unix://$container_run/docker.sock" --pidfile "$container_run/docker.pid" --exec-root "$container_run/exec" --data-root "$container_cache/engine" \
    >"$container_run/log" 2>&1 </dev/null 9>&- &
  # A configuration of its own, too: the plugins go there, and whatever the user's says about other engines does not count.
  export DOCKER_HOST=unix://$container_run/docker.sock DOCKER_CONFIG=$container_cache/client DOCKER_BUILDKIT=1
  unset DOCKER_CONTEXT
  # Testcontainers' own cleaner is an image that nobody here can make; what is left behind goes with this engine.
  export TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1
  local tries
  for ((tries = 0; tries < 120; tries++)); do
    if docker info >/dev/null 2>&1; then
      tidy_engine
      return
    fi
    sleep 0.5
  done
  tail -n 20 "$container_run/log" >&2
  fail "the Docker engine did not start"
}

# Takes away the containers of a run that was killed, and of older sources' builds what is more than a few are worth.
tidy_engine() {
  local left
  left=$(docker ps --all --quiet)
  # shellcheck disable=SC2086 # several containers are several words
  [ -z "$left" ] || docker rm --force --volumes $left >/dev/null
  docker image prune --force >/dev/null
  docker builder prune --force --keep-storage 10GB >/dev/null
}

stop_engine() {
  local process tries
  process=$(cat "$container_run/docker.pid" 2>/dev/null) || return 0
  [ "$(cat "/proc/$process/comm" 2>/dev/null)" = dockerd ] || return 0
  kill "$process"
  for ((tries = 0; tries < 120; tries++)); do
    [ -d "/proc/$process" ] || return 0
    sleep 0.5
  done
  kill -KILL "$process"
}

# Debian 13 has the versions that docker-compose.yml names or nearly so, and the newer libstdc++ that TorchSharp wants.
make_base() {
  docker image inspect "$debian" >/dev/null 2>&1 && return
  echo "Making a Debian 13 with debootstrap, a minute or two, once …"
  local root=$container_cache/root own
  rm -rf "$root"
  debootstrap --variant=minbase trixie "$root" >"$container_cache/debootstrap.log" 2>&1 || { tail -n 20 "$container_cache/debootstrap.log" >&2; fail "debootstrap failed"; }
  # Authorities that this machine trusts beside the public ones; the package ca-certificates takes them up.
  mkdir -p "$root/usr/local/share/ca-certificates"
  for own in /usr/local/share/ca-certificates/*.crt; do
    if [ -f "$own" ]; then cp "$own" "$root/usr/local/share/ca-certificates/"; fi
  done
  rm -rf "$root"/var/cache/apt/archives/*
  tar -C "$root" -c . | docker import - "$debian" >/dev/null
  rm -rf "$root"
}

# Debian 12's own Compose is version 1, which does not read our file. Version 2, and BuildKit for clients that have none built in, run there too.
add_plugins() {
  local plugins=$DOCKER_CONFIG/cli-plugins packages
  if [ ! -x "$plugins/docker-compose" ] || [ ! -x "$plugins/docker-buildx" ]; then
    echo "Getting Docker Compose from Debian 13 …"
    packages=$(mktemp -d)
    docker run --rm --volume "$packages:/packages" "$debian" \
      sh -c 'apt-get -qq update && cd /packages && apt-get -qq -o APT::Sandbox::User=root download docker-compose docker-buildx && for package in *.deb; do dpkg-deb --extract "$package" .; done'
    mkdir -p "$plugins"
    cp "$packages"/usr/libexec/docker/cli-plugins/docker-{compose,buildx} "$plugins/"
    rm -rf "$packages"
  fi
  docker compose version
}

make_images() {
  local name sdk
  sdk=$(dirname "$(readlink --canonicalize "$(command -v dotnet)")")
  # The names are asked of the files themselves; what they hold is Debian's version.
  while read -r name; do
    case $name in
      rabbitmq:* | postgres:* | redis:*) make_image "$name" "${name%%:*}" ;;
      prom/prometheus:*) make_image "$name" prometheus ;;
      */dotnet/sdk:*) make_image "$name" dotnet-sdk "$sdk" ;;
      */dotnet/aspnet:*) make_image "$name" dotnet-aspnet "$sdk" ;;
      queuemaas:*) ;;
      *) echo "Left out, since Debian has no package of it: $name" ;;
    esac
  done < <(sed -n 's/^ *image: *//p' docker-compose.yml; sed -n 's/^FROM \([^ ]*\).*/\1/p' compose/Dockerfile)
}

# NAME FOLDER [CONTEXT]
make_image() {
  local context=tests/containers/images/$2
  echo "Making $1 of Debian's packages …"
  docker build --quiet --tag "$1" --file "$context/Dockerfile" "${3:-$context}" >/dev/null
}
