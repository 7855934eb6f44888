---------------------------- MODULE TraceFormat ----------------------------
(***************************************************************************)
(* How `holdfast-sim trace --tla` writes a trace: what everybody is at its *)
(* beginning, what is on the wires, and then step by step. An entry of a   *)
(* log is a number, its term + 100 × its voters, the voters as bits; 0 is  *)
(* nobody; a log that changes is told as how much of it stays and what     *)
(* follows. Read by RaftTrace.tla.                                         *)
(***************************************************************************)
EXTENDS HoldfastRaft

Who(bits) == {m \in Members : (bits \div 2^(m - 1)) % 2 = 1}
Log(numbers) == [i \in 1..Len(numbers) |-> [term |-> numbers[i] % 100, voters |-> Who(numbers[i] \div 100)]]
Someone(m) == IF m = 0 THEN None ELSE m

Disk(t, v, l) == [term |-> t, vote |-> Someone(v), log |-> Log(l)]
Write(image, asks) == [image |-> image, asks |-> asks]
Standing(t, v, r, l, c, d, w) ==
  [term |-> t, vote |-> Someone(v), role |-> r, log |-> Log(l), commit |-> c, disk |-> d, writes |-> w]
Wires(t, asked, votes, acks, leaders, l, c, pres, ordered, heardV, heardA) ==
  [term |-> t, asked |-> asked, votes |-> votes, acks |-> acks, leaders |-> leaders, log |-> Log(l), told |-> c,
   pres |-> pres, ordered |-> ordered, heardV |-> heardV, heardA |-> heardA]
Turn(m, promise, frees, got, t, v, r, keep, add, c, writing, out) ==
  [do |-> "turn", m |-> m, promise |-> promise, frees |-> frees, got |-> got, term |-> t, vote |-> Someone(v),
   role |-> r, keep |-> keep, add |-> add, commit |-> c, writing |-> writing, out |-> out]
Durable(m, t, v, keep, add, out) ==
  [do |-> "durable", m |-> m, term |-> t, vote |-> Someone(v), keep |-> keep, add |-> add, out |-> out]
Started(m, dt, dv, keep, add, t, v) ==
  [do |-> "start", m |-> m, diskTerm |-> dt, diskVote |-> Someone(dv), keep |-> keep, add |-> add, term |-> t,
   vote |-> Someone(v)]
=============================================================================
