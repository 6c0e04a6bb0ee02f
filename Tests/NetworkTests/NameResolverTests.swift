// Names to addresses, as far as can be tried without a network: literals, localhost, and what is no name.

import Dispatch
import Network
import Synchronization
import Testing

@Suite struct NameResolverTests {
    @Test(
        "localhost and names under it are the machine itself",
        arguments: ["localhost", "LocalHost", "localhost.", "api.localhost", "a.b.localhost."])
    func localhost(_ host: String) throws {
        let expected = try #require(SocketAddress(host: "127.0.0.1", port: 9000))
        #expect(try NameResolver.addresses(of: host, port: 9000) == [expected])
    }

    @Test("a literal address is its own answer")
    func literal() throws {
        let expected = try #require(SocketAddress(host: "::1", port: 80))
        #expect(try NameResolver.addresses(of: "::1", port: 80) == [expected])
    }

    @Test("what cannot be a name is refused with a reason", arguments: ["a\0b", "a..b", ""])
    func refused(_ host: String) {
        #expect { try NameResolver.addresses(of: host, port: 80) } throws: { error in
            (error as? LookupError)?.reason.isEmpty == false
        }
    }

    @Test("an answer comes on the resolver's own queue")
    func asynchronous() throws {
        let resolver = NameResolver(host: "localhost", port: 9000)
        let answer = Mutex<[SocketAddress]>([])
        let arrived = DispatchSemaphore(value: 0)
        resolver.lookUp(afterMilliseconds: 0) { result in
            answer.withLock { $0 = (try? result.get()) ?? [] }
            arrived.signal()
        }
        #expect(arrived.wait(timeout: .now() + .seconds(20)) == .success)
        #expect(answer.withLock { $0.map(\.description) } == ["127.0.0.1:9000"])
    }
}
