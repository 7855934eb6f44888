"""Sends garbage to three members of Holdfast on loopback, and looks whether they mind. Started by garbage.sh.

Every attacker is a thread that does one kind of thing until the time is over, from an address of its own (127.0.1.x), as a
machine of the network would. The operator writes and reads from 127.0.0.1.
"""
import argparse, http.client, json, os, random, select, socket, ssl, struct, sys, threading, time

arguments = argparse.ArgumentParser()
arguments.add_argument("--folder", required=True)
arguments.add_argument("--members", required=True, help="their process ids")
arguments.add_argument("--seconds", type=float, default=60)
arguments.add_argument("--requests", type=int, default=10_000, help="at once, at the end; 0: none")
arguments.add_argument("--growth", type=float, default=64, help="MiB that a member may grow by")
arguments.add_argument("--seed", type=int, default=1)
arguments.add_argument("--json", action="store_true")
options = arguments.parse_args()
folder = options.folder
pids = [int(pid) for pid in options.members.split()]
PEER, API = [7401, 7402, 7403], [7441, 7442, 7443]
LONGEST = 4096
# More connections than a member takes.
MANY = 1200
end = time.monotonic() + options.seconds
counts, lock = {}, threading.Lock()


def count(kind, number=1):
    with lock: counts[kind] = counts.get(kind, 0) + number


def context(certificate=None, key=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if certificate: made.load_cert_chain(certificate, key)
    return made


nobody = context()
operator = context(f"{folder}/h-cert.pem", f"{folder}/h-key.pem")
# A member whose disk was stolen, or one that is broken: the witness's own key.
member = context(f"{folder}/h3/identity/certificate.pem", f"{folder}/h3/identity/key.pem")


def connect(port, source, wait=0.5):
    made = socket.socket()
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.bind((source, 0))
    made.settimeout(wait)
    made.connect(("127.0.0.1", port))
    return made


def reset(connection):
    """Ends without a farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def until_closed(connection, most=0.05):
    connection.settimeout(most)
    try:
        while connection.recv(65536): pass
    except OSError: pass


def hello(draw):
    """The first message of a real handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = nobody.wrap_bio(incoming, outgoing, server_hostname="holdfast" if draw.random() < 0.5 else None)
    try: handshake.do_handshake()
    except ssl.SSLWantReadError: pass
    return bytearray(outgoing.read())


def altered(message, draw):
    for _ in range(draw.randint(1, 4)):
        what, place = draw.randint(0, 3), draw.randrange(len(message))
        if what == 0: message[place] = draw.randrange(256)
        elif what == 1: message[place:place] = draw.randbytes(draw.randint(1, 64))
        elif what == 2: del message[place:place + draw.randint(1, 64)]
        else: message[place] ^= 1 << draw.randrange(8)
        if not message: message = bytearray(b"\0")
    return message


# ------------------------------------------------------------------------------------- before anybody has proved anything
def bytes_of_every_length(port, source, draw, turn):
    length = turn % (LONGEST + 1)
    with connect(port, source) as connection:
        kind = turn // (LONGEST + 1) % 3
        connection.sendall(draw.randbytes(length) if kind == 0 else bytes([0, 255][kind - 1:kind]) * length)
        if draw.random() < 0.5: connection.shutdown(socket.SHUT_WR)
        until_closed(connection)


def records(port, source, draw, turn):
    """Records of TLS by their looks."""
    with connect(port, source) as connection:
        length = turn % (LONGEST + 1)
        told = length if draw.random() < 0.5 else draw.randrange(65536)
        kind, version = draw.choice([20, 21, 22, 23, 24, 0, 255]), draw.choice([b"\3\1", b"\3\3", b"\3\4", b"\2\0"])
        connection.sendall(bytes([kind]) + version + struct.pack(">H", told) + draw.randbytes(length))
        until_closed(connection)


def cut_handshakes(port, source, draw, turn):
    with connect(port, source) as connection:
        message = hello(draw)
        connection.sendall(message[:turn % (len(message) + 1)])
        if draw.random() < 0.3: return reset(connection)
        until_closed(connection)


def altered_handshakes(port, source, draw, turn):
    with connect(port, source) as connection:
        connection.sendall(altered(hello(draw), draw))
        until_closed(connection)


def half_handshakes(port, source, draw, turn):
    """The server's part arrives; then nothing, an end, or garbage."""
    with connect(port, source) as connection:
        connection.sendall(hello(draw))
        connection.recv(65536)
        what = turn % 3
        if what == 0: return reset(connection)
        if what == 1: connection.sendall(draw.randbytes(draw.randint(1, LONGEST)))
        until_closed(connection, 0.5 if what == 2 else 0.05)


def plain_http(port, source, draw, turn):
    with connect(port, source) as connection:
        connection.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        until_closed(connection)


def slowly(port, source, draw, turn):
    """As many connections as one machine likes to open, each with a byte of a handshake a second, for as long as they are let."""
    open_ones = []
    try:
        for _ in range(MANY):
            try: open_ones.append((connect(port, source), hello(draw)))
            except OSError: count("slow ones refused")
        place = 0
        while open_ones and time.monotonic() < end and place < 20:
            for one in list(open_ones):
                try: one[0].sendall(one[1][place:place + 1])
                except OSError:
                    one[0].close()
                    open_ones.remove(one)
                    count("slow ones closed by the member")
            place += 1
            time.sleep(min(1, max(0, end - time.monotonic())))
    finally:
        for one in open_ones: one[0].close()


# ------------------------------------------------------------------------------------------------ behind a good handshake
def inside(port, source, who, wait=0.5):
    return who.wrap_socket(connect(port, source, wait))


def garbage_inside(port, source, draw, turn, who):
    try:
        with inside(port, source, who) as connection:
            connection.sendall(draw.randbytes(turn % (LONGEST + 1)))
            until_closed(connection)
    except (ssl.SSLError, OSError): count("refused in the handshake")


def garbage_of_an_operator(port, source, draw, turn): garbage_inside(port, source, draw, turn, operator)


def garbage_of_a_member(port, source, draw, turn):
    """Frames whose length is true, half true, and never."""
    with inside(port, source, member) as connection:
        length = turn % (LONGEST + 1)
        body = draw.randbytes(length)
        what = turn % 4
        if what == 0: message = struct.pack(">I", length) + body
        elif what == 1: message = struct.pack(">I", draw.randrange(1 << 32)) + body
        elif what == 2: message = struct.pack("<I", length) + body
        else: message = body
        connection.sendall(message)
        until_closed(connection)


PATHS = ["/v1/status", "/v1/apply", "/v1/plan", "/v1/delete", "/v1/join", "/v1/renew", "/v1/kv/x", "/v1/vip/move", "/v1/tokens",
         "/v1/members/remove", "/v1/recover", "/v1/transfer-leader", "/metrics", "/v1/events", "/", "/v1/" + "x" * 3000, "/%zz%00"]
STARTS = [b"{", b"[", b'{"a":', b"null", b'"', b"1e999", b"{}", b"[" * 5000, b'{"documents":"', b"\xff\xfe"]


def requests_by_their_looks(port, source, draw, turn):
    """Every path with every method, with bodies that are none, lengths that lie, and heads without end."""
    who = draw.choice([nobody, operator])
    with inside(port, source, who) as connection:
        method = draw.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "G\0T", "x" * 100])
        body = draw.choice(STARTS) + draw.randbytes(turn % 600)
        length = draw.choice([len(body), len(body), len(body) * 2, -1, 1 << 62, "x"])
        head = f"{method} {draw.choice(PATHS)} HTTP/1.{draw.randint(0, 2)}\r\nHost: x\r\n"
        what = draw.randint(0, 4)
        if what == 0: head += f"Content-Length: {length}\r\n"
        elif what == 1: head += "Transfer-Encoding: chunked\r\n"
        elif what == 2: head += "".join(f"x-{n}: {'y' * draw.randint(0, 900)}\r\n" for n in range(draw.randint(0, 200)))
        elif what == 3: head += f"Content-Length: {len(body)}\r\nContent-Length: {len(body) + 1}\r\n"
        else: head += f"Content-Length: {len(body)}\r\nHoldfast-Timeout: {draw.choice(['x', '-1', '9' * 40])}\r\n"
        connection.sendall(head.encode() + b"\r\n" + body)
        until_closed(connection, 0.1)


def slow_requests(port, source, draw, turn):
    """A head that comes a byte a second."""
    open_ones = []
    try:
        for _ in range(50):
            try: open_ones.append(inside(port, source, nobody, 2))
            except OSError: count("slow ones refused")
        message, place = b"GET /v1/status HTTP/1.1\r\nHost: " + b"x" * 100, 0
        while open_ones and time.monotonic() < end and place < 20:
            for one in list(open_ones):
                try: one.sendall(message[place:place + 1])
                except OSError:
                    one.close()
                    open_ones.remove(one)
                    count("slow ones closed by the member")
            place += 1
            time.sleep(min(1, max(0, end - time.monotonic())))
    finally:
        for one in open_ones: one.close()


ANYWHERE = [bytes_of_every_length, records, cut_handshakes, altered_handshakes, half_handshakes, plain_http, slowly,
            garbage_of_an_operator]
KINDS = [(kind, PEER) for kind in ANYWHERE + [garbage_of_a_member]] + [
    (kind, API) for kind in ANYWHERE + [requests_by_their_looks, slow_requests]]


def attack(number, kind, ports):
    draw = random.Random(options.seed * 1000 + number)
    source, name = f"127.0.1.{number + 1}", f"{kind.__name__} ({'peers' if ports is PEER else 'API'})"
    turn = 0
    while time.monotonic() < end:
        # The same garbage to each member in turn.
        try: kind(ports[turn % len(ports)], source, draw, turn // len(ports))
        except (ssl.SSLError, OSError, ValueError): count("cut off by the member: " + name)
        turn += 1
        count(name)


# -------------------------------------------------------------------------------------------------- the one who is served
class Operator(threading.Thread):
    def __init__(self):
        super().__init__()
        self.acknowledged, self.failures, self.words, self.times, self.stop = {}, 0, {}, [], False

    def ask(self, place, method, path, body=None):
        connection = http.client.HTTPSConnection("127.0.0.1", API[place], timeout=10, context=operator)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally: connection.close()

    def run(self):
        number = 0
        while not self.stop:
            key, value = f"kept-{number % 50}", str(number)
            begun = time.monotonic()
            try:
                # A connection of its own each time, as the command line has.
                status, said = self.ask(number % 3, "PUT", f"/v1/kv/{key}", json.dumps({"value": value}))
                if status == 200:
                    self.acknowledged[key] = value
                    self.times.append(time.monotonic() - begun)
                else: self.failed(f"{status} {said[:200]!r}")
            except Exception as error: self.failed(repr(error))
            number += 1
            time.sleep(0.05)

    def failed(self, words):
        self.failures += 1
        self.words[words] = self.words.get(words, 0) + 1

    def lost(self):
        """Whatever was acknowledged and is not there; a failed write may have been done all the same, with a later number."""
        lost = []
        for key, value in self.acknowledged.items():
            for place in range(3):
                status, said = self.ask(place, "GET", f"/v1/kv/{key}")
                if status != 200 or int(json.loads(said)["value"]) < int(value): lost.append((place, key, value, status))
        return lost


def resident(pid):
    return next(int(l.split()[1]) for l in open(f"/proc/{pid}/status") if l.startswith("VmRSS")) / 1024


def alive(pid):
    try: return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError: return False


def requests_at_once(total):
    """So many requests at one member, over connections that stand: more of them than requests may be in work."""
    answers, words, closed, connections = {}, set(), 0, []
    for number in range(min(300, total)):
        try: connections.append(inside(API[0], f"127.0.2.{number % 250 + 1}", operator, 60))
        except OSError: closed += 1
    each = max(1, total // max(1, len(connections)))
    request = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n" * each
    gate = threading.Barrier(len(connections))

    def ask(connection):
        nonlocal closed
        gate.wait()
        try:
            connection.sendall(request)
            reader = connection.makefile("rb")
            for _ in range(each):
                answer = http.client.HTTPResponse(Reader(reader))
                answer.begin()
                body = answer.read()
                with lock:
                    answers[answer.status] = answers.get(answer.status, 0) + 1
                    if answer.status >= 400: words.add(json.loads(body)["error"]["message"][:120])
        except (OSError, http.client.HTTPException):
            with lock: closed += 1
        finally: connection.close()

    threads = [threading.Thread(target=ask, args=(connection,)) for connection in connections]
    begun = time.monotonic()
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return {"answers": answers, "words": sorted(words), "connectionsLost": closed, "seconds": round(time.monotonic() - begun, 2)}


def connections_at_once(total):
    """So many connections to one member that each say a part of a handshake and no more."""
    message, waiting = hello(random.Random(options.seed))[:100], select.epoll()
    sockets, ends = {}, {"closed by the member": 0, "refused or reset": 0, "open or waiting after 15 s": 0}
    for number in range(total):
        made = socket.socket()
        made.setblocking(False)
        made.bind((f"127.0.3.{number % 250 + 1}", 0))
        made.connect_ex(("127.0.0.1", API[0]))
        sockets[made.fileno()] = made
        waiting.register(made.fileno(), select.EPOLLIN | select.EPOLLOUT | select.EPOLLONESHOT)
    stop = time.monotonic() + 15
    while sockets and time.monotonic() < stop:
        for number, event in waiting.poll(0.5):
            made = sockets[number]
            try:
                if event & select.EPOLLIN:
                    if made.recv(4096): event = 0
                    else: raise EOFError
                if event & (select.EPOLLERR | select.EPOLLHUP): raise OSError
                if event & select.EPOLLOUT: made.send(message)
                waiting.modify(number, select.EPOLLIN | select.EPOLLONESHOT)
            except (OSError, EOFError) as error:
                ends["closed by the member" if isinstance(error, EOFError) else "refused or reset"] += 1
                made.close()
                del sockets[number]
    ends["open or waiting after 15 s"] = len(sockets)
    for made in sockets.values(): made.close()
    return ends


class Reader:
    """What HTTPResponse takes for a socket."""
    def __init__(self, file): self.file = file
    def makefile(self, *_): return Unclosed(self.file)


class Unclosed:
    def __init__(self, file): self.file = file
    def __getattr__(self, name): return getattr(self.file, name)
    def close(self): pass


served = Operator()
served.start()
before = [resident(pid) for pid in pids]
most = list(before)
attackers = [threading.Thread(target=attack, args=(number, *kind)) for number, kind in enumerate(KINDS)]
for attacker in attackers: attacker.start()


def look():
    for place, pid in enumerate(pids):
        if alive(pid): most[place] = max(most[place], resident(pid))


while any(attacker.is_alive() for attacker in attackers):
    look()
    time.sleep(0.5)
after = [resident(pid) if alive(pid) else 0 for pid in pids]
flooded = {}
if options.requests:
    watching = True
    def watch():
        while watching:
            look()
            time.sleep(0.1)
    watcher = threading.Thread(target=watch)
    watcher.start()
    failures = served.failures
    flooded["requests"] = requests_at_once(options.requests)
    flooded["connections"] = connections_at_once(options.requests)
    flooded["writes that failed meanwhile"] = served.failures - failures
    watching = False
    watcher.join()
served.stop = True
served.join()
complaints = [f"member {place + 1} has ended" for place, pid in enumerate(pids) if not alive(pid)]
if not complaints:
    for place in range(3):
        if most[place] - before[place] > options.growth:
            complaints.append(f"member {place + 1} grew from {before[place]:.0f} to {most[place]:.0f} MiB")
    last = [served.ask(place, "PUT", f"/v1/kv/afterwards-{place}", '{"value": "x"}')[0] for place in range(3)]
    if last != [200] * 3: complaints.append(f"afterwards the members answer {last}")
    for lost in served.lost(): complaints.append(f"acknowledged and lost: {lost}")
if not served.times: complaints.append("no write was acknowledged")
times = sorted(served.times) or [0]
report = {
    "seconds": options.seconds, "attacks": dict(sorted(counts.items())), "writes": len(served.times), "failures": served.failures,
    "failureWords": served.words, "p50Milliseconds": times[len(times) // 2] * 1000,
    "p99Milliseconds": times[int(len(times) * 0.99)] * 1000, "slowestMilliseconds": times[-1] * 1000,
    "residentMiB": {"before": before, "most": most, "after": after}, "flood": flooded,
    "logBytes": [os.path.getsize(f"{folder}/h{n}.log") for n in (1, 2, 3)], "complaints": complaints}
if options.json: print(json.dumps(report))
else:
    for kind, number in report["attacks"].items(): print(f"{number:9,}  {kind}")
    rounded = {when: [round(mib, 1) for mib in list_] for when, list_ in report["residentMiB"].items()}
    print(f"written meanwhile: {len(times):,}, p50 {report['p50Milliseconds']:.1f} ms, p99 {report['p99Milliseconds']:.1f} ms, slowest "
          f"{report['slowestMilliseconds']:.0f} ms; not acknowledged: {served.failures}")
    for words, number in served.words.items(): print(f"  {number} × {words}")
    print(f"resident MiB: {rounded}")
    print(f"lines of log, in bytes: {report['logBytes']}")
    for what, found in flooded.items(): print(f"{options.requests:,} at once, {what}: {found}")
    for complaint in complaints: print(f"error: {complaint}")
sys.exit(bool(complaints))
