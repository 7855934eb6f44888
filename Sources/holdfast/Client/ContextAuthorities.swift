// What a context knows of its cluster's authorities, brought up to date whenever a member says that there are others. A
// member is believed because it shows a certificate of an authority that the context trusts, or of one that such an
// authority vouches for; so what it says of the authorities is the cluster's own word.

import API
import Consensus
import Crypto
import FoundationEssentials
import Runtime
import SwiftASN1
import X509

enum ContextAuthorities {
    /// The certificates of authorities as a context keeps them, the one that signs first.
    static func text(_ trust: ClusterTrust) throws -> String {
        try trust.authorities.map { try $0.certificate.serializeAsPEM().pemString }.joined(separator: "\n")
    }

    /// Whether a member that names these authorities (see `AuthorityNames`) knows others than the context, or another one
    /// signs than the one that signed the context's certificate.
    static func isBehind(_ context: ClusterContext, told: String) -> Bool {
        guard let known = try? TrustedAuthority.all(pem: context.authority) else { return false }
        return AuthorityNames.text(known.map(\.pin)) != told || signer(of: context, among: known) != known.first?.pin
    }

    /// What is wrong with a context's certificate as far as can be told here; nil when nothing is.
    static func fault(of context: ClusterContext, now: Int64) -> String? {
        guard let known = try? TrustedAuthority.all(pem: context.authority),
            let certificate = try? Certificate(pemEncoded: context.certificate)
        else { return nil }
        if signer(of: context, among: known) == nil {
            return "this context's certificate was not signed by its cluster's authority"
        }
        let ends = Int64(certificate.notValidAfter.timeIntervalSince1970 * 1_000)
        return now > ends ? "this context's certificate has ended" : nil
    }

    private static func signer(of context: ClusterContext, among authorities: [TrustedAuthority]) -> String? {
        guard let certificate = try? Certificate(pemEncoded: context.certificate) else { return nil }
        // The cluster's id plays no part in who has signed.
        return ClusterTrust(cluster: ClusterID(rawValue: 0), authorities: authorities).issuer(of: certificate)?.pin
    }

    /// The context with the authorities of now and a certificate of the one that signs, for the key it has: the one before
    /// stays good as long as its authority is trusted, so other copies of the context go on working.
    static func refreshed(
        _ context: ClusterContext, by client: HoldfastClient, within limit: Duration
    ) async throws -> ClusterContext {
        let answer = try await client.authority(.linearizable, within: limit)
        let authorities = try answer.trusted.map { try TrustedAuthority(Certificate(pemEncoded: $0.certificate)) }
        guard !authorities.isEmpty else { return context }
        var refreshed = context
        refreshed.authority = answer.trusted.map(\.certificate).joined(separator: "\n")
        guard signer(of: context, among: authorities) != authorities[0].pin else { return refreshed }
        let key = try P256.Signing.PrivateKey(pemRepresentation: context.key)
        let signed = try await client.renewOwn(
            OperatorRenewal(csr: SigningRequest.make(name: "renewal", key: key)), within: limit)
        refreshed.certificate = signed.certificate
        return refreshed
    }

    /// Brings a context up to date, here and in the file, when a member has named other authorities than it knows. A failure
    /// is told and changes nothing; the next command tries again.
    /// - Returns: nil when there was nothing to do or it failed.
    static func followed(_ context: ClusterContext, told: String) async -> ClusterContext? {
        guard isBehind(context, told: told) else { return nil }
        let terminal = Terminal.current
        do {
            let path = ContextFile.path(terminal.environment)
            var file = try ContextFile.load(path: path) { _ in }
            // It may have gone meanwhile, or be another person's by now.
            guard let place = file.contexts.firstIndex(where: { $0.name == context.name && $0.key == context.key })
            else {
                return nil
            }
            var present = file.contexts[place]
            present.endpoints = context.endpoints
            present.members = context.members
            let client = try HoldfastClient(present)
            let new: ClusterContext
            do { new = try await refreshed(present, by: client, within: patience) } catch {
                await client.shutdown()
                throw error
            }
            await client.shutdown()
            file.contexts[place].authority = new.authority
            file.contexts[place].certificate = new.certificate
            try file.save(path: path)
            terminal.note(
                "holdfast: context \(context.name) follows the cluster's authority, which is being rotated or was")
            return new
        } catch {
            let words = (error as? CommandFailure)?.message ?? "\(error)"
            terminal.note(
                "holdfast: context \(context.name) could not follow the rotation of the authority yet: \(words)")
            return nil
        }
    }

    /// A command is kept waiting no longer for it.
    private static let patience: Duration = .seconds(5)
}
