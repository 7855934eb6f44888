# Three members of Debian's etcd-server on loopback, with TLS everywhere, to stand beside Holdfast; sourced after members.sh.
make_certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=bench \
        -keyout "$folder/e-ca.key" -out "$folder/e-ca.pem" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=member \
        -keyout "$folder/e-key.pem" -out "$folder/e.csr" 2>/dev/null
    openssl x509 -req -in "$folder/e.csr" -CA "$folder/e-ca.pem" -CAkey "$folder/e-ca.key" -CAcreateserial -days 2 \
        -extfile <(echo "subjectAltName=IP:127.0.0.1") -out "$folder/e-cert.pem" 2>/dev/null
}
run_etcd() {
    local cluster=e1=https://127.0.0.1:2381,e2=https://127.0.0.1:2382,e3=https://127.0.0.1:2383
    local tls=(--cert-file "$folder/e-cert.pem" --key-file "$folder/e-key.pem" --trusted-ca-file "$folder/e-ca.pem"
        --client-cert-auth --peer-cert-file "$folder/e-cert.pem" --peer-key-file "$folder/e-key.pem"
        --peer-trusted-ca-file "$folder/e-ca.pem" --peer-client-cert-auth)
    etcd --name "e$1" --data-dir "$folder/e$1" --initial-cluster "$cluster" --log-level error \
        --listen-peer-urls "https://127.0.0.1:238$1" --initial-advertise-peer-urls "https://127.0.0.1:238$1" \
        --listen-client-urls "https://127.0.0.1:237$1" --advertise-client-urls "https://127.0.0.1:237$1" \
        "${tls[@]}" >>"$folder/e$1.log" 2>&1 &
}
start_etcd() {
    local number
    members=()
    for number in 1 2 3; do
        run_etcd $number
        members+=($!)
    done
    until_true 30 "etcd takes no writes" load etcd 1 0.1 put
}
# The place of the leader in `members`; fails when none is known.
leader_of_etcd() { load etcd 1 1 leader; }
# Whether every member serves a write.
all_of_etcd() { load etcd 3 0.1 put; }
