// Which servers an upstream has: those with a literal address or a path from the start, those with a host
// name as soon as it is known, and whatever it comes to mean later.
//
// Has a lock: each name is looked up on a queue of its own, and the answers meet here. A failed lookup
// changes nothing: the last answer is as good as any. Lists are handed to the shards in the order in which
// they were made.

import Configuration
import Network
import Synchronization
import TLS

/// The servers of one upstream.
final class ServerDirectory: Sendable {
    /// What there is to say of a lookup.
    enum Finding: Equatable {
        case unchanged
        /// The servers are others now.
        case changed
        /// It has failed, and did not before, or for another reason.
        case failed(String)
    }

    private struct State: ~Copyable {
        /// The addresses of each configured server, in the order of the file; nil while a name is unknown.
        var addresses: [[SocketAddress]?]
        /// Why the last lookup of each has failed.
        var problems: [String?]
        var servers: [UpstreamServer] = []
        /// Servers that have vanished and still have connections: back again, they still count.
        var vanished: [UpstreamServer] = []
        var publish: (@Sendable ([UpstreamServer]) -> Void)?
        var isStopped = false
    }

    private let configured: [ServerConfiguration]
    /// How each of them is spoken to.
    private let security: [ClientTLS?]
    private let state: Mutex<State>
    /// The names to look up, each with the index that `learn` wants.
    let names: [(index: Int, resolver: NameResolver)]

    /// - Parameter previous: of the same upstream, in the configuration before: what it knows of names and
    ///   servers is known here.
    init(_ upstream: UpstreamConfiguration, previous: ServerDirectory? = nil) throws(RuntimeError) {
        configured = upstream.servers
        var security: [ClientTLS?] = []
        for server in upstream.servers {
            guard let host = server.certificateName else {
                security.append(nil)
                continue
            }
            security.append(try GatewayTLS.client(upstream.tls, host: host, upstream: upstream.name))
        }
        self.security = security
        var addresses: [[SocketAddress]?] = []
        var names: [(index: Int, resolver: NameResolver)] = []
        for (index, server) in configured.enumerated() {
            switch server.address {
            case .ip(let host, let port),
                .name(let host, let port) where host == "localhost":
                guard let address = SocketAddress(host: host, port: port) else {
                    throw RuntimeError(reason: "upstream \(upstream.name): '\(host)' is no IP address")
                }
                addresses.append([address])
            case .unix(let path):
                guard let address = SocketAddress(unixPath: path) else {
                    let reason = "upstream \(upstream.name): unix:\(path): \(RuntimeError.pathProblem)"
                    throw RuntimeError(reason: reason)
                }
                addresses.append([address])
            case .name(let host, let port):
                addresses.append(previous?.addresses(of: server.address))
                names.append((index, NameResolver(host: host, port: port)))
            }
        }
        self.names = names
        var first = State(addresses: addresses, problems: Array(repeating: nil, count: addresses.count))
        first.servers = Self.list(configured, security, addresses, known: previous?.servers ?? [])
        state = Mutex(first)
    }

    /// What a name is known to mean.
    private func addresses(of address: ServerAddress) -> [SocketAddress]? {
        guard let index = configured.firstIndex(where: { $0.address == address }) else { return nil }
        return state.withLock { $0.addresses[index] }
    }

    /// The servers as they are known now.
    var servers: [UpstreamServer] { state.withLock { $0.servers } }

    /// Hands every list to `publish` from now on, the one of now as the first if names have changed it.
    func start(publish: @escaping @Sendable ([UpstreamServer]) -> Void) {
        state.withLock { state in
            state.publish = publish
            if !names.isEmpty { publish(state.servers) }
        }
    }

    /// Nothing is handed out any more, and nothing looked up.
    func stop() {
        state.withLock { state in
            state.publish = nil
            state.isStopped = true
        }
    }

    var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Takes in what a lookup has come to.
    func learn(_ result: Result<[SocketAddress], LookupError>, at index: Int) -> Finding {
        state.withLock { state in
            switch result {
            case .failure(let error):
                if state.problems[index] == error.reason { return .unchanged }
                state.problems[index] = error.reason
                return .failed(error.reason)
            case .success(let addresses):
                state.problems[index] = nil
                // Name servers change the order from one answer to the next.
                if let old = state.addresses[index], Set(old) == Set(addresses) { return .unchanged }
                state.addresses[index] = addresses
                let known = state.servers + state.vanished
                state.servers = Self.list(configured, security, state.addresses, known: known)
                let kept = Set(state.servers.map(\.address))
                state.vanished = known.filter { server in
                    !kept.contains(server.address) && server.quota?.isUnused == false
                }
                state.publish?(state.servers)
                return .changed
            }
        }
    }

    /// Whether the name at an index has been known at any time.
    func isKnown(_ index: Int) -> Bool { state.withLock { $0.addresses[index] != nil } }

    /// One server for each address; where several lines lead to the same, the first counts.
    private static func list(
        _ configured: [ServerConfiguration], _ security: [ClientTLS?], _ addresses: [[SocketAddress]?],
        known: [UpstreamServer]
    ) -> [UpstreamServer] {
        var list: [UpstreamServer] = []
        var seen: Set<SocketAddress> = []
        for (index, server) in configured.enumerated() {
            let addresses = addresses[index]
            for address in addresses ?? [] where seen.insert(address).inserted {
                list.append(
                    known.first { $0.address == address && $0.isConfigured(as: server, tls: security[index]) }
                        ?? UpstreamServer(server, address: address, tls: security[index]))
            }
        }
        return list
    }
}
