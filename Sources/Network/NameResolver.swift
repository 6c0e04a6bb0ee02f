// Names to addresses. Asking the system blocks, for as long as the network's name servers are silent, so each
// resolver has a queue of its own and one name's silence delays no other.

import Dispatch

/// Looks one host name up, as often as it is asked to.
package final class NameResolver: Sendable {
    /// What this machine is called.
    package static var ownName: String { Syscalls.hostName() }

    package let host: String
    package let port: UInt16
    private let queue: DispatchQueue

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
        queue = DispatchQueue(label: "name-\(host)", qos: .default)
    }

    /// Looks the name up after a while; the answer, at least one address, comes on the resolver's queue.
    package func lookUp(
        afterMilliseconds delay: Int,
        _ done: @escaping @Sendable (Result<[SocketAddress], LookupError>) -> Void
    ) {
        queue.asyncAfter(deadline: .now() + .milliseconds(delay)) { [host, port] in
            do throws(LookupError) {
                done(.success(try Self.addresses(of: host, port: port)))
            } catch {
                done(.failure(error))
            }
        }
    }

    /// Asks, and waits for the answer.
    package static func addresses(of host: String, port: UInt16) throws(LookupError) -> [SocketAddress] {
        if let literal = SocketAddress(host: host, port: port) { return [literal] }
        // RFC 6761 §6.3: names under `localhost` are the machine itself, and are never looked up.
        if isLocalhost(host) { return SocketAddress(host: "localhost", port: port).map { [$0] } ?? [] }
        let addresses = try Syscalls.addresses(ofName: host, port: port, countMax: addressesMax)
        if addresses.isEmpty { throw LookupError(reason: "the name has no address") }
        return addresses
    }

    private static func isLocalhost(_ host: String) -> Bool {
        let name = host.lowercased()
        return ["localhost", "localhost."].contains { name == $0 || name.hasSuffix(".\($0)") }
    }

    /// More addresses of one name are left out.
    private static let addressesMax = 64
}

/// Why a name has no address.
package struct LookupError: Error, Sendable, Equatable {
    package let reason: String

    package init(reason: String) { self.reason = reason }
}
