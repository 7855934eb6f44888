---------------------------- MODULE HoldfastRaft ----------------------------
(***************************************************************************)
(* The consensus of Holdfast: Raft (Ongaro 2014) with pre-vote, a log that *)
(* reaches the disk some time after memory, one member changed at a time,  *)
(* and the quorum lease on which every other lease stands.                 *)
(*                                                                         *)
(* What is abstracted, and why that loses no behaviour:                    *)
(*                                                                         *)
(*  - Messages are never lost from the model, only never received; they    *)
(*    may arrive late, twice, and in any order. What a leader may have     *)
(*    sent in its term is kept by term (termLog, beat), what a member has  *)
(*    answered too (ballot, ack, answered).                                *)
(*  - A crash and the restart after it are one step; a member that is down *)
(*    is one that takes no step for a while.                               *)
(*  - Time is in whole ticks and only ever as what is left of something,   *)
(*    so runs of any length are checked. That the clocks of members drift  *)
(*    is in the two lengths: a lease counts as long as the slowest clock   *)
(*    may make it, a promise as short as the fastest may.                  *)
(*  - The witness is an ordinary voter here. Its rank decides how long it  *)
(*    waits before it campaigns; here anybody may campaign at any time, so *)
(*    whatever ranks there are is among what is checked.                   *)
(*  - With MaxWrites = 0 a write takes no time: it may happen at any       *)
(*    moment, and holds what memory holds then. With more, writes are      *)
(*    handed out in order and end later, when memory may have moved on,    *)
(*    and a crash may tear one in the middle.                              *)
(*                                                                         *)
(* Not here: reads, transfer of leadership, snapshots, and the leases of   *)
(* members (HandOver.tla takes up where the quorum lease ends).            *)
(***************************************************************************)
EXTENDS Naturals, Integers, Sequences, FiniteSets, TLC

CONSTANTS
  Members,          \* all members there ever are
  FirstVoters,      \* the voters before the first entry of the log
  None,             \* "nobody"
  MaxTerm,          \* terms are 0..MaxTerm
  MaxLog,           \* entries of a log; 0 leaves logs out
  MaxRestarts,      \* restarts in all
  MaxChanges,       \* configuration entries in all
  MaxWrites,        \* writes handed to a disk and not durable; 0: a write takes no time
  LeaseLength,      \* Q: ticks a quorum-acknowledged round lets a leader act; 0 leaves leases out
  PromiseLength,    \* E: ticks a voter refuses others after it answered
  Drift,            \* ticks that either length may be wrong by
  WithPreVote,      \* FALSE: any voter may campaign at any time
  WithIdleSteps,    \* TRUE: also the steps after which a member can do less than before (StepDown, Learn)
  AnswerAfterFsync, \* FALSE breaks it: answers leave before the disk has what they say
  WaitAfterRestart, \* FALSE breaks it: a restarted voter forgets its promise
  CountOldTerms     \* TRUE breaks it: entries of earlier terms are committed by counting

ASSUME FirstVoters \subseteq Members /\ FirstVoters # {}

Terms  == 1..MaxTerm
Lease == LeaseLength + Drift
Promise == IF LeaseLength = 0 THEN 0 ELSE PromiseLength - Drift
Less(ticks) == IF ticks = 0 THEN 0 ELSE ticks - 1

VARIABLES
  \* In memory, lost by a restart.
  term, vote, role, log,
  pre,          \* who granted this member's pre-vote for the next term
  promised,     \* ticks for which it refuses votes
  \* On disk, and on the way there: memory as it was when each write was handed out, oldest first.
  disk, writes,
  \* In the network, for ever.
  request,      \* [Terms -> [Members -> the log it campaigns with, or None]]
  ballot,       \* [Terms -> [Members -> whom it voted for, or None]]
  termLog,      \* [Terms -> all that the term's leader has appended]
  ack,          \* [Terms -> [Members -> how far it holds the leader's log]]
  beat,         \* [Terms -> ticks of lease left of the last heartbeat round]
  answered,     \* [Terms -> [Members -> ticks of lease left of the last round it answered]]
  \* What happened, for the properties and the bounds.
  elected,      \* [Terms -> set of members]
  restarts

memory  == <<term, vote, role, log, pre, promised>>
storage == <<disk, writes>>
network == <<request, ballot, termLog, ack, beat, answered>>
vars    == <<memory, storage, network, elected, restarts>>

-----------------------------------------------------------------------------
(* Logs. An entry is its term and, for a configuration, the voters.        *)

Plain(t)     == [term |-> t, voters |-> {}]
Change(t, v) == [term |-> t, voters |-> v]

LastTerm(l) == IF l = <<>> THEN 0 ELSE l[Len(l)].term
AtLeastAsNew(l, than) ==
  \/ LastTerm(l) > LastTerm(than)
  \/ LastTerm(l) = LastTerm(than) /\ Len(l) >= Len(than)

ChangesIn(l) == {i \in 1..Len(l) : l[i].voters # {}}
Max(S)       == CHOOSE x \in S : \A y \in S : y <= x
Voters(l)    == IF ChangesIn(l) = {} THEN FirstVoters ELSE l[Max(ChangesIn(l))].voters

Quorums(voters) == {Q \in SUBSET voters : 2 * Cardinality(Q) > Cardinality(voters)}

\* How far two logs are the same.
Match(l, k) ==
  LET shorter == IF Len(l) < Len(k) THEN Len(l) ELSE Len(k)
      unequal == {i \in 1..shorter : l[i] # k[i]}
  IN IF unequal = {} THEN shorter ELSE (CHOOSE i \in unequal : \A j \in unequal : i <= j) - 1
IsPrefix(l, k) == Len(l) <= Len(k) /\ SubSeq(k, 1, Len(l)) = l

\* What is committed in term t: the leader's log up to the last entry of its own term that a majority holds, counted in
\* the configuration that the leader goes by; as soon as the answers are under way, whether the leader knows it yet or not.
Committed(t) ==
  LET l == termLog[t]
      voters == Voters(l)
      held == {i \in 1..Len(l) : (l[i].term = t \/ CountOldTerms)
                                 /\ 2 * Cardinality({v \in voters : ack[t][v] >= i}) > Cardinality(voters)}
  IN IF held = {} THEN <<>> ELSE SubSeq(l, 1, Max(held))

-----------------------------------------------------------------------------
Init ==
  /\ term = [m \in Members |-> 0]
  /\ vote = [m \in Members |-> None]
  /\ role = [m \in Members |-> "follower"]
  /\ log = [m \in Members |-> <<>>]
  /\ pre = [m \in Members |-> {}]
  /\ promised = [m \in Members |-> 0]
  /\ disk = [m \in Members |-> [term |-> 0, vote |-> None, log |-> <<>>]]
  /\ writes = [m \in Members |-> <<>>]
  /\ request = [t \in Terms |-> [m \in Members |-> None]]
  /\ ballot = [t \in Terms |-> [m \in Members |-> None]]
  /\ termLog = [t \in Terms |-> <<>>]
  /\ ack = [t \in Terms |-> [m \in Members |-> 0]]
  /\ beat = [t \in Terms |-> 0]
  /\ answered = [t \in Terms |-> [m \in Members |-> 0]]
  /\ elected = [t \in Terms |-> {}]
  /\ restarts = 0

IsFree(m) == promised[m] = 0

\* Takes over a newer term, or follows the leader of the present one.
Follow(m, t) ==
  /\ term' = [term EXCEPT ![m] = t]
  /\ vote' = [vote EXCEPT ![m] = IF t > term[m] THEN None ELSE @]
  /\ role' = [role EXCEPT ![m] = "follower"]
  /\ pre' = [pre EXCEPT ![m] = {}]

-----------------------------------------------------------------------------
(* The disk. One write makes the hard state and the log durable, and only  *)
(* then the answers leave that rest on it: the own or another's   *)
(* vote, the request of a candidate, what is held of the leader's log.     *)

Image(m) == [term |-> term[m], vote |-> vote[m], log |-> log[m]]

\* The vote, the request and the acknowledgement that `m` may send when `image` is on its disk; `asks`: it is a
\* candidate's.
SendAnswers(m, image, asks) ==
  LET t == image.term IN
  IF t = 0 THEN UNCHANGED <<request, ballot, ack>> ELSE
  /\ ballot' = IF image.vote = None THEN ballot ELSE [ballot EXCEPT ![t][m] = image.vote]
  /\ request' = IF asks THEN [request EXCEPT ![t][m] = image.log] ELSE request
  /\ ack' = IF elected[t] = {} THEN ack
            ELSE [ack EXCEPT ![t][m] = Max({@, Match(image.log, termLog[t])})]

\* The whole of it: memory that got only a part before shows the other cases.
Persist(m) ==
  /\ MaxWrites = 0
  /\ disk' = [disk EXCEPT ![m] = Image(m)]
  /\ SendAnswers(m, Image(m), role[m] = "candidate")
  /\ UNCHANGED <<memory, writes, termLog, beat, answered, elected, restarts>>

HandOut(m) ==
  /\ Len(writes[m]) < MaxWrites
  /\ writes' = [writes EXCEPT ![m] = Append(@, [image |-> Image(m), asks |-> role[m] = "candidate"])]
  /\ UNCHANGED <<memory, disk, network, elected, restarts>>

\* A write ends. It speaks for what it wrote, not for what memory holds by now.
Complete(m) ==
  /\ writes[m] # <<>>
  /\ LET write == Head(writes[m]) IN
       /\ disk' = [disk EXCEPT ![m] = write.image]
       /\ SendAnswers(m, write.image, write.asks)
  /\ writes' = [writes EXCEPT ![m] = Tail(@)]
  /\ UNCHANGED <<memory, termLog, beat, answered, elected, restarts>>

\* Nothing new to write: the answers need not wait.
AnswerAtOnce(m) ==
  /\ MaxWrites > 0 /\ writes[m] = <<>> /\ disk[m] = Image(m)
  /\ SendAnswers(m, disk[m], role[m] = "candidate")
  /\ UNCHANGED <<memory, storage, termLog, beat, answered, elected, restarts>>

\* The fault that AnswerAfterFsync = FALSE puts in.
AnswerTooEarly(m) ==
  /\ ~AnswerAfterFsync
  /\ SendAnswers(m, Image(m), role[m] = "candidate")
  /\ UNCHANGED <<memory, storage, termLog, beat, answered, elected, restarts>>

\* What a crash may leave of the writes that have not ended: the first of them, and perhaps a part of the next one.
Torn(old, new) ==
  {[term |-> hard.term, vote |-> hard.vote, log |-> l] :
     hard \in {old, new},
     l \in {old.log} \cup {SubSeq(new.log, 1, k) : k \in Match(old.log, new.log) + 1..Len(new.log)}}
LeftOver(m) ==
  LET image(i) == IF i = 0 THEN disk[m] ELSE writes[m][i].image IN
  {disk[m]} \cup UNION {Torn(image(i - 1), image(i)) : i \in 1..Len(writes[m])}

\* A torn write may have left entries of a term without the term itself; nobody was told of a vote in it.
RestartFrom(m, left) ==
  LET isTorn == LastTerm(left.log) > left.term IN
  /\ disk' = [disk EXCEPT ![m] = left]
  /\ writes' = [writes EXCEPT ![m] = <<>>]
  /\ term' = [term EXCEPT ![m] = IF isTorn THEN LastTerm(left.log) ELSE left.term]
  /\ vote' = [vote EXCEPT ![m] = IF isTorn THEN None ELSE left.vote]
  /\ log' = [log EXCEPT ![m] = left.log]
  /\ role' = [role EXCEPT ![m] = "follower"]
  /\ pre' = [pre EXCEPT ![m] = {}]

\* Promises were in memory only, so the longest one there may have been is kept from now on.
Restart(m) ==
  /\ restarts < MaxRestarts
  /\ restarts' = restarts + 1
  /\ \E left \in LeftOver(m) : RestartFrom(m, left)
  /\ promised' = [promised EXCEPT ![m] = IF WaitAfterRestart THEN Promise ELSE 0]
  /\ UNCHANGED <<network, elected>>

-----------------------------------------------------------------------------
(* Elections.                                                              *)

\* A member whose log says that it is no voter any more campaigns while that is not known to be committed (Ongaro
\* 4.2.2), and does not count itself.
MayCampaign(m) ==
  LET changes == ChangesIn(log[m])
      before  == SubSeq(log[m], 1, Max(changes) - 1)
  IN
  /\ role[m] # "leader" /\ IsFree(m) /\ term[m] < MaxTerm
  /\ m \in Voters(log[m]) \/ (changes # {} /\ m \in Voters(before))

GrantPreVote(v, m) ==
  /\ WithPreVote /\ MayCampaign(m)
  /\ v \notin pre[m] /\ pre[m] \cap Voters(log[m]) \notin Quorums(Voters(log[m]))
  /\ v = m \/ (m \in pre[m] /\ term[m] + 1 > term[v] /\ IsFree(v) /\ AtLeastAsNew(log[m], log[v]))
  /\ pre' = [pre EXCEPT ![m] = @ \cup {v}]
  /\ UNCHANGED <<term, vote, role, log, promised, storage, network, elected, restarts>>

Campaign(m) ==
  /\ MayCampaign(m)
  /\ WithPreVote => pre[m] \cap Voters(log[m]) \in Quorums(Voters(log[m]))
  /\ term' = [term EXCEPT ![m] = @ + 1]
  /\ vote' = [vote EXCEPT ![m] = m]
  /\ role' = [role EXCEPT ![m] = "candidate"]
  /\ pre' = [pre EXCEPT ![m] = {}]
  /\ UNCHANGED <<log, promised, storage, network, elected, restarts>>

\* Within a promise a request is as if it had not arrived. The vote is sent by Persist.
Vote(v, m, t) ==
  /\ request[t][m] # None /\ v # m
  /\ term[v] <= t /\ IsFree(v)
  /\ term[v] = t => vote[v] = None /\ role[v] = "follower"
  /\ AtLeastAsNew(request[t][m], log[v])
  /\ term' = [term EXCEPT ![v] = t]
  /\ vote' = [vote EXCEPT ![v] = m]
  /\ role' = [role EXCEPT ![v] = "follower"]
  /\ pre' = [pre EXCEPT ![v] = {}]
  /\ UNCHANGED <<log, promised, storage, network, elected, restarts>>

\* A member that takes over a newer term and votes for nobody (a refused request, an answer from which a leader learns
\* that it was left behind), or gives up its office, can do nothing after it that it could not do before. So these two
\* steps lead to nothing new, and most models leave them out; traces show them.
Learn(m, t) ==
  /\ WithIdleSteps /\ t > term[m]
  /\ \E other \in Members : disk[other].term >= t
  /\ Follow(m, t)
  /\ UNCHANGED <<log, promised, storage, network, elected, restarts>>

StepDown(m) ==
  /\ WithIdleSteps /\ role[m] # "follower"
  /\ Follow(m, term[m])
  /\ UNCHANGED <<log, promised, storage, network, elected, restarts>>

BecomeLeader(m) ==
  LET t == term[m] IN
  /\ role[m] = "candidate"
  /\ {v \in Voters(log[m]) : ballot[t][v] = m} \in Quorums(Voters(log[m]))
  /\ LET first == IF MaxLog = 0 THEN <<>> ELSE <<Plain(t)>> IN
       /\ Len(log[m] \o first) <= MaxLog
       /\ log' = [log EXCEPT ![m] = @ \o first]
       /\ termLog' = [termLog EXCEPT ![t] = log[m] \o first]
  /\ role' = [role EXCEPT ![m] = "leader"]
  /\ elected' = [elected EXCEPT ![t] = @ \cup {m}]
  /\ UNCHANGED <<term, vote, pre, promised, storage, request, ballot, ack, beat, answered, restarts>>

-----------------------------------------------------------------------------
(* Replication.                                                            *)

AppendEntry(m, entry) ==
  /\ Len(log[m]) < MaxLog
  /\ log' = [log EXCEPT ![m] = Append(@, entry)]
  /\ termLog' = [termLog EXCEPT ![term[m]] = Append(@, entry)]
  /\ UNCHANGED <<term, vote, role, pre, promised, storage, request, ballot, ack, beat, answered, elected,
                 restarts>>

Propose(m) == role[m] = "leader" /\ AppendEntry(m, Plain(term[m]))

\* One at a time, and only on top of an entry of the own term that is committed (Ongaro's correction of 2015).
ChangeVoters(m) ==
  /\ role[m] = "leader"
  /\ Cardinality(ChangesIn(log[m])) < MaxChanges
  /\ Committed(term[m]) # <<>>
  /\ \A i \in ChangesIn(log[m]) : i <= Len(Committed(term[m]))
  /\ \E other \in Members :
       LET voters == Voters(log[m])
           next == IF other \in voters THEN voters \ {other} ELSE voters \cup {other}
       IN next # {} /\ AppendEntry(m, Change(term[m], next))

\* An append of the leader of term t, of whatever length, however late. Only a conflict cuts.
ReceiveAppend(v, t) ==
  /\ elected[t] # {} /\ v \notin elected[t] /\ term[v] <= t
  /\ LET match == Match(log[v], termLog[t]) IN
     \E length \in match..Len(termLog[t]) :
       log' = [log EXCEPT ![v] = IF length = match THEN @ ELSE SubSeq(termLog[t], 1, length)]
  /\ Follow(v, t)
  /\ <<term', vote', role', log', pre'>> # <<term, vote, role, log, pre>>
  /\ UNCHANGED <<promised, storage, network, elected, restarts>>

-----------------------------------------------------------------------------
(* The quorum lease. A leader numbers its rounds by when it sent them; a   *)
(* voter that answers refuses everybody else for the length of a promise.  *)

Beat(m) ==
  LET t == term[m] IN
  /\ LeaseLength > 0 /\ role[m] = "leader" /\ beat[t] < Lease
  /\ beat' = [beat EXCEPT ![t] = Lease]
  /\ answered' = [answered EXCEPT ![t][m] = Lease]
  /\ promised' = [promised EXCEPT ![m] = Promise]
  /\ UNCHANGED <<term, vote, role, log, pre, storage, request, ballot, termLog, ack, elected, restarts>>

\* A round too old to give a lease needs no step: its answer promises, but nothing rests on it.
Answer(v, t) ==
  /\ v \notin elected[t] /\ term[v] <= t /\ answered[t][v] < beat[t]
  /\ answered' = [answered EXCEPT ![t][v] = beat[t]]
  /\ promised' = [promised EXCEPT ![v] = Promise]
  /\ Follow(v, t)
  /\ UNCHANGED <<log, storage, request, ballot, termLog, ack, beat, elected, restarts>>

Tick ==
  /\ LeaseLength > 0
  /\ promised' = [m \in Members |-> Less(promised[m])]
  /\ beat' = [t \in Terms |-> Less(beat[t])]
  /\ answered' = [t \in Terms |-> [m \in Members |-> Less(answered[t][m])]]
  /\ UNCHANGED <<term, vote, role, log, pre, storage, request, ballot, termLog, ack, elected, restarts>>

\* Whether the leader of term t may act, or anybody under a lease it gave: at the latest.
LeaseHolds(t) == {v \in Voters(termLog[t]) : answered[t][v] > 0} \in Quorums(Voters(termLog[t]))

-----------------------------------------------------------------------------
Next ==
  \/ Tick
  \/ \E m \in Members :
       \/ Persist(m) \/ AnswerTooEarly(m) \/ Restart(m)
       \/ HandOut(m) \/ Complete(m) \/ AnswerAtOnce(m)
       \/ Campaign(m) \/ BecomeLeader(m) \/ StepDown(m)
       \/ Propose(m) \/ ChangeVoters(m)
       \/ Beat(m)
       \/ \E v \in Members : GrantPreVote(v, m) \/ \E t \in Terms : Vote(v, m, t)
       \/ \E t \in Terms : ReceiveAppend(m, t) \/ Answer(m, t) \/ Learn(m, t)

Spec == Init /\ [][Next]_vars

\* For models without restarts: what changed is written before anything else happens. A later write would only mean later
\* answers, and those may arrive as late as they like anyway.
WriteAtOnce == (\A m \in Members : disk[m] = Image(m)) \/ disk' # disk

-----------------------------------------------------------------------------
(* What must hold.                                                         *)

\* Members take part alike; TLC looks at one of each set of states that differ in names only.
Symmetry == {f \in [Members -> Members] :
               (\A m, n \in Members : m # n => f[m] # f[n]) /\ {f[m] : m \in FirstVoters} = FirstVoters}

OneLeaderPerTerm == \A t \in Terms : Cardinality(elected[t]) <= 1

LogMatching ==
  \A m, n \in Members : \A i \in 1..Len(log[m]) :
    (i <= Len(log[n]) /\ log[m][i].term = log[n][i].term) => SubSeq(log[m], 1, i) = SubSeq(log[n], 1, i)

\* Whoever leads in a later term has all that was committed before: acknowledged writes survive.
LeaderCompleteness ==
  LET committed == TLCEval([t \in Terms |-> Committed(t)]) IN
  \A t, u \in Terms : (t < u /\ elected[u] # {}) => IsPrefix(committed[t], termLog[u])

\* No two terms commit different entries at one position.
StateMachineSafety ==
  LET committed == TLCEval([t \in Terms |-> Committed(t)]) IN
  \A t, u \in Terms : t < u => IsPrefix(committed[t], committed[u]) \/ IsPrefix(committed[u], committed[t])

\* The election of a leader proves that every lease of its predecessors has ended.
LeaseEndsBeforeElection ==
  \A t, u \in Terms : (t < u /\ LeaseHolds(t)) => elected[u] = {}

=============================================================================
