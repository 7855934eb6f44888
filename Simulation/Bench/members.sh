# Members of Holdfast on loopback, for the benches of this folder; sourced. To be run inside a network namespace of its own.
#
# prepare PROGRAM...: makes `folder`, which is removed at the end with every member, and looks for `holdfast` and the programs.
members=()
prepare() {
    holdfast="${HOLDFAST:-$PWD/.build/release/holdfast}"
    [[ -x $holdfast ]] || { echo "error: $holdfast is missing; deploy/lab.sh builds it" >&2; exit 1; }
    local need
    for need in "$@"; do
        command -v "$need" >/dev/null || { echo "error: $need is missing; see the head of $0" >&2; exit 1; }
    done
    mkdir -p "${HOLDFAST_BENCH_FOLDER:-.build}"
    folder=$(mktemp -d "$(cd "${HOLDFAST_BENCH_FOLDER:-.build}" && pwd)/bench.XXXXXX")
    export HOLDFAST_CONFIG=$folder/context.yaml
    trap finish EXIT
}
finish() {
    local member
    for member in ${members[@]+"${members[@]}"}; do kill -9 "$member" 2>/dev/null || true; done
    for member in ${members[@]+"${members[@]}"}; do wait "$member" 2>/dev/null || true; done
    rm -rf "$folder"
}

# until_true SECONDS WORDS COMMAND...: asks again until the command succeeds.
until_true() {
    local end=$((SECONDS + $1)) words=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || { echo "error: $words" >&2; tail -n 20 "$folder"/*.log >&2; exit 1; }
        read -rt 0.1 <> <(:) || true
    done
}

# What every agent is started with, beside its data directory.
agent_options=()
# run_holdfast NUMBER [OPTION...]: starts one member in the background, from what is on its disk.
run_holdfast() {
    local number=$1
    shift
    "$holdfast" agent --data-dir "$folder/h$number" ${agent_options[@]+"${agent_options[@]}"} "$@" \
        >>"$folder/h$number.log" 2>&1 &
}
start_holdfast() {
    local number count=${1:-3}
    members=()
    for ((number = 1; number <= count; number++)); do
        run_holdfast $number
        members+=($!)
    done
    until_true 60 "Holdfast has not $count voters" voters_of_holdfast "$count"
}
# voters_of_holdfast COUNT: whether exactly so many voters are reachable.
voters_of_holdfast() { "$holdfast" status -o json --timeout 2s | python3 -c '
import json, sys
status = json.load(sys.stdin)
sys.exit(sum(m["reachable"] and m["voter"] for m in status["members"]) != int(sys.argv[1]))' "$1"; }
all_of_holdfast() { voters_of_holdfast ${#members[@]}; }
# The place of the leader in `members`.
leader_of_holdfast() { "$holdfast" status -o json | python3 -c '
import json, sys
print(int(json.load(sys.stdin)["leader"][1:]) - 1)'; }

# found_holdfast [COUNT]: a cluster of so many voters (3), h1 to hCOUNT; h3 is the witness. Its operator's certificates are in
# h-ca.pem, h-cert.pem and h-key.pem.
found_holdfast() {
    local number token kind count=${1:-3}
    "$holdfast" cluster init --name bench --member h1 --address 127.0.0.1 --peer-port 7401 --api-port 7441 \
        --data-dir "$folder/h1" >/dev/null
    run_holdfast 1
    members=($!)
    until_true 60 "the first member does not lead" "$holdfast" status
    for ((number = 2; number <= count; number++)); do
        if ((number == 3)); then kind=witness; else kind=host; fi
        token=$("$holdfast" cluster token create --kind $kind | grep -oE 'hf1[A-Za-z0-9_.-]+|[A-Za-z0-9_.-]{60,}' | head -n 1)
        run_holdfast $number --join "$token" --name "h$number" --address 127.0.0.1 \
            --peer-port "740$number" --api-port "744$number"
        members+=($!)
        until_true 60 "member $number does not join" member_of_holdfast h$number
    done
    until_true 60 "Holdfast has not $count voters" voters_of_holdfast "$count"
    python3 - "$HOLDFAST_CONFIG" "$folder" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
def pem(name, kind):
    """The block of that kind behind the first line that begins with the name."""
    behind = text[re.search(r"^\s*" + name + r":", text, re.M).start():]
    found = re.search(f"-----BEGIN {kind}.*?-----END {kind}-----", behind, re.S)[0]
    return "\n".join(line.strip() for line in found.splitlines()) + "\n"
for name, kind, file in [
    ("authority", "CERTIFICATE", "ca"), ("certificate", "CERTIFICATE", "cert"), ("key", "PRIVATE KEY", "key")]:
    with open(f"{sys.argv[2]}/h-{file}.pem", "w") as out: out.write(pem(name, kind))
PY
}
member_of_holdfast() { "$holdfast" status -o json --timeout 2s | python3 -c '
import json, sys
sys.exit(not any(m["name"] == sys.argv[1] and m["reachable"] for m in json.load(sys.stdin)["members"]))' "$1"; }

stop_all() {
    local member
    for member in "${members[@]}"; do kill "$member" 2>/dev/null || true; done
    for member in "${members[@]}"; do wait "$member" 2>/dev/null || true; done
    members=()
}

# ------------------------------------------------------------------------------------------------------- the clients
build_load() {
    (cd Simulation/Bench/load && GO111MODULE=off GOPATH="${HOLDFAST_GOPATH:-/usr/share/gocode}" GOFLAGS='' \
        GOCACHE="${HOLDFAST_GOCACHE:-$OLDPWD/.build/go-cache}" go build -o "$folder/load" .)
}
# load SYSTEM CLIENTS SECONDS DO [OPTION...]: with `leave_out` set to its number, one member is not asked.
load() {
    local system=$1 clients=$2 seconds=$3 do=$4 number endpoints=""
    shift 4
    for ((number = 1; number <= ${#members[@]}; number++)); do
        [[ $number != "${leave_out-}" ]] || continue
        if [[ $system == etcd ]]; then endpoints+=,127.0.0.1:237$number; else endpoints+=,127.0.0.1:744$number; fi
    done
    case $system in
    etcd) timeout 120 "$folder/load" -system etcd -ca "$folder/e-ca.pem" -cert "$folder/e-cert.pem" -key "$folder/e-key.pem" \
        -endpoints "${endpoints#,}" -clients "$clients" -seconds "$seconds" -do "$do" "$@" ;;
    *) timeout 120 "$folder/load" -system holdfast -any-name -ca "$folder/h-ca.pem" -cert "$folder/h-cert.pem" \
        -key "$folder/h-key.pem" -endpoints "${endpoints#,}" -clients "$clients" -seconds "$seconds" -do "$do" "$@" ;;
    esac
}
