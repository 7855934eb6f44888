----------------------------- MODULE RaftTrace -----------------------------
(***************************************************************************)
(* Judges what was seen of simulated runs: every step that a member took   *)
(* must be explained by actions of HoldfastRaft of that member, one or a   *)
(* few, that lead exactly to what was seen of it: term, vote, role, log    *)
(* and disk. Beyond that:                                                  *)
(*                                                                         *)
(*  - A message is sent only when the specification lets it be sent        *)
(*    (answers: only with what is on disk), and received only after that.  *)
(*  - A leader needs a majority of votes that have reached it, a commit a  *)
(*    majority of acknowledgements that have; others commit only what the  *)
(*    leader of their term has committed.                                  *)
(*  - A campaign needs a majority of pre-votes, or a leader's order.       *)
(*  - Nobody votes, grants a pre-vote or campaigns within a promise, which *)
(*    is followed on true time, through restarts.                          *)
(*  - What anybody has called committed stays as it is, everywhere.        *)
(*  - The properties of HoldfastRaft hold after every step.                *)
(*                                                                         *)
(* A trace that is understood to its end prints "accepted". One that is    *)
(* not just ends earlier; how far it came is printed as "reached". The     *)
(* traces are in TraceData.tla, which holdfast-sim writes. Time is         *)
(* in true microseconds; leases are left out (LeaseLength = 0).            *)
(***************************************************************************)
EXTENDS TraceData

VARIABLES
  trace, at,   \* which one, and how many of its steps are understood
  rest,        \* the steps that are not
  busy,        \* in the middle of a turn
  goal,        \* the log that the turn leads to
  handed,      \* writes that the turn has handed to the disk
  commit,      \* [Members -> how far it knows entries to be committed]
  told,        \* [Terms -> how far the leader of the term knew it, at most]
  settled,     \* the longest log that somebody knows to be committed
  heardVotes,  \* <<candidate, voter, term>>: the vote has arrived
  heardAcks,   \* <<leader, member, term, position>>: so has the acknowledgement
  preVotes,    \* <<candidate, voter, term>>: sent
  orders       \* <<member, term>>: told to campaign, by the leader of that term

seen      == <<trace, at, rest>>
aside     == <<commit, told, settled, heardVotes, heardAcks, preVotes, orders>>
turn      == <<busy, goal, handed>>
traceVars == <<vars, seen, turn, aside>>

Changed(l, step) == SubSeq(l, 1, step.keep) \o Log(step.add)
Of(pairs, m, other) == IF \E p \in pairs : p[1] = m THEN (CHOOSE p \in pairs : p[1] = m)[2] ELSE other

-----------------------------------------------------------------------------
TraceInit ==
  \E n \in 1..Len(TraceList) :
    LET s == TraceList[n]
        known(t) == \E w \in s.terms : w.term = t
        wires(t) == CHOOSE w \in s.terms : w.term = t
    IN
    /\ trace = n /\ at = 0 /\ rest = s.steps
    /\ busy = FALSE /\ goal = <<>> /\ handed = 0
    /\ term = [m \in Members |-> s.members[m].term]
    /\ vote = [m \in Members |-> s.members[m].vote]
    /\ role = [m \in Members |-> s.members[m].role]
    /\ log = [m \in Members |-> s.members[m].log]
    /\ commit = [m \in Members |-> s.members[m].commit]
    /\ disk = [m \in Members |-> s.members[m].disk]
    /\ writes = [m \in Members |-> s.members[m].writes]
    /\ pre = [m \in Members |-> {}]
    /\ promised = [m \in Members |-> 0]
    /\ request = [t \in Terms |-> [m \in Members |->
         IF known(t) /\ \E p \in wires(t).asked : p[1] = m THEN Log(Of(wires(t).asked, m, <<>>)) ELSE None]]
    /\ ballot = [t \in Terms |-> [m \in Members |-> IF known(t) THEN Of(wires(t).votes, m, None) ELSE None]]
    /\ ack = [t \in Terms |-> [m \in Members |-> IF known(t) THEN Of(wires(t).acks, m, 0) ELSE 0]]
    /\ elected = [t \in Terms |-> IF known(t) THEN wires(t).leaders ELSE {}]
    /\ termLog = [t \in Terms |-> IF known(t) THEN wires(t).log ELSE <<>>]
    /\ told = [t \in Terms |-> IF known(t) THEN wires(t).told ELSE 0]
    /\ beat = [t \in Terms |-> 0]
    /\ answered = [t \in Terms |-> [m \in Members |-> 0]]
    /\ restarts = 0
    /\ settled = Log(s.settled)
    /\ heardVotes = UNION {{<<p[1], p[2], w.term>> : p \in w.heardV} : w \in s.terms}
    /\ heardAcks = UNION {UNION {{<<l, p[1], w.term, p[2]>> : p \in w.heardA} : l \in w.leaders} : w \in s.terms}
    /\ preVotes = UNION {{<<p[1], p[2], w.term>> : p \in w.pres} : w \in s.terms}
    /\ orders = UNION {{<<m, w.term>> : m \in w.ordered} : w \in s.terms}

-----------------------------------------------------------------------------
Step == Head(rest)
IsNext(what) == ~busy /\ rest # <<>> /\ Step.do = what

Understood == trace' = trace /\ at' = at + 1 /\ rest' = Tail(rest)

\* Whether a message may leave, given the network after the step.
MaySend(m, s) ==
  CASE s[1] = "vote"  -> ballot'[s[2]][m] = s[3]
    [] s[1] = "ask"   -> request'[s[2]][m] # None /\ Len(request'[s[2]][m]) = s[3] /\ LastTerm(request'[s[2]][m]) = s[4]
    [] s[1] = "ack"   -> ack'[s[2]][m] >= s[3]
    [] s[1] = "pre"   -> s[2] > term[m] /\ IsFree(m)
    [] s[1] = "order" -> role[m] = "leader" /\ s[2] = term[m]

\* These rest on the disk.
Answers(out) == {s \in out : s[1] \in {"vote", "ask", "ack"}}

-----------------------------------------------------------------------------
(* A turn: what arrived, what it led to, what left.                        *)

BeginTurn ==
  /\ IsNext("turn")
  /\ LET o == Step m == o.m IN
     \* What arrives was sent.
     /\ (\A g \in o.got : IF g[1] = "vote" THEN ballot[g[2]][g[3]] = m ELSE ack[g[2]][g[3]] >= g[4]) = TRUE
     /\ heardVotes' = heardVotes \cup {<<m, g[3], g[2]>> : g \in {x \in o.got : x[1] = "vote"}}
     /\ heardAcks' = heardAcks \cup {<<m, g[3], g[2], g[4]>> : g \in {x \in o.got : x[1] = "ack"}}
     /\ promised' = [promised EXCEPT ![m] = IF o.frees THEN 0 ELSE o.promise]
     /\ goal' = Changed(log[m], o)
  /\ busy' = TRUE /\ handed' = 0
  /\ UNCHANGED <<term, vote, role, log, pre, storage, network, elected, restarts, seen, commit, told, settled,
                 preVotes, orders>>

HeardMajority(m) ==
  {v \in Voters(log[m]) : IF v = m THEN disk[m].term = term[m] /\ disk[m].vote = m ELSE <<m, v, term[m]>> \in heardVotes}
    \in Quorums(Voters(log[m]))

HasReasonToCampaign(m) ==
  \/ {v \in Voters(log[m]) : v = m \/ <<m, v, term[m] + 1>> \in preVotes} \in Quorums(Voters(log[m]))
  \/ <<m, term[m]>> \in orders

\* The actions of the specification, those that lead to what was seen.
Explain(o, m) ==
  \/ o.term > term[m] /\ Learn(m, o.term)
  \/ o.role # role[m] /\ StepDown(m)
  \/ o.term = term[m] + 1 /\ o.vote = m /\ HasReasonToCampaign(m) = TRUE /\ Campaign(m)
  \/ o.vote \notin {None, m} /\ o.term >= term[m] /\ Vote(m, o.vote, o.term)
  \/ o.role = "leader" /\ o.term = term[m] /\ HeardMajority(m) /\ BecomeLeader(m) /\ IsPrefix(log'[m], goal)
  \/ Len(log[m]) < Len(goal) /\ (Propose(m) \/ ChangeVoters(m)) /\ IsPrefix(log'[m], goal)
  \/ o.term >= term[m] /\ ReceiveAppend(m, o.term) /\ log'[m] \in {goal, log[m]}

MayCommitAsLeader(m, c) ==
  /\ role[m] = "leader" /\ c <= Len(Committed(term[m])) /\ log[m][c].term = term[m]
  /\ {v \in Voters(log[m]) : IF v = m THEN Match(disk[m].log, log[m]) >= c
                             ELSE \E h \in heardAcks : h[1] = m /\ h[2] = v /\ h[3] = term[m] /\ h[4] >= c}
       \in Quorums(Voters(log[m]))

MayCommitAsFollower(m, c) ==
  LET t == term[m] IN
  /\ role[m] = "follower" /\ t > 0 /\ c <= told[t] /\ c <= Len(log[m])
  /\ IsPrefix(SubSeq(log[m], 1, c), termLog[t])

\* Entries become known to be committed, and agree with all that ever were.
Commit(o, m) ==
  /\ o.commit > commit[m]
  /\ (MayCommitAsLeader(m, o.commit) \/ MayCommitAsFollower(m, o.commit)) = TRUE
  /\ LET l == SubSeq(log[m], 1, o.commit) IN
     /\ (IsPrefix(l, settled) \/ IsPrefix(settled, l)) = TRUE
     /\ settled' = IF Len(l) > Len(settled) THEN l ELSE settled
  /\ commit' = [commit EXCEPT ![m] = o.commit]
  /\ told' = IF role[m] = "leader" THEN [told EXCEPT ![term[m]] = Max({@, o.commit})] ELSE told
  /\ UNCHANGED <<vars, heardVotes, heardAcks, preVotes, orders>>

\* Memory is written as it is at that point of the turn.
WriteInTurn(o, m) ==
  /\ handed < Len(o.writing)
  /\ LET w == o.writing[handed + 1] IN Len(log[m]) = w[1] /\ term[m] = w[2] /\ vote[m] = Someone(w[3])
  /\ IsPrefix(log[m], goal)
  /\ HandOut(m)
  /\ handed' = handed + 1

InTurn ==
  /\ busy
  /\ \/ Explain(Step, Step.m) /\ UNCHANGED <<handed, aside>>
     \/ Commit(Step, Step.m) /\ UNCHANGED handed
     \/ WriteInTurn(Step, Step.m) /\ UNCHANGED aside
  /\ UNCHANGED <<seen, busy, goal>>

EndTurn ==
  /\ busy
  /\ LET o == Step m == o.m IN
     /\ term[m] = o.term /\ vote[m] = o.vote /\ role[m] = o.role /\ log[m] = goal /\ commit[m] = o.commit
     /\ Len(settled) >= commit[m] /\ SubSeq(log[m], 1, commit[m]) = SubSeq(settled, 1, commit[m])
     \* An answer that waits for no write says only what is on disk.
     /\ IF Answers(o.out) = {} THEN UNCHANGED <<request, ballot, ack>>
        ELSE writes[m] = <<>> /\ disk[m] = Image(m) /\ SendAnswers(m, disk[m], role[m] = "candidate")
     /\ \A s \in o.out : MaySend(m, s)
     /\ preVotes' = preVotes \cup {<<s[3], m, s[2]>> : s \in {x \in o.out : x[1] = "pre"}}
     /\ orders' = orders \cup {<<s[3], s[2]>> : s \in {x \in o.out : x[1] = "order"}}
     /\ handed = Len(o.writing)
     /\ told' = IF role[m] = "leader" THEN [told EXCEPT ![term[m]] = Max({@, commit[m]})] ELSE told
  /\ busy' = FALSE /\ goal' = <<>> /\ handed' = 0 /\ Understood
  /\ UNCHANGED <<memory, storage, termLog, beat, answered, elected, restarts, commit, settled, heardVotes, heardAcks>>

-----------------------------------------------------------------------------
(* A write ends; a process begins.                                         *)

EndWrite ==
  /\ IsNext("durable")
  /\ LET o == Step m == o.m IN
     /\ Complete(m)
     /\ disk'[m] = [term |-> o.term, vote |-> o.vote, log |-> Changed(disk[m].log, o)]
     /\ \A s \in o.out : MaySend(m, s)
  /\ Understood
  /\ UNCHANGED <<turn, aside>>

\* What is left of its promises the trace says with each turn.
Start ==
  /\ IsNext("start")
  /\ LET o == Step m == o.m
         left == [term |-> o.diskTerm, vote |-> o.diskVote, log |-> Changed(disk[m].log, o)]
     IN
     /\ left \in LeftOver(m) /\ RestartFrom(m, left)
     /\ term'[m] = o.term /\ vote'[m] = o.vote
     /\ commit' = [commit EXCEPT ![m] = 1]
  /\ Understood
  /\ UNCHANGED <<promised, network, elected, restarts, turn, told, settled, heardVotes, heardAcks, preVotes,
                 orders>>

-----------------------------------------------------------------------------
(* After every step: the properties of HoldfastRaft, written so that TLC   *)
(* is quick about logs of dozens of entries. A state that breaks one is    *)
(* not gone on from.                                                       *)

LogsMatch ==
  \A m, n \in Members :
    m < n => LET match == Match(log[m], log[n]) IN
             \A i \in match + 1..Len(log[m]) : i > Len(log[n]) \/ log[m][i].term # log[n][i].term

Led == {t \in Terms : termLog[t] # <<>>}

CommitsAgree ==
  LET committed == TLCEval([t \in Led |-> Committed(t)]) IN
  \A t, u \in Led :
    t < u => /\ IsPrefix(committed[t], termLog[u])
             /\ IsPrefix(committed[t], committed[u]) \/ IsPrefix(committed[u], committed[t])

Judge ==
  busy \/ (/\ OneLeaderPerTerm /\ LogsMatch /\ CommitsAgree
           /\ PrintT(<<IF rest = <<>> THEN "accepted" ELSE "reached", trace, at>>))

TraceNext == BeginTurn \/ InTurn \/ EndTurn \/ EndWrite \/ Start
\* What tells states apart: the steps to come follow from how many were taken.
View == <<memory, storage, network, elected, trace, at, turn, aside>>

TraceSpec == TraceInit /\ [][TraceNext]_traceVars
=============================================================================
