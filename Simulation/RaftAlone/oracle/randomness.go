// Takes the dice away from etcd's raft: it draws election timers from a generator seeded with the time, and a comparison
// that cannot be repeated is worth little.
package main

import (
	"math/rand"
	"sync"
	"unsafe"

	_ "go.etcd.io/etcd/raft"
)

// The layout of raft's own lockedRand.
type lockedRand struct {
	mu   sync.Mutex
	rand *rand.Rand
}

//go:linkname globalRand go.etcd.io/etcd/raft.globalRand
var globalRand unsafe.Pointer

// Intn(10) of this source is 8: every election timer is 18 ticks, as it is on the other side.
type fixed struct{}

func (fixed) Int63() int64 { return 8 << 32 }
func (fixed) Seed(int64)   {}

func fixRandomness() {
	theirs := (*lockedRand)(globalRand)
	theirs.rand = rand.New(fixed{})
	if theirs.rand.Intn(10) != 8 {
		panic("the fixed draw is not what it should be")
	}
}
