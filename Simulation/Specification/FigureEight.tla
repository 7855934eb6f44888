---------------------------- MODULE FigureEight ----------------------------
(***************************************************************************)
(* HoldfastRaft, begun where Figure 8 of the Raft paper begins: a led term *)
(* 1 and b term 2, and each has an entry that nobody else holds. From the  *)
(* very beginning the way to the trap is too long for a quick check.       *)
(***************************************************************************)
EXTENDS HoldfastRaft

CONSTANTS a, b, c

Situation ==
  LET kept == (a :> [term |-> 2, vote |-> None, log |-> <<Plain(1)>>])
              @@ (b :> [term |-> 2, vote |-> b, log |-> <<Plain(2)>>])
              @@ (c :> [term |-> 2, vote |-> b, log |-> <<>>])
  IN
  /\ disk = kept
  /\ term = [m \in Members |-> kept[m].term]
  /\ vote = [m \in Members |-> kept[m].vote]
  /\ log = [m \in Members |-> kept[m].log]
  /\ role = [m \in Members |-> "follower"]
  /\ pre = [m \in Members |-> {}]
  /\ promised = [m \in Members |-> 0]
  /\ writes = [m \in Members |-> <<>>]
  /\ request = [t \in Terms |-> [m \in Members |->
       IF t = 1 /\ m = a \/ t = 2 /\ m = b THEN <<>> ELSE None]]
  /\ ballot = [t \in Terms |-> [m \in Members |->
       IF t = 1 /\ m # b THEN a ELSE IF t = 2 /\ m # a THEN b ELSE None]]
  /\ termLog = [t \in Terms |-> IF t <= 2 THEN <<Plain(t)>> ELSE <<>>]
  /\ ack = [t \in Terms |-> [m \in Members |-> IF t = 1 /\ m = a \/ t = 2 /\ m = b THEN 1 ELSE 0]]
  /\ beat = [t \in Terms |-> 0]
  /\ answered = [t \in Terms |-> [m \in Members |-> 0]]
  /\ elected = [t \in Terms |-> IF t = 1 THEN {a} ELSE IF t = 2 THEN {b} ELSE {}]
  /\ restarts = 0

FigureEightSpec == Situation /\ [][Next]_vars
=============================================================================
