---------------------------- MODULE FigureEight ----------------------------
(***************************************************************************)
(* HoldfastRaft, begun where Figure 8 of the Raft paper stands at (c): a   *)
(* led term 1 and b term 2, each has an entry that nobody else holds, and  *)
(* now a leads term 3 with c's vote. From the very beginning the way to    *)
(* the trap is too long for a quick check.                                 *)
(***************************************************************************)
EXTENDS HoldfastRaft

CONSTANTS a, b, c

Situation ==
  LET kept == (a :> [term |-> 3, vote |-> a, log |-> <<Plain(1)>>])
              @@ (b :> [term |-> 2, vote |-> b, log |-> <<Plain(2)>>])
              @@ (c :> [term |-> 3, vote |-> a, log |-> <<>>])
      ofTerm(t) == CASE t = 1 -> a [] t = 2 -> b [] t = 3 -> a [] OTHER -> None
  IN
  /\ disk = kept
  /\ term = [m \in Members |-> kept[m].term]
  /\ vote = [m \in Members |-> kept[m].vote]
  /\ log = [m \in Members |-> IF m = a THEN <<Plain(1), Plain(3)>> ELSE kept[m].log]
  /\ role = [m \in Members |-> IF m = a THEN "leader" ELSE "follower"]
  /\ pre = [m \in Members |-> {}]
  /\ promised = [m \in Members |-> 0]
  /\ writes = [m \in Members |-> <<>>]
  /\ request = [t \in Terms |-> [m \in Members |->
       IF ofTerm(t) # m THEN None ELSE IF t = 3 THEN <<Plain(1)>> ELSE <<>>]]
  /\ ballot = [t \in Terms |-> [m \in Members |-> IF ofTerm(t) = m \/ m = c THEN ofTerm(t) ELSE None]]
  /\ termLog = [t \in Terms |-> IF t = 3 THEN log[a] ELSE IF t < 3 THEN <<Plain(t)>> ELSE <<>>]
  /\ ack = [t \in Terms |-> [m \in Members |-> IF t < 3 /\ ofTerm(t) = m THEN 1 ELSE 0]]
  /\ beat = [t \in Terms |-> 0]
  /\ answered = [t \in Terms |-> [m \in Members |-> 0]]
  /\ elected = [t \in Terms |-> IF t <= 3 THEN {ofTerm(t)} ELSE {}]
  /\ restarts = 0

FigureEightSpec == Situation /\ [][Next]_vars
=============================================================================
