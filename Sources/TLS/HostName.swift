// Host names as TLS carries them: the name that a client asks for (RFC 6066 §3) and the patterns that a
// server answers to. Pure: bytes in, a name or a refusal out.
//
// A name is kept in lower case. What is no host name is refused before anything is looked up or logged: no
// NUL, no control byte, no empty label, nothing longer than DNS allows.

/// A DNS host name in lower case, or a pattern `*.` and a name.
package struct HostName: Hashable, Sendable {
    /// The name's bytes, all of them ASCII.
    package let bytes: [UInt8]

    /// The name as text.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Whether it stands for every name with one more label.
    package var isWildcard: Bool { bytes.first == UInt8(ascii: "*") }

    /// A host name; nil for what is none.
    package init?(_ name: some Collection<UInt8>) {
        guard let bytes = Self.normalized(name) else { return nil }
        self.bytes = bytes
    }

    /// A host name or a pattern.
    package init?(pattern: some Collection<UInt8>) {
        guard pattern.starts(with: wildcardPrefix) else {
            guard let bytes = Self.normalized(pattern) else { return nil }
            self.bytes = bytes
            return
        }
        guard let rest = Self.normalized(pattern.dropFirst(2)) else { return nil }
        bytes = wildcardPrefix + rest
    }

    /// The pattern that covers this name: its first label replaced (RFC 9525 §6.3: a wildcard stands for
    /// exactly one label). nil for a name of one label, and for one that would leave a single label.
    var coveringPattern: HostName? {
        guard let dot = bytes.firstIndex(of: UInt8(ascii: ".")) else { return nil }
        return HostName(pattern: wildcardPrefix + bytes[(dot + 1)...])
    }

    /// Whether a certificate or site of this name or pattern stands for `name`.
    package func covers(_ name: HostName) -> Bool { self == name || self == name.coveringPattern }

    /// The host name of a `server_name` extension; nil where there is none.
    package init?(serverNameExtension bytes: [UInt8]) {
        guard let name = Self.bytes(ofServerNameExtension: bytes) else { return nil }
        self.init(name)
    }

    /// The one name of a `server_name` extension, by RFC 6066 §3:
    ///
    ///     struct { NameType name_type; HostName<1..2^16-1> } ServerName;
    ///     struct { ServerName server_name_list<1..2^16-1> } ServerNameList;
    ///
    /// "The ServerNameList MUST NOT contain more than one name of the same name_type", and no other type has
    /// ever been defined. nil for what cannot be decoded so.
    static func bytes(ofServerNameExtension bytes: [UInt8]) -> ArraySlice<UInt8>? {
        guard bytes.count > 5, Int(bytes[0]) << 8 | Int(bytes[1]) == bytes.count - 2, bytes[2] == 0,
            Int(bytes[3]) << 8 | Int(bytes[4]) == bytes.count - 5
        else { return nil }
        return bytes[5...]
    }

    private static func normalized(_ name: some Collection<UInt8>) -> [UInt8]? {
        guard (1...253).contains(name.count) else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(name.count)
        var labelBytes = 0
        for byte in name {
            switch byte {
            case UInt8(ascii: "."):
                if labelBytes == 0 { return nil }
                labelBytes = 0
                result.append(byte)
                continue
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): result.append(byte | 0x20)
            // An underscore is no host name's, and stands in many.
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"):
                result.append(byte)
            default: return nil
            }
            labelBytes += 1
            if labelBytes > 63 { return nil }
        }
        return labelBytes == 0 ? nil : result
    }
}

private let wildcardPrefix: [UInt8] = [UInt8(ascii: "*"), UInt8(ascii: ".")]
