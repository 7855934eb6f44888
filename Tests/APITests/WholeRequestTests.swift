// Which requests are marked as being there as a whole.

import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import API

@Suite struct WholeRequestTests {
    private let channel = EmbeddedChannel(handler: WholeRequests())

    private func head(_ fields: HTTPFields = [:]) -> HTTPRequestPart {
        .head(HTTPRequest(method: .put, scheme: "https", authority: "pve1", path: "/v1/kv/a", headerFields: fields))
    }

    private func body(_ count: Int = 3) -> HTTPRequestPart { .body(ByteBuffer(repeating: 65, count: count)) }

    /// One read of the connection.
    private func read(_ parts: HTTPRequestPart...) {
        for part in parts { channel.pipeline.fireChannelRead(part) }
        channel.pipeline.fireChannelReadComplete()
    }

    /// What came through: whether each head was marked, and how many bytes and ends there were.
    private func passed() throws -> (marks: [Bool], bytes: Int, ends: Int) {
        var (marks, bytes, ends) = ([Bool](), 0, 0)
        while let part = try channel.readInbound(as: HTTPRequestPart.self) {
            switch part {
            case .head(let request): marks.append(WholeRequests.isWhole(request.headerFields))
            case .body(let part): bytes += part.readableBytes
            case .end: ends += 1
            }
        }
        return (marks, bytes, ends)
    }

    @Test func thoseThatCameInOneReadAre() throws {
        read(head(), body(), body(), .end(nil), head(), .end(nil))
        #expect(try passed() == ([true, true], 6, 2))
    }

    @Test func thoseWhoseBodyIsStillComingAreNot() throws {
        read(head(), body())
        #expect(try passed() == ([false], 3, 0), "what has come is passed on at once")
        read(body(), .end(nil))
        #expect(try passed() == ([], 3, 1))
        read(head())
        #expect(try passed() == ([false], 0, 0))
    }

    @Test func aLargeBodyIsNotKeptBack() throws {
        channel.pipeline.fireChannelRead(head())
        channel.pipeline.fireChannelRead(body(64 * 1024))
        #expect(try passed() == ([], 0, 0))
        channel.pipeline.fireChannelRead(body(1))
        #expect(try passed() == ([false], 64 * 1024 + 1, 0))
        read(body(), .end(nil))
        #expect(try passed() == ([], 3, 1))
    }

    @Test func nobodyCanMarkHisOwn() throws {
        let name = try #require(HTTPField.Name("holdfast-whole"))
        read(head([name: "1"]), body())
        #expect(try passed().marks == [false])
    }
}
