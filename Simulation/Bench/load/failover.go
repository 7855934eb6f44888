// One failover as a client sees it: it writes to the leader, the leader is killed, and the client goes on at the next member.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"sync"
	"syscall"
	"time"
)

type gap struct {
	System string `json:"system"`
	// From the moment before the kill to the answer of the first write that was asked for after it.
	Milliseconds float64 `json:"milliseconds"`
	// How many requests that took.
	Requests int `json:"requests"`
}

// failover writes to the leader for a moment of random length, kills it, and writes on, from the leader's member to the
// next and round, until a write that was asked for after the kill is acknowledged.
func failover(system string, made []request, leader, victim int) {
	rand.Seed(time.Now().UnixNano())
	quiet := time.Duration(200+rand.Intn(200)) * time.Millisecond
	for begun := time.Now(); time.Since(begun) < quiet; {
		if err := made[leader](1); err != nil {
			fail("the leader refused a write before anything was done to it: %v", err)
		}
	}
	var killed time.Time
	var once sync.WaitGroup
	once.Add(1)
	go func() {
		time.Sleep(time.Duration(rand.Intn(50)) * time.Millisecond)
		killed = time.Now()
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			fail("cannot kill %d: %v", victim, err)
		}
		once.Done()
	}()
	// One write is under way when it happens.
	at := leader
	for made[at](1) == nil {
	}
	once.Wait()
	for requests := 1; ; requests++ {
		at = (at + 1) % len(made)
		if at == leader {
			at = (at + 1) % len(made)
		}
		if made[at](1) == nil {
			json.NewEncoder(os.Stdout).Encode(gap{system, float64(time.Since(killed)) / 1e6, requests})
			return
		}
		if time.Since(killed) > 30*time.Second {
			fail("no write was acknowledged for %s", fmt.Sprint(time.Since(killed)))
		}
	}
}
