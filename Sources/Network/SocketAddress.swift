// An IP address with a port: where a listener stands, a peer comes from, an upstream is.

/// A socket address of IPv4 or IPv6.
package struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    package enum Family: UInt8, Sendable { case v4, v6 }

    package let family: Family
    /// The address in network order: 4 or 16 bytes.
    package let bytes: [UInt8]
    package let port: UInt16

    init(v4 bytes: [UInt8], port: UInt16) {
        family = .v4
        self.bytes = bytes
        self.port = port
    }

    init(v6 bytes: [UInt8], port: UInt16) {
        // An IPv4 client of a dual-stack listener is an IPv4 client: logs, limits and X-Forwarded-For say so.
        let isMapped = bytes.starts(with: Self.mappedPrefix)
        family = isMapped ? .v4 : .v6
        self.bytes = isMapped ? Array(bytes.suffix(4)) : bytes
        self.port = port
    }

    /// The address of a literal IPv4 or IPv6 host, or `localhost`; nil for any other name.
    package init?(host: String, port: UInt16) {
        guard let bytes = Self.parse(host == "localhost" ? "127.0.0.1" : host) else { return nil }
        if bytes.count == 4 { self.init(v4: bytes, port: port) } else { self.init(v6: bytes, port: port) }
    }

    /// The address alone: `192.0.2.1`, `2001:db8::1`.
    package var host: String {
        switch family {
        case .v4: bytes.map(String.init).joined(separator: ".")
        case .v6: Self.text(v6: bytes)
        }
    }

    /// `192.0.2.1:443`, `[2001:db8::1]:443`.
    package var description: String { family == .v4 ? "\(host):\(port)" : "[\(host)]:\(port)" }

    private static let mappedPrefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
}
