// Where a listener stands, a peer comes from, an upstream is: an IP address with a port, or the path of a
// socket in the file system.

/// A socket address of IPv4, IPv6 or the file system.
package struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    package enum Family: UInt8, Sendable { case v4, v6, unix }

    package let family: Family
    /// The address in network order, 4 or 16 bytes; of a unix socket its path, empty for a peer without one.
    package let bytes: [UInt8]
    /// 0 for a unix socket.
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

    init(unix path: [UInt8]) {
        family = .unix
        bytes = path
        port = 0
    }

    /// The address of a literal IPv4 or IPv6 host, or `localhost`; nil for any other name.
    package init?(host: String, port: UInt16) {
        guard let bytes = Self.parse(host == "localhost" ? "127.0.0.1" : host) else { return nil }
        if bytes.count == 4 { self.init(v4: bytes, port: port) } else { self.init(v6: bytes, port: port) }
    }

    /// The address of a socket in the file system; nil for a path that is empty, too long or has a NUL in it.
    package init?(unixPath path: String) {
        let bytes = Array(path.utf8)
        guard (1...Self.pathBytesMax).contains(bytes.count), !bytes.contains(0) else { return nil }
        self.init(unix: bytes)
    }

    /// The address alone: `192.0.2.1`, `2001:db8::1`; `unix` for a peer that has none.
    package var host: String {
        switch family {
        case .v4: bytes.map(String.init).joined(separator: ".")
        case .v6: Self.text(v6: bytes)
        case .unix: "unix"
        }
    }

    /// The path of a unix socket.
    var path: String { String(decoding: bytes, as: UTF8.self) }

    /// `192.0.2.1:443`, `[2001:db8::1]:443`, `unix:/run/api.sock`.
    package var description: String {
        switch family {
        case .v4: "\(host):\(port)"
        case .v6: "[\(host)]:\(port)"
        case .unix: "unix:\(path)"
        }
    }

    /// unix(7): `sun_path` has 108 bytes, the last of which is a NUL.
    package static let pathBytesMax = 107
    private static let mappedPrefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
}
