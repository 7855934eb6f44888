// One member: etcd's RawNode while it is up, with a disk in memory that is durable at once.
//
// What the application owes etcd's raft is done here as etcd itself does it: the commit index is part of the hard state,
// committed changes of the configuration are applied in order, a node that applies its own removal stops leading.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/ioutil"
	"log"
	"math"
	"strconv"
	"strings"

	"go.etcd.io/etcd/raft"
	pb "go.etcd.io/etcd/raft/raftpb"
)

// A disk: etcd's own memory storage, with the configuration from before the log.
type disk struct {
	*raft.MemoryStorage
	initial pb.ConfState
}

func (d *disk) InitialState() (pb.HardState, pb.ConfState, error) {
	hardState, conf, err := d.MemoryStorage.InitialState()
	if snapshot, _ := d.Snapshot(); snapshot.Metadata.Index == 0 {
		conf = d.initial
	}
	return hardState, conf, err
}

type appliedValue struct {
	Index uint64
	Data  string
}

type confAt struct {
	index uint64
	conf  pb.ConfState
}

type member struct {
	id     uint64
	disk   *disk
	node   *raft.RawNode
	outbox []pb.Message

	applied      []appliedValue
	appliedIndex uint64
	appliedTerm  uint64
	conf         pb.ConfState
	confs        []confAt
	reads        []uint64
	lastRead     uint64
	leavesOffice bool
	proposedConf uint64
}

var quiet = &raft.DefaultLogger{Logger: log.New(ioutil.Discard, "", 0)}

func newMember(id uint64, voters, learners []uint64) *member {
	m := &member{id: id, disk: &disk{raft.NewMemoryStorage(), pb.ConfState{Voters: voters, Learners: learners}}}
	m.start()
	return m
}

func (m *member) start() {
	if m.node != nil {
		return
	}
	snapshot, _ := m.disk.Snapshot()
	m.conf = m.disk.initial
	m.confs = nil
	m.restore(snapshot)
	node, err := raft.NewRawNode(&raft.Config{
		Applied: snapshot.Metadata.Index,
		ID:      m.id, ElectionTick: 10, HeartbeatTick: 1, Storage: m.disk,
		MaxSizePerMsg: 0, MaxCommittedSizePerReady: math.MaxUint64, MaxInflightMsgs: 256,
		CheckQuorum: true, PreVote: true, Logger: quiet, DisableProposalForwarding: true,
	})
	if err != nil {
		panic(err)
	}
	m.node = node
	m.settle()
}

// What a snapshot says was applied.
func (m *member) restore(snapshot pb.Snapshot) {
	if snapshot.Metadata.Index == 0 {
		return
	}
	m.applied = nil
	if err := json.Unmarshal(snapshot.Data, &m.applied); err != nil {
		panic(err)
	}
	m.appliedIndex, m.appliedTerm = snapshot.Metadata.Index, snapshot.Metadata.Term
	m.conf = snapshot.Metadata.ConfState
	m.confs = []confAt{{m.appliedIndex, m.conf}}
}

func (m *member) compact(index uint64) {
	first, _ := m.disk.FirstIndex()
	if m.node == nil || index < first || index > m.appliedIndex {
		return
	}
	values, conf := []appliedValue{}, m.disk.initial
	for _, value := range m.applied {
		if value.Index <= index {
			values = append(values, value)
		}
	}
	for _, known := range m.confs {
		if known.index <= index {
			conf = known.conf
		}
	}
	data, _ := json.Marshal(values)
	if _, err := m.disk.CreateSnapshot(index, &conf, data); err != nil {
		panic(err)
	}
	if err := m.disk.Compact(index); err != nil {
		panic(err)
	}
	m.settle()
}

// A snapshot from before its receiver belonged to the cluster would be thrown away there. etcd's server always sends its
// present state instead of the one on disk; here it does so where it must.
func (m *member) renewed(message pb.Message) pb.Message {
	conf := message.Snapshot.Metadata.ConfState
	if message.Type != pb.MsgSnap || contains(conf.Voters, message.To) || contains(conf.Learners, message.To) ||
		contains(conf.VotersOutgoing, message.To) {
		return message
	}
	data, _ := json.Marshal(m.applied)
	message.Snapshot = pb.Snapshot{Data: data, Metadata: pb.SnapshotMetadata{
		ConfState: m.conf, Index: m.appliedIndex, Term: m.appliedTerm}}
	return message
}

func (m *member) reportSnapshot(to uint64) {
	m.node.ReportSnapshot(to, raft.SnapshotFailure)
	m.settle()
}

func (m *member) crash() {
	m.node = nil
	m.applied, m.appliedIndex, m.appliedTerm, m.reads, m.proposedConf = nil, 0, 0, nil, 0
	m.leavesOffice = false
}

func (m *member) leads() bool {
	return m.node != nil && m.node.BasicStatus().RaftState == raft.StateLeader
}

func (m *member) campaign() {
	if m.node != nil {
		_ = m.node.Campaign()
		m.settle()
	}
}

func (m *member) tick() {
	if m.node != nil {
		m.node.Tick()
		m.settle()
	}
}

func (m *member) step(message pb.Message) {
	_ = m.node.Step(message)
	m.settle()
}

// A member that does not lead takes no proposal: forwarding is the application's choice, not the protocol's.
func (m *member) propose(data string) {
	if m.leads() {
		_ = m.node.Propose([]byte(data))
		m.settle()
	}
}

func (m *member) transfer(to uint64) {
	if m.leads() {
		m.node.TransferLeader(to)
		m.settle()
	}
}

func (m *member) read() {
	if m.leads() {
		m.lastRead++
		context := make([]byte, 8)
		binary.BigEndian.PutUint64(context, m.lastRead)
		m.node.ReadIndex(context)
		m.settle()
	}
}

// A change is taken by the rule of Ongaro's correction of 2015 (something of the own term is committed, and no change is
// under way) and only if it changes something. Left to itself, etcd's raft would put an empty entry in its place.
func (m *member) configure(texts []string, transition string) error {
	if transition == "explicit" {
		return errors.New("not in this build: a joint configuration that waits to be left (conf with the transition explicit)")
	}
	changes, err := pb.ConfChangesFromString(strings.Join(texts, " "))
	if err != nil {
		return err
	}
	if !m.leads() || m.appliedTerm != m.node.BasicStatus().Term || m.proposedConf > m.appliedIndex ||
		len(m.conf.VotersOutgoing) > 0 {
		return nil
	}
	if len(changes) > 1 || transition == "implicit" {
		return m.exchange(changes, transition)
	}
	voter, learner := contains(m.conf.Voters, changes[0].NodeID), contains(m.conf.Learners, changes[0].NodeID)
	switch changes[0].Type {
	case pb.ConfChangeAddNode:
		if voter {
			return nil
		}
		if !learner {
			return errors.New("not in this build: a voter that was not a learner first (conf with v of somebody new)")
		}
	case pb.ConfChangeAddLearnerNode:
		if learner || (voter && len(m.conf.Voters) == 1) {
			return nil
		}
	case pb.ConfChangeRemoveNode:
		if (!voter && !learner) || (voter && len(m.conf.Voters) == 1) {
			return nil
		}
	}
	last, _ := m.disk.LastIndex()
	if m.node.ProposeConfChange(pb.ConfChange{Type: changes[0].Type, NodeID: changes[0].NodeID}) == nil {
		m.proposedConf = last + 1
	}
	m.settle()
	return nil
}

// Several changes at once. The rules that concern one change are ours to keep here too: only members are moved, and somebody
// is left to vote.
func (m *member) exchange(changes []pb.ConfChangeSingle, transition string) error {
	voters := map[uint64]bool{}
	for _, id := range m.conf.Voters {
		voters[id] = true
	}
	for _, change := range changes {
		known := contains(m.conf.Voters, change.NodeID) || contains(m.conf.Learners, change.NodeID)
		switch {
		case change.Type == pb.ConfChangeAddNode && known:
			voters[change.NodeID] = true
		case known:
			delete(voters, change.NodeID)
		case change.Type == pb.ConfChangeAddNode:
			return errors.New("not in this build: a voter that was not a learner first (conf with v of somebody new)")
		case change.Type == pb.ConfChangeAddLearnerNode:
			return errors.New("not in this build: a new learner among several changes (conf with l of somebody new, and others)")
		}
	}
	same := len(voters) == len(m.conf.Voters)
	for _, id := range m.conf.Voters {
		same = same && voters[id]
	}
	if len(voters) == 0 || same {
		return nil
	}
	change := pb.ConfChangeV2{Changes: changes}
	if transition == "implicit" {
		change.Transition = pb.ConfChangeTransitionJointImplicit
	}
	last, _ := m.disk.LastIndex()
	if m.node.ProposeConfChange(change) == nil {
		m.proposedConf = last + 1
	}
	m.settle()
	return nil
}

func contains(list []uint64, id uint64) bool {
	for _, other := range list {
		if other == id {
			return true
		}
	}
	return false
}

// Carries out what the node asks for until it asks for nothing more.
func (m *member) settle() {
	for m.node != nil && m.node.HasReady() {
		ready := m.node.Ready()
		if !raft.IsEmptyHardState(ready.HardState) {
			_ = m.disk.SetHardState(ready.HardState)
		}
		if !raft.IsEmptySnap(ready.Snapshot) {
			if err := m.disk.ApplySnapshot(ready.Snapshot); err != nil {
				panic(err)
			}
			m.restore(ready.Snapshot)
		}
		if err := m.disk.Append(ready.Entries); err != nil {
			panic(err)
		}
		for _, message := range ready.Messages {
			m.outbox = append(m.outbox, m.renewed(message))
		}
		for _, state := range ready.ReadStates {
			m.reads = append(m.reads, state.Index)
		}
		for _, entry := range ready.CommittedEntries {
			m.apply(entry)
		}
		m.node.Advance(ready)
		if m.leavesOffice && !m.node.HasReady() {
			// The node that removed or demoted itself ends its process; this version would lead on for ever.
			// Whoever asked it for reads has had the answers.
			outbox, reads := m.outbox, m.reads
			m.crash()
			m.start()
			m.outbox, m.reads = append(outbox, m.outbox...), reads
		}
	}
}

func (m *member) apply(entry pb.Entry) {
	m.appliedIndex, m.appliedTerm = entry.Index, entry.Term
	if entry.Type == pb.EntryNormal {
		if len(entry.Data) > 0 {
			m.applied = append(m.applied, appliedValue{entry.Index, string(entry.Data)})
		}
		return
	}
	change := readChange(entry)
	// This version leaves a joint configuration again for whatever it applies before it has left (etcd issue 12582), and
	// panics when it applies the second.
	if len(change.Changes) == 0 && len(m.conf.VotersOutgoing) == 0 {
		return
	}
	wasVoter := m.votes()
	m.conf = *m.node.ApplyConfChange(change)
	m.confs = append(m.confs, confAt{entry.Index, m.conf})
	if wasVoter && !m.votes() && m.leads() {
		m.leavesOffice = true
	}
}

func (m *member) votes() bool {
	return contains(m.conf.Voters, m.id) || contains(m.conf.VotersOutgoing, m.id)
}

func readChange(entry pb.Entry) pb.ConfChangeV2 {
	if entry.Type == pb.EntryConfChange {
		var change pb.ConfChange
		if err := change.Unmarshal(entry.Data); err != nil {
			panic(err)
		}
		return change.AsV2()
	}
	var change pb.ConfChangeV2
	if err := change.Unmarshal(entry.Data); err != nil {
		panic(err)
	}
	return change
}

// MARK: What is printed

var roles = map[raft.StateType]string{
	raft.StateFollower: "follower", raft.StateCandidate: "candidate", raft.StateLeader: "leader",
	raft.StatePreCandidate: "pre-candidate",
}

func quoted(text string) string {
	if strings.IndexFunc(text, func(r rune) bool {
		return r < 'a' && r != ' ' && r != '(' && r != ')' && r != '=' && r != '&' && r != '_' && (r < '0' || r > '9') || r > 'z'
	}) < 0 {
		return "\"" + text + "\""
	}
	bytes, _ := json.Marshal(text)
	return string(bytes)
}

func numbers(list []uint64, separator string) string {
	texts := make([]string, len(list))
	for position, number := range list {
		texts[position] = strconv.FormatUint(number, 10)
	}
	return strings.Join(texts, separator)
}

func (m *member) print(out *bufio.Writer) {
	hardState, _, _ := m.disk.InitialState()
	first, _ := m.disk.FirstIndex()
	role, lead, commit, conf := "follower", uint64(0), first-1, ""
	if m.node != nil {
		status := m.node.BasicStatus()
		role, lead, commit = roles[status.RaftState], status.Lead, status.Commit
		conf = "voters=(" + numbers(m.conf.Voters, " ") + ")"
		if len(m.conf.VotersOutgoing) > 0 {
			conf += "&&(" + numbers(m.conf.VotersOutgoing, " ") + ")"
		}
		if len(m.conf.Learners) > 0 {
			conf += " learners=(" + numbers(m.conf.Learners, " ") + ")"
		}
		if len(m.conf.LearnersNext) > 0 {
			conf += " learners_next=(" + numbers(m.conf.LearnersNext, " ") + ")"
		}
	}
	fmt.Fprintf(out, `{"id":%d,"up":%t,"role":"%s","term":%d,"vote":%d,"lead":%d,"first":%d,"commit":%d,"log":[`,
		m.id, m.node != nil, role, hardState.Term, hardState.Vote, lead, first, commit)
	last, _ := m.disk.LastIndex()
	if last >= first {
		entries, err := m.disk.Entries(first, last+1, math.MaxUint64)
		if err != nil {
			panic(err)
		}
		for position, entry := range entries {
			if position > 0 {
				out.WriteByte(',')
			}
			printEntry(out, entry)
		}
	}
	out.WriteString(`],"applied":[`)
	for position, value := range m.applied {
		if position > 0 {
			out.WriteByte(',')
		}
		out.WriteString(quoted(value.Data))
	}
	fmt.Fprintf(out, `],"conf":%s,"reads":[%s]}`, quoted(conf), numbers(m.reads, ","))
}

func printEntry(out *bufio.Writer, entry pb.Entry) {
	if entry.Type == pb.EntryNormal {
		out.WriteString(`{"term":`)
		out.WriteString(strconv.FormatUint(entry.Term, 10))
		out.WriteString(`,"data":`)
		out.WriteString(quoted(string(entry.Data)))
		out.WriteByte('}')
		return
	}
	fmt.Fprintf(out, `{"term":%d,"data":"","conf":"%s"}`, entry.Term, pb.ConfChangesToString(readChange(entry).Changes))
}
