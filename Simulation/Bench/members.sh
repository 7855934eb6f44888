# Three members of Holdfast on loopback, for the benches of this folder; sourced. Expects `folder` (empty, removed by whoever
# sources this) and `holdfast`, inside a network namespace of its own.

# until SECONDS WORDS COMMAND...: asks again until the command succeeds.
until_true() {
    local end=$((SECONDS + $1)) words=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || { echo "error: $words" >&2; tail -n 20 "$folder"/*.log >&2; exit 1; }
        read -rt 0.1 <> <(:) || true
    done
}

# ---------------------------------------------------------------------------------------------------------- Holdfast
export HOLDFAST_CONFIG=$folder/context.yaml
start_holdfast() {
    local number
    members=()
    for number in 1 2 3; do
        "$holdfast" agent --data-dir "$folder/h$number" >>"$folder/h$number.log" 2>&1 &
        members+=($!)
    done
    until_true 20 "Holdfast has no three voters" three_voters
}
three_voters() { "$holdfast" status -o json | python3 -c '
import json, sys
status = json.load(sys.stdin)
sys.exit(sum(m["reachable"] and m["voter"] for m in status["members"]) != 3)'; }
found_holdfast() {
    local number token kind
    "$holdfast" cluster init --name bench --member h1 --address 127.0.0.1 --peer-port 7401 --api-port 7441 \
        --data-dir "$folder/h1" >/dev/null
    "$holdfast" agent --data-dir "$folder/h1" >>"$folder/h1.log" 2>&1 &
    members=($!)
    until_true 20 "the first member does not lead" "$holdfast" status
    for number in 2 3; do
        if ((number == 3)); then kind=witness; else kind=host; fi
        token=$("$holdfast" cluster token create --kind $kind | grep -oE 'hf1[A-Za-z0-9_.-]+|[A-Za-z0-9_.-]{60,}' | head -n 1)
        "$holdfast" agent --data-dir "$folder/h$number" --join "$token" --name "h$number" --address 127.0.0.1 \
            --peer-port "740$number" --api-port "744$number" >>"$folder/h$number.log" 2>&1 &
        members+=($!)
    done
    until_true 20 "Holdfast has no three voters" three_voters
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

stop_all() {
    local member
    for member in "${members[@]}"; do kill "$member" 2>/dev/null || true; done
    for member in "${members[@]}"; do wait "$member" 2>/dev/null || true; done
    members=()
}
