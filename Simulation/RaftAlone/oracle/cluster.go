// The members and the messages between them, handled exactly as `holdfast-sim raft` handles its own: one queue, in the
// order of sending; a message is lost when its link is cut as it leaves or as it arrives, or when nobody runs at its end.
package main

import (
	"bufio"
	"fmt"
	"sort"

	pb "go.etcd.io/etcd/raft/raftpb"
)

type link struct{ from, to uint64 }

type cluster struct {
	members  map[uint64]*member
	ids      []uint64
	messages []pb.Message
	cuts     map[link]bool
}

const mostMembers = 15

func newCluster() *cluster {
	return &cluster{members: map[uint64]*member{}, cuts: map[link]bool{}}
}

func (c *cluster) perform(op operation) error {
	switch op.Op {
	case "heal":
		c.cuts = map[link]bool{}
		return nil
	case "stabilize":
		return c.stabilize()
	case "cut":
		others := []uint64{op.To}
		if op.To == 0 {
			others = nil
			for id := uint64(1); id <= mostMembers; id++ {
				others = append(others, id)
			}
		}
		for _, other := range others {
			c.cuts[link{op.ID, other}] = true
			if !op.OneWay {
				c.cuts[link{other, op.ID}] = true
			}
		}
		return nil
	case "deliver":
		c.deliver(op)
		return nil
	case "start":
		if c.members[op.ID] != nil {
			return fmt.Errorf("member %d was started already", op.ID)
		}
		c.members[op.ID] = newMember(op.ID, op.Voters, op.Learners)
		c.ids = append(c.ids, op.ID)
		sort.Slice(c.ids, func(i, j int) bool { return c.ids[i] < c.ids[j] })
		return nil
	}
	m := c.members[op.ID]
	if m == nil {
		return fmt.Errorf("member %d was not started", op.ID)
	}
	n := 1
	if op.N != nil {
		n = *op.N
	}
	switch op.Op {
	case "campaign":
		m.campaign()
	case "propose":
		m.propose(op.Data)
	case "conf":
		if err := m.configure(op.Changes, op.Transition); err != nil {
			return err
		}
	case "transfer":
		m.transfer(op.To)
	case "tick":
		for i := 0; i < n; i++ {
			m.tick()
		}
	case "crash":
		m.crash()
	case "restart":
		m.start()
	case "read":
		m.read()
	case "compact":
		if op.N != nil && *op.N > 0 {
			m.compact(uint64(*op.N))
		}
	default:
		return fmt.Errorf("unknown operation %q", op.Op)
	}
	c.take(m)
	return nil
}

// Takes what a member sends.
func (c *cluster) take(m *member) {
	for len(m.outbox) > 0 {
		outbox := m.outbox
		m.outbox = nil
		for _, message := range outbox {
			if c.cuts[link{message.From, message.To}] {
				c.lost(message)
			} else {
				c.messages = append(c.messages, message)
			}
		}
	}
}

// Who sent a snapshot that was lost is told so, as etcd's transport does; without it nothing more is sent.
func (c *cluster) lost(message pb.Message) {
	sender := c.members[message.From]
	if message.Type == pb.MsgSnap && sender != nil && sender.node != nil {
		sender.reportSnapshot(message.To)
	}
}

func (c *cluster) arrive(message pb.Message) {
	m := c.members[message.To]
	if m == nil || m.node == nil || c.cuts[link{message.From, message.To}] {
		c.lost(message)
		if sender := c.members[message.From]; sender != nil {
			c.take(sender)
		}
		return
	}
	m.step(message)
	c.take(m)
}

func (c *cluster) stabilize() error {
	for delivered := 0; len(c.messages) > 0; delivered++ {
		if delivered > 1000000 {
			return fmt.Errorf("%d messages did not bring the cluster to rest", delivered)
		}
		message := c.messages[0]
		c.messages = c.messages[1:]
		c.arrive(message)
	}
	return nil
}

func (c *cluster) deliver(op operation) {
	var taken, kept []pb.Message
	for _, message := range c.messages {
		if message.From == op.From && message.To == op.To && (op.N == nil || len(taken) < *op.N) {
			taken = append(taken, message)
		} else {
			kept = append(kept, message)
		}
	}
	c.messages = kept
	if !op.Drop {
		for _, message := range taken {
			c.arrive(message)
		}
		return
	}
	for _, message := range taken {
		c.lost(message)
		if sender := c.members[message.From]; sender != nil {
			c.take(sender)
		}
	}
}

func (c *cluster) print(out *bufio.Writer) {
	out.WriteByte('[')
	for position, id := range c.ids {
		if position > 0 {
			out.WriteByte(',')
		}
		c.members[id].print(out)
	}
	out.WriteString("]\n")
}
