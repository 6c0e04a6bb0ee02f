// The servers of an upstream as names come to mean them: what is kept, what is forgotten, what is said. And
// how many health checks make a mind up.

import Configuration
import Network
import Synchronization
import Testing

@testable import Proxy

@Suite("Server directory")
struct ServerDirectoryTests {
    @Test("addresses and paths are known from the start, names when they are learnt")
    func start() throws {
        let directory = try ServerDirectory(
            upstream([
                .ip(host: "192.0.2.1", port: 80), .name(host: "api.internal", port: 81),
                .unix(path: "/run/api.sock"),
            ]))
        #expect(texts(directory) == ["http://192.0.2.1:80", "unix:/run/api.sock"])
        #expect(directory.names.map(\.index) == [1])
        #expect(!directory.isKnown(1))
        #expect(try directory.learn(.success([address("192.0.2.9", 81)]), at: 1) == .changed)
        #expect(directory.isKnown(1))
        #expect(texts(directory) == ["http://192.0.2.1:80", "http://192.0.2.9:81", "unix:/run/api.sock"])
    }

    @Test(
        "a server that stays is the same, with its places; so is one that comes back with any left"
    )
    func identity() throws {
        var server = ServerConfiguration(address: .name(host: "api.internal", port: 80))
        server.connectionsMax = 2
        let directory = try ServerDirectory(UpstreamConfiguration(name: "api", servers: [server]))
        let (one, two) = (try address("192.0.2.1", 80), try address("192.0.2.2", 80))
        #expect(directory.learn(.success([one, two]), at: 0) == .changed)
        let first = directory.servers
        #expect(first[0].quota?.take() == true)
        #expect(directory.learn(.success([two]), at: 0) == .changed)
        #expect(directory.servers.map { $0 === first[1] } == [true])
        #expect(directory.learn(.success([one, two]), at: 0) == .changed)
        #expect(directory.servers[0] === first[0])
        // Without a connection left, nothing of it is worth keeping.
        first[0].quota?.giveBack()
        #expect(directory.learn(.success([two]), at: 0) == .changed)
        #expect(directory.learn(.success([one]), at: 0) == .changed)
        #expect(directory.servers[0] !== first[0])
    }

    @Test("the same addresses in another order change nothing, and a failure keeps them and is told once")
    func failures() throws {
        let directory = try ServerDirectory(upstream([.name(host: "api.internal", port: 80)]))
        let published = Mutex<[Int]>([])
        directory.start { servers in published.withLock { $0.append(servers.count) } }
        let (one, two) = (try address("192.0.2.1", 80), try address("192.0.2.2", 80))
        #expect(directory.learn(.failure(LookupError(reason: "no")), at: 0) == .failed("no"))
        #expect(directory.learn(.failure(LookupError(reason: "no")), at: 0) == .unchanged)
        #expect(directory.learn(.failure(LookupError(reason: "late")), at: 0) == .failed("late"))
        #expect(directory.learn(.success([one, two]), at: 0) == .changed)
        #expect(directory.learn(.success([two, one]), at: 0) == .unchanged)
        #expect(directory.learn(.failure(LookupError(reason: "late")), at: 0) == .failed("late"))
        #expect(directory.servers.count == 2)
        directory.stop()
        #expect(directory.learn(.success([one]), at: 0) == .changed)
        #expect(published.withLock { $0 } == [0, 2])
    }

    @Test("where two lines lead to one address, it is one server")
    func duplicates() throws {
        let directory = try ServerDirectory(
            upstream([.ip(host: "192.0.2.1", port: 80), .name(host: "api.internal", port: 80)]))
        #expect(try directory.learn(.success([address("192.0.2.1", 80)]), at: 1) == .changed)
        #expect(directory.servers.count == 1)
    }

    @Test("a path that is too long for a socket is refused with its reason, the longest is not")
    func paths() throws {
        let longest = "/" + String(repeating: "a", count: SocketAddress.pathBytesMax - 1)
        #expect(try ServerDirectory(upstream([.unix(path: longest)])).servers.count == 1)
        #expect { try ServerDirectory(upstream([.unix(path: longest + "a")])) } throws: { error in
            (error as? RuntimeError)?.reason.contains("107 bytes") == true
        }
    }

    @Test("a limit is a limit: places are taken up to it, and come back")
    func quota() {
        let quota = ConnectionQuota(max: 2)
        #expect([quota.take(), quota.take(), quota.take()] == [true, true, false])
        #expect(!quota.hasRoom)
        quota.giveBack()
        #expect(quota.hasRoom)
        #expect(quota.take())
    }

    @Test("so many failed checks in a row take a server out, and so many good ones bring it back")
    func probes() {
        var check = HealthCheckConfiguration(path: "/")
        check.failuresMax = 3
        check.passesMin = 2
        var record = ProbeRecord()
        #expect(
            [false, false, true, false, false].map { record.note(hasPassed: $0, check) }.contains(true)
                == false)
        #expect(record.note(hasPassed: false, check) == true)
        #expect(!record.isUp)
        #expect([false, true, false, true].map { record.note(hasPassed: $0, check) }.contains(true) == false)
        #expect(record.note(hasPassed: true, check) == true)
        #expect(record.isUp)
    }

    private func upstream(_ addresses: [ServerAddress]) -> UpstreamConfiguration {
        UpstreamConfiguration(name: "api", servers: addresses.map { ServerConfiguration(address: $0) })
    }

    private func address(_ host: String, _ port: UInt16) throws -> SocketAddress {
        try #require(SocketAddress(host: host, port: port))
    }

    private func texts(_ directory: ServerDirectory) -> [String] { directory.servers.map(\.text) }
}
