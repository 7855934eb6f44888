// Rules that clusters of the first version were founded without. A command must come to the same on every member, and a
// member reads its log again after an upgrade; so these rules hold from a command on, and not from a version on.
//
// They are in force in every cluster whose founder's record stands in its first command. In an older one they are not,
// and everything is applied as it always was.

import Consensus

extension ClusterState {
    /// Whether the log of this cluster is applied with these rules:
    /// - the values of the small store are bounded in bytes, not in number alone;
    /// - of the writes to it only those that were forbidden are acts of a person;
    /// - a revoked operator is remembered for a year after the last of his certificates has ended;
    /// - a member is known by its whole key.
    var guardsAreInForce: Bool { rules >= 1 }
}
