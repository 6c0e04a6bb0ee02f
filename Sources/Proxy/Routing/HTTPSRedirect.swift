// Where a listener with `redirect_to_https` sends its clients: to the public URL, or to the host that they
// asked for where the configuration names it, or a wildcard that it falls under. Nobody is sent anywhere
// else.

import Configuration
import Primitives

/// The origins that plain HTTP leads to. Immutable: every shard uses the same one.
struct HTTPSRedirect: Sendable {
    private let publicOrigin: String
    /// The port of the public URL with its colon, where it has one: other hosts are reached by the same.
    private let port: String
    /// The hosts of routes and of certificates, in lower case.
    private let hosts: Set<[UInt8]>

    init(_ configuration: GatewayConfiguration) {
        let ofCertificates = (configuration.tls?.serverNames ?? []).flatMap(\.names)
        self.init(configuration.publicURL, hosts: configuration.routes.compactMap(\.host) + ofCertificates)
    }

    /// - Parameter hosts: in lower case; `*.` and a name is any name of one label more.
    init(_ publicURL: PublicURL, hosts: [String]) {
        publicOrigin = publicURL.origin
        port = String(publicURL.authority.dropFirst(publicURL.host.count))
        self.hosts = Set(hosts.map { Array($0.utf8) })
    }

    /// The origin for a request, by its authority.
    func origin(for authority: Span<UInt8>) -> String {
        let host = RouteTable.hostName(authority)
        return isKnown(host) ? "https://\(String(decoding: host, as: UTF8.self))\(port)" : publicOrigin
    }

    private func isKnown(_ host: [UInt8]) -> Bool {
        if hosts.contains(host) { return true }
        // RFC 9525 §6.3: a wildcard stands for the whole first label.
        guard let dot = host.firstIndex(of: UInt8(ascii: ".")), dot > 0 else { return false }
        return hosts.contains([UInt8(ascii: "*")] + host[dot...])
    }
}
