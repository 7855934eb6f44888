------------------------------ MODULE HandOver ------------------------------
(***************************************************************************)
(* How one role goes from member to member: assignment by log entry, the   *)
(* holder's lease on top of the leader's quorum lease, the floor, planned  *)
(* release, re-assignment once the lease is certainly over, restarts.      *)
(*                                                                         *)
(* What is taken from HoldfastRaft.tla: there is one leader with a quorum  *)
(* lease at a time, the next is elected only when that lease has ended,    *)
(* and committed entries stay. The rest of the log a new leader may have   *)
(* or not.                                                                 *)
(*                                                                         *)
(* What is abstracted, always towards more behaviour: a lease counts from  *)
(* the moment it was granted, as long as the slowest clock allows, and     *)
(* always on a quorum round of that moment; entries are committed and      *)
(* applied at any speed; nothing ever has to happen (a member that does    *)
(* nothing is one that hangs, is cut off, or is down); a member that       *)
(* learns that the role is not its own any more does not therefore fall    *)
(* silent: its kernel does, at the end of the lease that it armed last, or *)
(* earlier when the member lets go by its own word.                        *)
(*                                                                         *)
(* Time is in whole ticks and only ever as what is left of something, so   *)
(* runs of any length are checked. A grant is received when it is given:   *)
(* to receive it later is to make use of it later.                         *)
(*                                                                         *)
(* Not here: leadership transfer, and how long anything takes.             *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  Candidates,      \* members that may hold the role
  Witness,         \* a member that may only lead
  None,
  MaxLog,          \* entries, of which every leader's first is one
  MaxElections, MaxRestarts,
  Length,          \* Q and L: ticks of the quorum lease and so of a member's
  Drift,           \* ticks by which a member's lease may last longer than it should
  ExpiryMargin,    \* ticks a leader waits beyond the lease it granted; less than Drift breaks it
  ElectionMargin,  \* ticks by which promises outlast the quorum lease; less than Drift breaks it
  WithFloor,       \* FALSE breaks it: a lease is used on whatever state the member has applied
  FloorPerProcess, \* FALSE breaks it: a restarted member is granted the floor of its former life
  OfferAgain       \* TRUE breaks it: a decision of one leader is proposed again to another

VARIABLES
  \* The leader.
  leader,
  granted,     \* [Candidates -> what this leader granted: ticks until it is certainly over, floor, to the present process]
  decided,     \* decisions that their leader would offer again
  \* The voters.
  promised,    \* ticks until a majority may elect another leader
  elections,
  \* The log. Entries up to commit are committed; first is the leader's first own entry.
  log, commit, first,
  \* Each candidate: what its process remembers, and what its kernel does.
  applied,
  lease,       \* ticks left, and the floor
  held,        \* ticks for which its kernel goes on answering
  letGo,       \* the epochs it has told the cluster that it let go
  restarts

leaderVars == <<leader, granted, decided>>
voterVars  == <<promised, elections>>
logVars    == <<log, commit, first>>
memberVars == <<applied, lease, held, letGo, restarts>>
vars       == <<leaderVars, voterVars, logVars, memberVars>>

Less(ticks) == IF ticks = 0 THEN 0 ELSE ticks - 1

-----------------------------------------------------------------------------
(* The role, as a function of the log. Every entry names the epoch it was  *)
(* decided at; if the role has moved on, it does nothing.                  *)

Vacant == [phase |-> "vacant", epoch |-> 0, holder |-> None, next |-> None]

Step(role, entry) ==
  IF entry.epoch # role.epoch THEN role ELSE
  CASE entry.kind = "assign" ->
         [phase |-> "held", epoch |-> role.epoch + 1, holder |-> entry.to, next |-> None]
    [] entry.kind = "release" /\ role.phase = "held" /\ entry.to # role.holder ->
         [role EXCEPT !.phase = "releasing", !.next = entry.to]
    [] entry.kind = "released" /\ role.phase = "releasing" ->
         [phase |-> "held", epoch |-> role.epoch + 1, holder |-> role.next, next |-> None]
    [] OTHER -> role

RECURSIVE RoleAt(_)
RoleAt(index) == IF index = 0 THEN Vacant ELSE Step(RoleAt(index - 1), log[index])

Empty == [kind |-> "empty", epoch |-> 0, to |-> None]

-----------------------------------------------------------------------------
NoGrant == [over |-> 0, floor |-> 0, present |-> FALSE]
NoLease == [left |-> 0, floor |-> 0]

Init ==
  /\ leader = Witness /\ decided = {} /\ promised = 0 /\ elections = 0
  /\ granted = [m \in Candidates |-> NoGrant]
  /\ log = <<Empty>> /\ commit = 0 /\ first = 1
  /\ applied = [m \in Candidates |-> 0]
  /\ lease = [m \in Candidates |-> NoLease]
  /\ held = [m \in Candidates |-> 0]
  /\ letGo = [m \in Candidates |-> {}]
  /\ restarts = 0

\* What has run out is forgotten, so that states which differ in nothing else are one.
Tick ==
  /\ promised' = Less(promised)
  /\ granted' = [m \in Candidates |->
       IF granted[m].over <= 1 THEN NoGrant ELSE [granted[m] EXCEPT !.over = @ - 1]]
  /\ lease' = [m \in Candidates |-> IF lease[m].left <= 1 THEN NoLease ELSE [lease[m] EXCEPT !.left = @ - 1]]
  /\ held' = [m \in Candidates |-> Less(held[m])]
  /\ UNCHANGED <<leader, decided, elections, logVars, applied, letGo, restarts>>

-----------------------------------------------------------------------------
(* The leader.                                                             *)

\* That the quorum lease of the predecessor has ended is what a majority's votes prove. The new leader's table is empty.
Elect(m) ==
  /\ elections < MaxElections /\ promised = 0
  /\ \E kept \in commit..Len(log) :
       /\ kept < MaxLog
       /\ log' = Append(SubSeq(log, 1, kept), Empty)
       /\ first' = kept + 1
  /\ leader' = m /\ elections' = elections + 1
  /\ granted' = [c \in Candidates |-> NoGrant]
  /\ UNCHANGED <<decided, promised, commit, memberVars>>

Commit ==
  /\ \E index \in commit + 1..Len(log) : index >= first /\ commit' = index
  /\ UNCHANGED <<leaderVars, voterVars, log, first, memberVars>>

HasCommittedInTerm == commit >= first

\* The member counts what is left of the quorum lease from when it asked; here from now, which is later. The floor stays
\* while renewals go on without a break.
Grant(m) ==
  LET goesOn == granted[m].over > 0 /\ (granted[m].present \/ ~FloorPerProcess)
      floor  == IF goesOn THEN granted[m].floor ELSE Len(log)
  IN
  /\ HasCommittedInTerm
  /\ promised' = Length + ElectionMargin
  /\ granted' = [granted EXCEPT ![m] = [over |-> Length + ExpiryMargin, floor |-> floor, present |-> TRUE]]
  /\ lease' = [lease EXCEPT ![m] = [left |-> Length + Drift, floor |-> IF WithFloor THEN floor ELSE 0]]
  /\ UNCHANGED <<leader, decided, elections, logVars, applied, held, letGo, restarts>>

Propose(entry) ==
  /\ Len(log) < MaxLog
  /\ log' = Append(log, entry)
  /\ UNCHANGED <<leader, granted, voterVars, commit, first, memberVars>>

\* A leader decides on a state that contains everything it inherited.
Role == RoleAt(commit)

\* Point 3 of the chain of leases: nobody holds the role, or the last lease that was granted to the holder is over.
Assign ==
  /\ HasCommittedInTerm
  /\ Role.holder # None => (Role.holder # leader /\ granted[Role.holder].over = 0)
  /\ \E m \in Candidates \ {Role.holder} :
       LET entry == [kind |-> "assign", epoch |-> Role.epoch, to |-> m] IN
       /\ decided' = IF OfferAgain THEN decided \cup {entry} ELSE decided
       /\ Propose(entry)

Release ==
  /\ HasCommittedInTerm /\ Role.phase = "held"
  /\ \E m \in Candidates \ {Role.holder} : Propose([kind |-> "release", epoch |-> Role.epoch, to |-> m])
  /\ UNCHANGED decided

\* The holder's word arrives, from wherever, however late and often.
TakeNote ==
  /\ \E m \in Candidates : \E epoch \in letGo[m] :
       Propose([kind |-> "released", epoch |-> epoch, to |-> None])
  /\ UNCHANGED decided

\* The fault that OfferAgain puts in: what one leader decided on its own table reaches the log of another.
ProposeAgain == \E entry \in decided : Propose(entry) /\ UNCHANGED decided

-----------------------------------------------------------------------------
(* The members.                                                            *)

Apply(m) ==
  /\ \E index \in applied[m] + 1..commit : applied' = [applied EXCEPT ![m] = index]
  /\ UNCHANGED <<leaderVars, voterVars, logVars, lease, held, letGo, restarts>>

\* Arms the kernel: only under a lease whose floor is applied, only for a role that is held.
Hold(m) ==
  LET role == RoleAt(applied[m]) IN
  /\ lease[m].left > held[m] /\ applied[m] >= lease[m].floor
  /\ role.phase = "held" /\ role.holder = m
  /\ held' = [held EXCEPT ![m] = lease[m].left]
  /\ UNCHANGED <<leaderVars, voterVars, logVars, applied, lease, letGo, restarts>>

\* Falls silent, and only then says so.
LetGo(m) ==
  LET role == RoleAt(applied[m]) IN
  /\ role.phase = "releasing" /\ role.holder = m /\ role.epoch \notin letGo[m]
  /\ held' = [held EXCEPT ![m] = 0]
  /\ letGo' = [letGo EXCEPT ![m] = @ \cup {role.epoch}]
  /\ UNCHANGED <<leaderVars, voterVars, logVars, applied, lease, restarts>>

\* The process starts anew, cleans up what its former life left in the kernel, and applies the log from its beginning.
\* A grant to its former life it does not accept.
Restart(m) ==
  /\ restarts < MaxRestarts
  /\ restarts' = restarts + 1
  /\ applied' = [applied EXCEPT ![m] = 0]
  /\ lease' = [lease EXCEPT ![m] = NoLease]
  /\ held' = [held EXCEPT ![m] = 0]
  /\ granted' = [granted EXCEPT ![m].present = FALSE]
  /\ UNCHANGED <<leader, decided, voterVars, logVars, letGo>>

-----------------------------------------------------------------------------
Next ==
  \/ Tick \/ Commit
  \/ Assign \/ Release \/ TakeNote \/ ProposeAgain
  \/ \E m \in Candidates \cup {Witness} : Elect(m)
  \/ \E m \in Candidates : Grant(m) \/ Apply(m) \/ Hold(m) \/ LetGo(m) \/ Restart(m)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
Symmetry == {f \in [Candidates -> Candidates] : \A a, b \in Candidates : a # b => f[a] # f[b]}

\* On the wire: the kernel answers.
Acts(m) == held[m] > 0

NeverTwo == \A m, n \in Candidates : Acts(m) /\ Acts(n) => m = n

\* The epoch only grows, and each has one holder.
EpochsHaveOneHolder ==
  \A i \in 1..commit :
    LET before == RoleAt(i - 1) after == RoleAt(i) IN
    /\ before.epoch <= after.epoch
    /\ before.epoch = after.epoch => before.holder = after.holder
=============================================================================
