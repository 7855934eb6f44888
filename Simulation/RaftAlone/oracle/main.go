// The oracle: etcd's raft (Debian's golang-etcd-server-dev), driven by the operations of `holdfast-sim raft` and answering
// in the same form. An empty line ends a program; the next one begins with nothing.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o oracle .
//
// With -only-stabilize every other operation is answered by [], which is all that a comparison at fixed points reads.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
)

type operation struct {
	Op         string   `json:"op"`
	ID         uint64   `json:"id"`
	Voters     []uint64 `json:"voters"`
	Learners   []uint64 `json:"learners"`
	Data       string   `json:"data"`
	Changes    []string `json:"changes"`
	Transition string   `json:"transition"`
	To         uint64   `json:"to"`
	From       uint64   `json:"from"`
	OneWay     bool     `json:"oneWay"`
	N          *int     `json:"n"`
	Drop       bool     `json:"drop"`
}

// Lines are read ahead, so that whoever writes a whole program before reading an answer is not held up.
func readLines(lines chan<- []byte) {
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(make([]byte, 1<<16), 1<<20)
	for scanner.Scan() {
		lines <- append([]byte(nil), scanner.Bytes()...)
	}
	close(lines)
}

func main() {
	onlyStabilize := flag.Bool("only-stabilize", false, "print states after stabilize only")
	benchRounds := flag.Int("bench", 0, "measure so many rounds of 64 entries of 256 bytes instead")
	flag.Parse()
	if *benchRounds > 0 {
		bench(*benchRounds, 64, 256)
		return
	}
	fixRandomness()
	debug.SetGCPercent(1000)
	lines := make(chan []byte, 1<<16)
	go readLines(lines)
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	defer out.Flush()
	c := newCluster()
	number := 0
	for {
		var line []byte
		var open bool
		select {
		case line, open = <-lines:
		default:
			// Nothing more to do at once: let the answers be seen.
			out.Flush()
			line, open = <-lines
		}
		if !open {
			return
		}
		number++
		if len(line) == 0 {
			c = newCluster()
			out.WriteByte('\n')
			continue
		}
		var op operation
		err := json.Unmarshal(line, &op)
		if err == nil {
			err = c.perform(op)
		}
		switch {
		case err != nil:
			text, _ := json.Marshal(fmt.Sprintf("line %d: %v", number, err))
			fmt.Fprintf(out, "{\"error\":%s}\n", text)
		case *onlyStabilize && op.Op != "stabilize":
			out.WriteString("[]\n")
		default:
			c.print(out)
		}
	}
}
