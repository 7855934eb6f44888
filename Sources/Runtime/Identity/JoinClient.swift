// Joining, on the new machine: asks the members named in the token, one after the other, until one admits it.
// The cluster is recognized by the key the token pins, before the secret is sent. What comes back is checked as if it
// came from a stranger.

import Cluster
import Consensus
import Crypto
import FoundationEssentials
import NIOCore
import SwiftASN1
import X509

public enum JoinClient {
    /// One endpoint has this long, so that one dead member does not use up the whole deadline.
    static let mostPerEndpoint = TimeAmount.seconds(15)

    /// Joins.
    /// - Parameters:
    ///   - key: durable already (`IdentityFolder.keyForJoining`), so that a repetition counts once.
    ///   - timeout: for everything together.
    /// - Returns: the identity of the new member, to be written with `IdentityFolder.create`.
    public static func join(
        token: JoinTokenText, applicant: JoinApplicant, key: P256.Signing.PrivateKey, group: any EventLoopGroup,
        timeout: TimeAmount = .seconds(60)
    ) async throws(JoinError) -> MemberIdentity {
        let deadline = NIODeadline.now() + timeout
        let request: JoinRequest
        do {
            request = try JoinRequest(token: token, applicant: applicant, key: key)
        } catch { throw .request("\(error)") }
        var waiting = token.endpoints
        var asked: Set<Endpoint> = []
        var failures: [String] = []
        while !waiting.isEmpty {
            let endpoint = waiting.removeFirst()
            guard asked.count < JoinTokenText.mostEndpoints, asked.insert(endpoint).inserted else { continue }
            guard NIODeadline.now() < deadline else { throw .timedOut(timeout, failures) }
            let until = min(deadline, .now() + mostPerEndpoint)
            switch await ask(endpoint, request: request, token: token, until: until, group: group) {
            case .answer(let response):
                return try accept(response, from: endpoint, token: token, applicant: applicant, key: key)
            case .refused(let words): throw .refused(by: endpoint, words)
            case .elsewhere(let others, let words):
                failures.append("\(endpoint): \(words)")
                waiting += others
            case .failed(let words): failures.append("\(endpoint): \(words)")
            }
        }
        throw .nobodyAnswered(failures)
    }

    enum Attempt: Sendable {
        case answer(JoinResponse)
        /// No other member would say anything else.
        case refused(String)
        case elsewhere([Endpoint], String)
        /// Another member may do better.
        case failed(String)
    }

    private static func ask(
        _ endpoint: Endpoint, request: JoinRequest, token: JoinTokenText, until: NIODeadline, group: any EventLoopGroup
    ) async -> Attempt {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            let body = try encoder.encode(request)
            let answer = try await PinnedRequest(cluster: token.cluster, pin: token.pin)
                .post(path: "/v1/join", body: Array(body), to: endpoint, until: until, group: group)
            return interpret(status: answer.status, body: answer.body)
        } catch {
            return .failed("\(error)")
        }
    }

    static func interpret(status: Int, body: [UInt8]) -> Attempt {
        if (200..<300).contains(status) {
            do {
                return .answer(try JSONDecoder().decode(JoinResponse.self, from: Data(body)))
            } catch { return .failed("it answered something that is no join response (\(error))") }
        }
        let refusal = try? JSONDecoder().decode(JoinRefusalBody.self, from: Data(body))
        let words = refusal?.message ?? String(decoding: body.prefix(500), as: UTF8.self)
        let shown = "\(words.isEmpty ? "no reason given" : words) (HTTP \(status))"
        if status == 421 { return .elsewhere(refusal?.endpoints?.compactMap { Endpoint($0) } ?? [], shown) }
        return (400..<500).contains(status) && status != 408 && status != 429 ? .refused(shown) : .failed(shown)
    }

    /// Checks an answer and makes it an identity.
    static func accept(
        _ response: JoinResponse, from endpoint: Endpoint, token: JoinTokenText, applicant: JoinApplicant,
        key: P256.Signing.PrivateKey
    ) throws(JoinError) -> MemberIdentity {
        do {
            let trust = try trust(response, token)
            var settings = MemberSettings(
                cluster: token.cluster, member: MemberID(publicKey: key.publicKey), name: applicant.name,
                kind: token.kind, host: applicant.host, address: applicant.address, peerPort: applicant.peerPort,
                apiPort: applicant.apiPort, knownMembers: response.members)
            if token.kind == .witness { settings.machine = applicant.place.kept }
            let sealed = (response.authorityKey.map { [$0] } ?? []) + (response.otherAuthorityKeys ?? [])
            let authorities = try sealed.map { try $0.open(with: key, trust: trust) }
            if token.kind == .host && !authorities.contains(where: { $0.trust.pin == trust.pin }) {
                throw CertificateRefusal.unusable("the authority's key is missing, which every host holds")
            }
            return try MemberIdentity(
                settings: settings, key: key, certificate: Certificate(pemEncoded: response.certificate), trust: trust,
                authorities: authorities, secrets: try response.secretsKey?.open(with: key, trust: trust))
        } catch { throw .unusableAnswer(from: endpoint, "\(error)") }
    }
}

extension JoinClient {
    /// What the answer says of the cluster's authorities, if the one that the token pins is among them and the one that
    /// signs is it, or one that it vouches for.
    private static func trust(_ response: JoinResponse, _ token: JoinTokenText) throws -> ClusterTrust {
        let texts = [response.authority] + (response.otherAuthorities ?? [])
        let authorities = try texts.map { try TrustedAuthority(Certificate(pemEncoded: $0)) }
        let links = try (response.links ?? []).map { try Certificate(pemEncoded: $0) }
        guard response.cluster == token.cluster, let pinned = authorities.first(where: { $0.pin == token.pin }),
            ClusterTrust(cluster: token.cluster, authorities: [pinned]).vouches(for: authorities[0].pin, by: links)
        else { throw CertificateRefusal.wrongPin(expected: token.pin) }
        return ClusterTrust(cluster: token.cluster, authorities: authorities, links: links)
    }
}

/// Why this machine did not become a member.
public enum JoinError: Error, Hashable, Sendable, CustomStringConvertible {
    case request(String)
    case refused(by: Endpoint, String)
    case nobodyAnswered([String])
    case timedOut(TimeAmount, [String])
    case unusableAnswer(from: Endpoint, String)

    public var description: String {
        switch self {
        case .request(let why): "cannot make the request to join: \(why)"
        case .refused(let endpoint, let words): "\(endpoint) refused to let this machine join: \(words)"
        case .nobodyAnswered(let failures):
            "no member named in the token let this machine join: \(failures.joined(separator: "; ")). Check the network "
                + "and that the agents run (holdfast status there), then repeat the same command"
        case .timedOut(let limit, let failures):
            "did not join within \(limit.nanoseconds / 1_000_000_000) s: \(failures.joined(separator: "; ")). "
                + "Repeat the same command"
        case .unusableAnswer(let endpoint, let why):
            "\(endpoint) answered with an identity that does not hold together: \(why)"
        }
    }
}
