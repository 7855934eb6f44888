// Three of etcd's RawNodes in one loop, for `holdfast-sim bench`: a round proposes a batch at the leader and goes on until
// nothing is on its way. Writes are durable at once; what is applied is compacted now and then, as in the other bench.
package main

import (
	"bytes"
	"fmt"
	"syscall"

	"go.etcd.io/etcd/raft"
	pb "go.etcd.io/etcd/raft/raftpb"
)

type replica struct {
	node      *raft.RawNode
	disk      *raft.MemoryStorage
	committed uint64
}

// bench prints how many entries a second of processor time three replicas commit.
func bench(rounds, batch, size int) {
	voters := []uint64{1, 2, 3}
	replicas := make([]*replica, 3)
	for i, id := range voters {
		storage := raft.NewMemoryStorage()
		node, err := raft.NewRawNode(&raft.Config{
			ID: id, ElectionTick: 10, HeartbeatTick: 1, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256,
			Storage: &disk{storage, pb.ConfState{Voters: voters}}, CheckQuorum: true, PreVote: true, Logger: quiet})
		if err != nil {
			panic(err)
		}
		replicas[i] = &replica{node: node, disk: storage}
	}
	var queue []pb.Message
	settle := func(r *replica) {
		for r.node.HasReady() {
			ready := r.node.Ready()
			if err := r.disk.Append(ready.Entries); err != nil {
				panic(err)
			}
			queue = append(queue, ready.Messages...)
			if last := len(ready.CommittedEntries); last > 0 {
				r.committed = ready.CommittedEntries[last-1].Index
			}
			r.node.Advance(ready)
		}
	}
	deliver := func() {
		for next := 0; next < len(queue); next++ {
			r := replicas[queue[next].To-1]
			if err := r.node.Step(queue[next]); err != nil && err != raft.ErrProposalDropped {
				panic(err)
			}
			settle(r)
		}
		queue = queue[:0]
	}
	replicas[0].node.Campaign()
	settle(replicas[0])
	deliver()
	value := bytes.Repeat([]byte("v"), size)
	before, begun := replicas[0].committed, processorSeconds()
	for round := 1; round <= rounds; round++ {
		for i := 0; i < batch; i++ {
			if err := replicas[0].node.Propose(value); err != nil {
				panic(err)
			}
		}
		settle(replicas[0])
		deliver()
		if round%64 == 0 {
			for _, r := range replicas {
				if err := r.disk.Compact(r.committed); err != nil {
					panic(err)
				}
			}
		}
	}
	seconds := processorSeconds() - begun
	for _, r := range replicas {
		if r.committed != replicas[0].committed {
			panic("the members do not agree")
		}
	}
	fmt.Printf("%.0f entries a second and core\n", float64(replicas[0].committed-before)/seconds)
}

// The garbage collector's threads are part of the cost.
func processorSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
